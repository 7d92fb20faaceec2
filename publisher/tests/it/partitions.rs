//! Publishing to the other partitions of AWS. moto, the second emulator, knows them.

use crate::support::{
    account::Account,
    cli::Publisher,
    dist::{ARCHES, Dist},
    emulator::moto,
};

/// Publishes to one region of a partition, and verifies the result.
fn publish_and_verify(partition: &str, region: &str) {
    let owner = Account::new(moto());
    let dist = Dist::new(region);
    // AWS_REGION names a region in another partition. The publisher must not send anything there.
    let publisher = Publisher::at(&moto().url(), &owner.key).env("AWS_REGION", "us-east-1");
    let template = format!("{region}-{{arch}}");
    let args = ["publish", "--regions", region, "--layer-name", &template];
    let execute = [args.as_slice(), &["--execute"]].concat();
    publisher.run(&dist, &execute).expect(0).says(&format!("({partition})"));
    let layers = dist.layers();
    let account = layers["accounts"][partition].as_str().unwrap();
    for arch in ARCHES {
        let arn = format!("arn:{partition}:lambda:{region}:{account}:layer:{region}-{arch}:1");
        assert_eq!(layers["layers"][arch]["regions"][region]["arn"], arn);
    }
    publisher.run(&dist, &["verify"]).expect(0);
    Publisher::at(&moto().url(), &owner.key).run(&dist, &["verify"]).expect(0);
    publisher.run(&dist, &execute).expect(0).says("nothing to do");
    for arch in ARCHES {
        assert_eq!(owner.versions(region, &format!("{region}-{arch}")), [1]);
    }
}

#[test]
fn china() {
    publish_and_verify("aws-cn", "cn-north-1");
}

#[test]
fn govcloud() {
    publish_and_verify("aws-us-gov", "us-gov-west-1");
}

#[test]
fn european_sovereign_cloud() {
    publish_and_verify("aws-eusc", "eusc-de-east-1");
}

#[test]
fn if_regions_cannot_be_listed_the_built_in_list_is_used_and_reported() {
    let owner = Account::new(moto());
    let dist = Dist::new("lists");
    let china = Publisher::at(&moto().url(), &owner.key).env("AWS_REGION", "cn-north-1");
    let run = china
        .run(&dist, &["publish", "--json"])
        .expect(0)
        .says("the account's list of regions cannot be read");
    let regions = run.json()["regions"].as_array().unwrap().clone();
    let names: Vec<_> = regions.iter().step_by(2).map(|row| row["region"].as_str().unwrap()).collect();
    assert_eq!(names, ["cn-north-1", "cn-northwest-1"]);

    let commercial = Publisher::at(&moto().url(), &owner.key);
    let run = commercial
        .run(&dist, &["publish", "--json"])
        .expect(0)
        .says("the account's list of regions cannot be read");
    let regions = run.json()["regions"].as_array().unwrap().clone();
    assert_eq!(regions.len(), 2 * 34);
    assert_eq!(regions.iter().filter(|row| row["required"] == true).count(), 2 * 17);
}

#[test]
fn regions_of_another_partition_are_refused() {
    let owner = Account::new(moto());
    let dist = Dist::new("mix");
    let publisher = Publisher::at(&moto().url(), &owner.key).env("AWS_REGION", "us-east-1");
    let run = publisher.run(&dist, &["publish", "--execute", "--regions", "eu-west-1,cn-north-1"]).expect(1);
    run.says("cn-north-1 is in the partition aws-cn, but these credentials are for aws");
    assert!(owner.versions("eu-west-1", "SentryLambdaExtension-arm64").is_empty());
}

#[test]
fn one_release_in_several_partitions_is_in_one_manifest() {
    let owner = Account::new(moto());
    let dist = Dist::new("several");
    let at = |region: &str| Publisher::at(&moto().url(), &owner.key).env("AWS_REGION", region);
    for region in ["cn-north-1", "us-gov-west-1"] {
        at(region).run(&dist, &["publish", "--execute", "--regions", region]).expect(0);
    }
    let layers = dist.layers();
    let owners: Vec<&String> = layers["accounts"].as_object().unwrap().keys().collect();
    assert_eq!(owners, ["aws-cn", "aws-us-gov"]);
    assert_eq!(layers["layers"]["arm64"]["regions"].as_object().unwrap().len(), 2);
    let run =
        at("cn-north-1").run(&dist, &["verify"]).expect(0).says("2 layer versions are as layers.json says");
    run.says("2 layer versions are in other partitions, and not checked");
    at("us-east-1").run(&dist, &["verify"]).expect(1).says("the layers belong to account");
}
