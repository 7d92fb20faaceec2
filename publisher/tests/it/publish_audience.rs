//! Who may use the layers: `publish` changes the grants, and `verify` checks them.

use crate::support::{account::Account, cli::Publisher, dist::Dist, emulator::ministack};

const REGION: &str = "eu-west-1";

fn policy(owner: &Account) -> String {
    let (status, answer) = owner.get(REGION, "layers/SentryLambdaExtension-arm64/versions/1/policy");
    if status == 404 { "none".to_owned() } else { answer["Policy"].as_str().unwrap().to_owned() }
}

#[test]
fn the_audience_is_changed_without_publishing_again() {
    let (owner, friend, stranger) =
        (Account::new(ministack()), Account::new(ministack()), Account::new(ministack()));
    let dist = Dist::new("audiences");
    let publisher = Publisher::at(&ministack().url(), &owner.key);
    let publish = |more: &[&str]| {
        publisher.run(&dist, &[&["publish", "--regions", REGION, "--execute"], more].concat()).expect(0)
    };
    publish(&[]);
    let arn = dist.layers()["layers"]["arm64"]["regions"][REGION]["arn"].as_str().unwrap().to_owned();
    assert_eq!(stranger.by_arn(&arn).0, 200);

    publish(&["--share-with", &friend.key]).says("remove the statement `public`").says("repaired");
    assert_eq!((friend.by_arn(&arn).0, stranger.by_arn(&arn).0), (200, 403));
    let grant = dist.layers()["layers"]["arm64"]["regions"][REGION]["grant"].clone();
    assert_eq!(grant, serde_json::json!({"accounts": [friend.key]}));
    publisher.run(&dist, &["verify"]).expect(0);
    publish(&["--share-with", &friend.key]).says("nothing to do");

    publish(&["--share-with", "o-a1b2c3d4e5"]);
    let text = policy(&owner);
    assert!(text.contains("o-a1b2c3d4e5") && !text.contains(&friend.key), "{text}");
    publisher.run(&dist, &["verify"]).expect(0);

    publish(&["--share-with", "private"]);
    assert!(!policy(&owner).contains("Sid"), "{}", policy(&owner));
    publisher.run(&dist, &["verify"]).expect(0);
    publish(&["--share-with", "private"]).says("nothing to do");
    publish(&[]).says("granted");
    assert_eq!(stranger.by_arn(&arn).0, 200);
    assert_eq!(owner.versions(REGION, "SentryLambdaExtension-arm64"), [1]);
}

#[test]
fn verify_checks_with_another_profile_and_hashes_downloads() {
    let (owner, stranger) = (Account::new(ministack()), Account::new(ministack()));
    let dist = Dist::new("proof");
    let publisher = Publisher::at(&ministack().url(), &owner.key);
    let keys = |key: &str| format!("aws_access_key_id = {key}\naws_secret_access_key = x\n");
    let profiles = format!("[stranger]\n{}[owner]\n{}", keys(&stranger.key), keys(&owner.key));
    publisher.home_file(".aws/credentials", &profiles);
    publisher.run(&dist, &["publish", "--execute", "--regions", "eu-west-1,us-east-1"]).expect(0);
    let verify = ["verify", "--as", "stranger", "--download"];
    publisher.run(&dist, &verify).expect(0).says("4 layer versions are as layers.json says");
    publisher.run(&dist, &["verify", "--as", "owner"]).expect(1).says("it proves nothing");

    publisher.run(&dist, &["publish", "--execute", "--regions", REGION, "--share-with", "private"]).expect(0);
    publisher.run(&dist, &["verify"]).expect(0);
    let run = publisher.run(&dist, &verify).expect(1);
    run.says("what the other account sees is GetLayerVersionByArn: AccessDenied").says("2 of 4");
}

#[test]
fn verify_compares_the_zips_beside_the_manifest() {
    let owner = Account::new(ministack());
    let dist = Dist::new("beside");
    let publisher = Publisher::at(&ministack().url(), &owner.key);
    publisher.run(&dist, &["publish", "--execute", "--regions", REGION]).expect(0);
    let other = Dist::new("another build of the same commit");
    std::fs::copy(dist.path().join("layers.json"), other.path().join("layers.json")).unwrap();
    publisher
        .run(&other, &["verify"])
        .expect(1)
        .says("for the same version and commit")
        .says("not reproducible");
    other.edit_build(|build| build["version"] = serde_json::json!("1.2.4"));
    publisher.run(&other, &["verify"]).expect(0).says("belong to another release");
    for file in ["build.json", "SHA256SUMS"] {
        std::fs::remove_file(other.path().join(file)).unwrap();
    }
    publisher.run(&other, &["verify"]).expect(0).says("comparing only with layers.json");
}
