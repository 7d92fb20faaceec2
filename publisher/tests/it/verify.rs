//! `publisher verify`: reads back what was published.

use crate::support::{account::Account, cli::Publisher, dist::Dist, emulator::ministack};
use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Value, json};

const REGION: &str = "eu-west-1";
const LAYER: &str = "SentryLambdaExtension-arm64";

fn published(seed: &str) -> (Account, Publisher, Dist) {
    let owner = Account::new(ministack());
    let publisher = Publisher::at(&ministack().url(), &owner.key);
    let dist = Dist::new(seed);
    publisher.run(&dist, &["publish", "--execute", "--regions", "eu-west-1,us-east-1"]).expect(0);
    publisher.run(&dist, &["verify"]).expect(0).says("4 layer versions are as layers.json says");
    (owner, publisher, dist)
}

fn edit_layers(dist: &Dist, edit: impl FnOnce(&mut Value)) {
    let mut layers = dist.layers();
    edit(&mut layers);
    std::fs::write(dist.path().join("layers.json"), layers.to_string()).unwrap();
}

#[test]
fn a_lost_permission_is_reported_and_publish_restores_it() {
    let (owner, publisher, dist) = published("permission");
    owner.revoke(REGION, LAYER, 1);
    let run = publisher.run(&dist, &["verify"]).expect(1);
    let line =
        run.stdout.lines().find(|line| line.starts_with("eu-west-1") && line.contains("arm64")).unwrap();
    assert!(line.contains("differs") && line.contains("permission is private, expected public"), "{line}");
    assert_eq!(run.stdout.lines().filter(|line| line.contains("  ok")).count(), 3, "{}", run.stdout);

    let plan = publisher.run(&dist, &["publish", "--regions", REGION]).expect(0);
    plan.says("eu-west-1  arm64   grant missing  1");
    publisher.run(&dist, &["publish", "--regions", REGION, "--execute"]).expect(0).says("granted");
    publisher.run(&dist, &["verify"]).expect(0);
    assert_eq!(owner.versions(REGION, LAYER), [1]);
}

#[test]
fn a_deleted_version_is_reported_and_publish_replaces_it() {
    let (owner, publisher, dist) = published("deleted");
    let (status, _) = owner.lambda(REGION, "DELETE", &format!("layers/{LAYER}/versions/1"), &Value::Null);
    assert_eq!(status, 204);
    let report = publisher.run(&dist, &["verify", "--json"]).expect(1).json();
    let checks = report.as_array().unwrap();
    let bad: Vec<&Value> = checks.iter().filter(|check| check["ok"] == false).collect();
    assert_eq!(bad.len(), 1, "{report}");
    assert_eq!((&bad[0]["region"], &bad[0]["arch"]), (&json!(REGION), &json!("arm64")));
    assert_eq!(bad[0]["differences"], json!([{"what": "version", "expected": "1", "found": "missing"}]));

    publisher.run(&dist, &["publish", "--regions", REGION, "--execute"]).expect(0);
    assert_eq!(dist.layers()["layers"]["arm64"]["regions"][REGION]["version"], 2);
    publisher.run(&dist, &["verify"]).expect(0);
}

#[test]
fn other_bytes_at_the_arn_are_reported() {
    let (owner, publisher, dist) = published("bytes");
    let other = Dist::new("other bytes");
    publisher.run(&other, &["publish", "--regions", REGION, "--execute"]).expect(0);
    assert_eq!(owner.versions(REGION, LAYER), [1, 2]);
    edit_layers(&dist, |layers| {
        let place = &mut layers["layers"]["arm64"]["regions"][REGION];
        place["version"] = json!(2);
        place["arn"] = json!(format!("arn:aws:lambda:{REGION}:{}:layer:{LAYER}:2", owner.key));
    });
    let run = publisher.run(&dist, &["verify"]).expect(1);
    run.says(&format!(
        "CodeSha256 is {}, expected {}",
        other.code_sha256("arm64"),
        dist.code_sha256("arm64")
    ))
    .says("1 of 4 layer versions");
    // `publish` corrects the version numbers in layers.json.
    publisher.run(&dist, &["publish", "--regions", REGION, "--execute"]).expect(0);
    publisher.run(&dist, &["verify"]).expect(0);
}

#[test]
fn a_layer_with_another_architecture_or_licence_is_reported_and_published_again() {
    let (owner, publisher, dist) = published("label");
    let (_, right) = owner.get(REGION, &format!("layers/{LAYER}/versions/1"));
    let zip = STANDARD.encode(std::fs::read(dist.zip("arm64")).unwrap());
    let body = json!({
        "Content": {"ZipFile": zip}, "Description": right["Description"],
        "CompatibleArchitectures": ["x86_64"], "LicenseInfo": "MIT"
    });
    let (status, answer) = owner.lambda(REGION, "POST", &format!("layers/{LAYER}/versions"), &body);
    assert_eq!((status, &answer["Version"]), (201, &json!(2)));
    edit_layers(&dist, |layers| layers["layers"]["arm64"]["regions"][REGION]["version"] = json!(2));
    publisher
        .run(&dist, &["verify"])
        .expect(1)
        .says("CompatibleArchitectures is x86_64, expected arm64")
        .says("LicenseInfo is MIT, expected BSD-3-Clause");
    let plan = publisher.run(&dist, &["publish", "--regions", REGION]).expect(0);
    plan.says("nothing to do");
}

#[test]
fn credentials_of_another_account_are_reported() {
    let (_, _, dist) = published("account");
    let other = Account::new(ministack());
    let publisher = Publisher::at(&ministack().url(), &other.key);
    publisher.run(&dist, &["verify"]).expect(1).says("the layers belong to account").says(&other.key);
    let run = publisher.run(&dist, &["publish", "--execute", "--regions", REGION]).expect(1);
    run.says("lists the same zips in account");
    assert!(other.versions(REGION, LAYER).is_empty());
}
