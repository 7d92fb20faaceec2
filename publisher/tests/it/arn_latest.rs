//! `publisher arn --latest` reads the newest versions from AWS.

use crate::support::{
    account::Account,
    cli::Publisher,
    dist::{Dist, other_zip},
    emulator::ministack,
};
use serde_json::json;

const LAYER: &str = "SentryLambdaExtension-arm64";

fn arn(owner: &Account, region: &str, arch: &str, version: i64) -> String {
    format!("arn:aws:lambda:{region}:{}:layer:SentryLambdaExtension-{arch}:{version}", owner.key)
}

#[test]
fn the_newest_version_in_each_region_that_the_manifest_knows() {
    let owner = Account::new(ministack());
    let dist = Dist::new("latest");
    let publisher = Publisher::at(&ministack().url(), &owner.key);
    publisher.run(&dist, &["publish", "--execute", "--regions", "eu-west-1,us-east-1"]).expect(0);
    // One region gets two more versions, and a region that is not in the manifest gets its first.
    for region in ["eu-west-1", "eu-west-1", "sa-east-1"] {
        owner.publish(region, LAYER, "arm64", &other_zip("newer"), "newer");
    }
    let run = publisher.run(&dist, &["arn", "--latest"]).expect(0);
    let expected = [
        arn(&owner, "eu-west-1", "arm64", 3),
        arn(&owner, "eu-west-1", "x86_64", 1),
        arn(&owner, "us-east-1", "arm64", 1),
        arn(&owner, "us-east-1", "x86_64", 1),
    ];
    assert_eq!(run.stdout.lines().collect::<Vec<_>>(), expected);
    let one =
        publisher.run(&dist, &["arn", "--latest", "--region", "sa-east-1", "--format", "sam"]).expect(0);
    one.says(&arn(&owner, "sa-east-1", "arm64", 1)).says("the newest versions that AWS lists");
    publisher
        .run(&dist, &["arn", "--latest", "--format", "registry"])
        .expect(1)
        .says("does not say which release");
    publisher.run(&dist, &["arn"]).expect(0).says(&arn(&owner, "eu-west-1", "arm64", 1));
}

#[test]
fn without_a_manifest_the_names_and_the_account_can_be_given() {
    let owner = Account::new(ministack());
    owner.publish("eu-west-1", "Mine-arm64", "arm64", &other_zip("a"), "a");
    let empty = Dist::new("no manifest");
    let publisher = Publisher::at(&ministack().url(), &owner.key);
    let args = ["arn", "--latest", "--layer-name", "Mine-{arch}", "--region", "eu-west-1", "--json"];
    let run = publisher.run(&empty, &args).expect(0);
    let arn = format!("arn:aws:lambda:eu-west-1:{}:layer:Mine-arm64:1", owner.key);
    assert_eq!(run.json(), json!([{"region": "eu-west-1", "arch": "arm64", "version": 1, "arn": arn}]));
    let run = publisher.run(&empty, &["arn", "--latest", "--region", "eu-west-1"]).expect(1);
    run.says("has no version of SentryLambdaExtension-arm64");
    // These options are refused without `--latest`.
    publisher.run(&empty, &["arn", "--account", &owner.key]).expect(2);
}

#[test]
fn only_the_owner_can_list() {
    let (owner, stranger) = (Account::new(ministack()), Account::new(ministack()));
    let dist = Dist::new("stranger");
    let args = ["publish", "--execute", "--regions", "eu-west-1"];
    Publisher::at(&ministack().url(), &owner.key).run(&dist, &args).expect(0);
    let proxy = crate::support::proxy::Proxy::start(ministack().address(), |seen| {
        // AWS lets only the owner list versions, but the emulator lets everybody.
        if seen.line.contains("/versions") {
            crate::support::proxy::Verdict::error(403, "AccessDeniedException")
        } else {
            crate::support::proxy::Verdict::Forward
        }
    });
    let run = Publisher::at(&proxy.url(), &stranger.key).run(&dist, &["arn", "--latest"]).expect(1);
    run.says("eu-west-1 SentryLambdaExtension-arm64: ListLayerVersions").says("can list its versions");
    let asked = proxy.requests().into_iter().find(|seen| seen.line.contains("/versions")).unwrap().line;
    assert!(asked.contains(&owner.key), "not asked for the owner's layer: {asked}");
}
