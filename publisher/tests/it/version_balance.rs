//! Equal version numbers in all regions: the warning, `--balance`, and the version in the layer's name.

use crate::support::{
    account::Account,
    cli::Publisher,
    dist::{Dist, other_zip},
    emulator::ministack,
};
use serde_json::json;

const LAYER: &str = "SentryLambdaExtension-arm64";

#[test]
fn different_version_numbers_are_reported_and_balanced_within_the_limit() {
    let owner = Account::new(ministack());
    let publisher = Publisher::at(&ministack().url(), &owner.key);
    for n in 0..3 {
        owner.publish("us-east-1", LAYER, "arm64", &other_zip(&format!("older {n}")), "older");
    }
    // Lambda does not use the number of a deleted version again.
    owner.publish("us-west-2", LAYER, "arm64", &other_zip("older"), "older");
    owner.lambda("us-west-2", "DELETE", &format!("layers/{LAYER}/versions/1"), &json!(null));
    let dist = Dist::new("drift");
    let args = ["publish", "--regions", "eu-west-1,us-east-1,us-west-2"];
    let run = |more: &[&str]| publisher.run(&dist, &[args.as_slice(), more].concat());
    run(&[]).expect(0).says("arm64 has different version numbers: 4 in us-east-1, 1 in eu-west-1 us-west-2");
    let numbers = |dist: &Dist| {
        let layers = dist.layers();
        ["eu-west-1", "us-east-1", "us-west-2"]
            .map(|region| layers["layers"]["arm64"]["regions"][region]["version"].as_i64().unwrap())
    };
    run(&["--execute"]).expect(0).says("--balance=3 publishes again until they are equal");
    assert_eq!(numbers(&dist), [1, 4, 2]);

    let run_short = run(&["--execute", "--balance=1"]).expect(3);
    run_short.says("3 versions behind, more than --balance allows");
    assert_eq!(owner.versions("eu-west-1", LAYER), [1]);

    let balanced = run(&["--execute", "--balance=3"]).expect(0);
    assert!(!balanced.stderr.contains("different version numbers"), "{}", balanced.stderr);
    assert_eq!(numbers(&dist), [4, 4, 4]);
    assert_eq!(owner.versions("eu-west-1", LAYER), [1, 2, 3, 4]);
    assert_eq!(owner.versions("us-west-2", LAYER), [2, 3, 4]);
    publisher.run(&dist, &["verify"]).expect(0);
    run(&["--execute", "--balance"]).expect(0).says("nothing to do");
    assert_eq!(owner.versions("eu-west-1", LAYER), [1, 2, 3, 4]);
    assert_eq!(numbers(&dist), [4, 4, 4]);
}

#[test]
fn a_release_in_the_layer_name_has_only_version_1() {
    let owner = Account::new(ministack());
    let publisher = Publisher::at(&ministack().url(), &owner.key);
    let dist = Dist::new("named");
    let args = ["publish", "--execute", "--version-style", "named", "--regions", "eu-west-1,us-east-1"];
    publisher.run(&dist, &args).expect(0);
    let name = "SentryLambdaExtension-arm64-1_2_3";
    assert_eq!(owner.versions("eu-west-1", name), [1]);
    assert_eq!(dist.layers()["layers"]["arm64"]["layer_name"], name);
    publisher.run(&dist, &args).expect(0).says("nothing to do");
    let other = Dist::new("other bytes under the same version");
    let run = publisher.run(&other, &args).expect(3);
    run.says("exists with other bytes (version 1)");
    assert_eq!(owner.versions("eu-west-1", name), [1]);
}
