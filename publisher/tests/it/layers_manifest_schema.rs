//! Checks published manifests and the sample in the documentation against the schema of `layers.json`.

use crate::{
    build_fixture::repository,
    support::{
        account::Account,
        cli::Publisher,
        dist::{Dist, RELAY},
        emulator::ministack,
        schema::{violations, violations_of},
    },
};
use serde_json::{Value, json};

const REGIONS: &str = "eu-west-1,us-east-1";

/// A manifest with both kinds of layers. The grants are restricted, so that every form of a grant occurs.
fn published() -> Value {
    let owner = Account::new(ministack());
    let dist = Dist::new("schema").with_relay(1000, &["provided.al2023", "python3.14"]);
    let args = ["publish", "--execute", "--regions", REGIONS, "--share-with", "123456789012,o-a1b2c3d4e5"];
    Publisher::at(&ministack().url(), &owner.key).run(&dist, &args).expect(0);
    dist.layers()
}

#[test]
fn a_published_manifest_is_valid() {
    let layers = published();
    assert_eq!(violations(&layers), [""; 0], "{layers:#}");
    let relay = &layers["relay_layers"]["x86_64"];
    assert_eq!(relay["relay"]["version"], RELAY);
    assert_eq!(relay["relay"]["glibc"], "2.28");
    assert_eq!(relay["runtimes"], json!(["provided.al2023", "python3.14"]));
    assert_eq!(layers["toolchain"]["std"], "prebuilt");

    let owner = Account::new(ministack());
    let plain = Dist::new("schema, plain");
    let publisher = Publisher::at(&ministack().url(), &owner.key);
    publisher
        .run(&plain, &["publish", "--execute", "--regions", "eu-west-1", "--share-with", "private"])
        .expect(0);
    assert_eq!(violations(&plain.layers()), [""; 0]);
    assert!(plain.layers().get("relay_layers").is_none());
}

#[test]
fn the_sample_in_the_documentation_is_valid_and_can_be_read() {
    let text = std::fs::read_to_string(repository().join("docs/publishing.md")).unwrap();
    let (_, behind) = text.split_once("\n## layers.json\n").expect("a section on layers.json");
    let (_, behind) = behind.split_once("```json\n").expect("a sample");
    let sample: Value = serde_json::from_str(behind.split_once("```").unwrap().0).unwrap();
    assert_eq!(violations(&sample), [""; 0]);
    assert!(sample["relay_layers"].is_object(), "it shows both kinds");
    let dist = Dist::new("documentation");
    std::fs::write(dist.path().join("layers.json"), sample.to_string()).unwrap();
    let arn = sample["layers"]["arm64"]["regions"]["eu-central-1"]["arn"].as_str().unwrap();
    Publisher::new().run(&dist, &["arn", "--arch", "arm64", "--region", "eu-central-1"]).expect(0).says(arn);
}

#[test]
fn invalid_manifests_are_found() {
    let layers = published();
    assert_eq!(violations(&layers), [""; 0]);
    let place = "/layers/arm64/regions/eu-west-1";
    let breaks: [(&str, &str, Value); 21] = [
        ("", "schema", json!(3)),
        ("", "version", json!("1.2")),
        ("", "commit", json!("main")),
        ("", "released_by", json!("me")),
        ("", "relay_layers", json!({})),
        ("/toolchain", "std", json!("elsewhere")),
        ("/toolchain", "gcc", json!("14")),
        ("/accounts", "aws", json!("12345")),
        ("/accounts", "aws-moon", json!("123456789012")),
        ("/layers", "riscv64", layers["layers"]["arm64"].clone()),
        ("/layers/arm64", "layer_name", json!("a b")),
        ("/layers/arm64", "sha256", json!("00")),
        ("/layers/arm64", "code_sha256", json!("0".repeat(64))),
        ("/layers/arm64", "size", json!("12")),
        ("/layers/arm64", "relay", layers["relay_layers"]["arm64"]["relay"].clone()),
        ("/relay_layers/arm64", "runtimes", json!(["python3.14", "python3.14"])),
        ("/relay_layers/arm64/relay", "glibc", json!(2.28)),
        (place, "arn", json!("arn:aws:lambda:eu-west-1:123456789012:layer:SentryLambdaExtension-arm64")),
        (place, "version", json!(0)),
        (place, "grant", json!({"accounts": ["1"]})),
        (place, "verified_at", json!("yesterday")),
    ];
    let broken = |(at, field, value): &(&str, &str, Value)| {
        let mut broken = layers.clone();
        broken.pointer_mut(at).unwrap()[field] = value.clone();
        broken
    };
    let found = violations_of(&breaks.iter().map(broken).collect::<Vec<_>>());
    for ((at, field, _), found) in breaks.iter().zip(found) {
        assert!(!found.is_empty(), "{at}/{field} is not checked");
    }
    let gaps = [
        ("", "toolchain"),
        ("", "layers"),
        ("/layers/arm64", "regions"),
        ("/relay_layers/arm64", "relay"),
        ("/relay_layers/arm64", "runtimes"),
        ("/relay_layers/arm64/relay", "glibc"),
        (place, "grant"),
    ];
    let broken = |(at, field): &(&str, &str)| {
        let mut broken = layers.clone();
        broken.pointer_mut(at).unwrap().as_object_mut().unwrap().remove(*field);
        broken
    };
    let found = violations_of(&gaps.iter().map(broken).collect::<Vec<_>>());
    for ((at, field), found) in gaps.iter().zip(found) {
        assert!(found.iter().any(|fault| fault.contains(field)), "{at}/{field} may be missing: {found:?}");
    }
}
