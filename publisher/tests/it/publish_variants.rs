//! Publishing layers with Relay beside plain layers. Each variant has its own name, version numbers and result.

use crate::support::{
    account::Account,
    cli::{Publisher, Run},
    dist::{ARCHES, Dist, RELAY, other_zip},
    emulator::ministack,
    proxy::{Proxy, Verdict},
};
use serde_json::{Value, json};

const REGION: &str = "eu-west-1";
/// The runtimes on Amazon Linux 2023.
const AL2023_RUNTIMES: [&str; 3] = ["nodejs24.x", "provided.al2023", "python3.14"];
/// All runtimes that Lambda has.
const ALL_RUNTIMES: [&str; 21] = [
    "nodejs18.x",
    "nodejs20.x",
    "nodejs22.x",
    "nodejs24.x",
    "python3.10",
    "python3.11",
    "python3.12",
    "python3.13",
    "python3.14",
    "java8.al2",
    "java11",
    "java17",
    "java21",
    "java25",
    "dotnet8",
    "dotnet10",
    "ruby3.2",
    "ruby3.3",
    "ruby3.4",
    "provided.al2",
    "provided.al2023",
];

fn plain_layer(arch: &str) -> String {
    format!("SentryLambdaExtension-{arch}")
}

fn relay_layer(arch: &str) -> String {
    format!("SentryLambdaExtensionRelay-{arch}")
}

struct User {
    owner: Account,
    publisher: Publisher,
}

impl User {
    fn new() -> Self {
        let owner = Account::new(ministack());
        let publisher = Publisher::at(&ministack().url(), &owner.key);
        Self { owner, publisher }
    }

    fn publish(&self, dist: &Dist, more: &[&str]) -> Run {
        self.publisher.run(dist, &[&["publish", "--execute", "--regions", REGION], more].concat())
    }

    /// A version of a layer, as AWS returns it.
    fn version(&self, layer: &str, number: i64) -> Value {
        let (status, version) = self.owner.get(REGION, &format!("layers/{layer}/versions/{number}"));
        assert_eq!(status, 200, "{version}");
        version
    }

    fn versions(&self, layer: &str) -> Vec<i64> {
        self.owner.versions(REGION, layer)
    }
}

#[test]
fn both_variants_are_published_adopted_and_verified() {
    let user = User::new();
    let dist = Dist::new("kinds").with_relay(1000, &AL2023_RUNTIMES);
    user.publish(&dist, &[]).expect(0).says("4 published").says("eu-west-1  x86_64 with Relay  publish");
    for arch in ARCHES {
        let (plain, relay_version) =
            (user.version(&plain_layer(arch), 1), user.version(&relay_layer(arch), 1));
        assert_eq!(plain["Content"]["CodeSha256"], dist.code_sha256(arch));
        assert_eq!(relay_version["Content"]["CodeSha256"], dist.relay_code_sha256(arch));
        assert_eq!(relay_version["CompatibleArchitectures"], json!([arch]));
        assert_eq!(relay_version["CompatibleRuntimes"], json!(AL2023_RUNTIMES));
        assert_eq!(plain["LicenseInfo"], "BSD-3-Clause");
        let license = relay_version["LicenseInfo"].as_str().unwrap();
        assert!(license.contains("https://github.com/getsentry/relay"), "{license}");
        assert!(plain.get("CompatibleRuntimes").is_none_or(|none| *none == json!([])), "{plain}");
        let texts = [&plain, &relay_version].map(|version| version["Description"].as_str().unwrap());
        assert!(!texts[0].contains("Relay"), "{texts:?}");
        assert!(texts[1].contains(&format!("extension 1.2.3 with Relay {RELAY}, commit")), "{texts:?}");

        let layers = dist.layers();
        let layer = &layers["relay_layers"][arch];
        assert_eq!(layer["layer_name"], relay_layer(arch));
        assert_eq!(layer["code_sha256"], dist.relay_code_sha256(arch));
        assert_eq!(layer["size"], std::fs::metadata(dist.relay_zip(arch)).unwrap().len());
        assert_eq!(layer["regions"][REGION]["arn"], relay_version["LayerVersionArn"]);
        assert_eq!(layers["layers"][arch]["regions"][REGION]["arn"], plain["LayerVersionArn"]);
    }
    let layers = dist.layers();
    user.publish(&dist, &[]).expect(0).says("nothing to do");
    assert_eq!(dist.layers(), layers);
    let elsewhere = Dist::new("kinds").with_relay(1000, &AL2023_RUNTIMES);
    user.publish(&elsewhere, &["--json"]).expect(0).says(r#""kind": "relay""#);
    let arn = |dist: &Dist| dist.layers()["relay_layers"]["arm64"]["regions"][REGION]["arn"].clone();
    assert_eq!(arn(&elsewhere), arn(&dist));
    assert_eq!(user.versions(&relay_layer("arm64")), [1]);

    user.publisher.run(&dist, &["verify", "--download"]).expect(0).says("4 layer versions are as");
    user.owner.revoke(REGION, &relay_layer("x86_64"), 1);
    let run = user.publisher.run(&dist, &["verify"]).expect(1);
    run.says("1 of 4 layer versions").says("eu-west-1  x86_64 with Relay  differs  permission is private");
    // The runtimes of a layer version cannot be changed, so the same zip for other runtimes is published anew.
    let fewer = Dist::new("kinds").with_relay(1000, &AL2023_RUNTIMES[..1]);
    user.publish(&fewer, &["--kind", "relay"]).expect(0).says("2 published");
    assert_eq!(user.versions(&relay_layer("arm64")), [1, 2]);
}

#[test]
fn a_relay_that_runs_on_all_runtimes_names_none() {
    let user = User::new();
    let dist = Dist::new("runs everywhere").with_relay(1000, &ALL_RUNTIMES);
    user.publish(&dist, &["--kind", "relay"]).expect(0);
    let version = user.version(&relay_layer("arm64"), 1);
    assert!(version.get("CompatibleRuntimes").is_none_or(|none| *none == json!([])), "{version}");
    assert_eq!(dist.layers()["relay_layers"]["arm64"]["runtimes"], json!([]));
    user.publisher.run(&dist, &["verify"]).expect(0);
}

#[test]
fn publishing_one_variant_leaves_the_other_unchanged() {
    let user = User::new();
    let dist = Dist::new("one kind").with_relay(1000, &AL2023_RUNTIMES);
    user.publish(&dist, &["--kind", "plain"]).expect(0).says("2 published");
    assert!(dist.layers().get("relay_layers").is_none());
    assert!(user.versions(&relay_layer("arm64")).is_empty());
    user.publish(&dist, &["--kind", "relay"]).expect(0).says("2 published");
    let both = dist.layers();
    assert_eq!(both["layers"]["x86_64"]["regions"][REGION]["version"], 1);
    assert_eq!(both["relay_layers"]["x86_64"]["regions"][REGION]["version"], 1);
    user.publish(&dist, &[]).expect(0).says("nothing to do");
    assert_eq!(dist.layers(), both);

    // Other zips are another release. The manifest keeps nothing of the old one.
    let next = Dist::new("one kind, next release").with_relay(1000, &AL2023_RUNTIMES);
    std::fs::copy(dist.path().join("layers.json"), next.path().join("layers.json")).unwrap();
    user.publish(&next, &["--kind", "relay"]).expect(0);
    assert_eq!(next.layers()["layers"], json!({}));
    let run = user.publish(&Dist::new("no relay"), &["--kind", "relay"]).expect(1);
    run.says("lists no zip with Relay").says("publisher build --relay");
}

#[test]
fn only_what_failed_is_resumed() {
    let user = User::new();
    let dist = Dist::new("resumed").with_relay(1000, &AL2023_RUNTIMES);
    let proxy = Proxy::start(ministack().address(), |seen| {
        if seen.publishes() && seen.line.contains("ExtensionRelay-arm64") {
            Verdict::error(403, "AccessDeniedException")
        } else {
            Verdict::Forward
        }
    });
    let through = User { publisher: Publisher::at(&proxy.url(), &user.owner.key), owner: user.owner.clone() };
    let run = through.publish(&dist, &[]).expect(3);
    run.says("1 required layers are not done").says("eu-west-1 arm64 with Relay: PublishLayerVersion");
    let failed: Vec<Value> = dist.journal().into_iter().filter(|line| line["state"] == "failed").collect();
    assert_eq!(failed.len(), 1);
    assert_eq!((&failed[0]["arch"], &failed[0]["kind"]), (&json!("arm64"), &json!("relay")));
    user.publish(&dist, &[]).expect(0).says("1 published, 3 adopted");
    for arch in ARCHES {
        assert_eq!(
            (user.versions(&plain_layer(arch)), user.versions(&relay_layer(arch))),
            (vec![1], vec![1])
        );
    }
}

#[test]
fn version_numbers_are_balanced_for_each_variant_alone() {
    let user = User::new();
    user.owner.publish("us-east-1", &relay_layer("x86_64"), "x86_64", &other_zip("older"), "older");
    let dist = Dist::new("balance").with_relay(1000, &AL2023_RUNTIMES);
    let args = ["publish", "--execute", "--regions", "eu-west-1,us-east-1", "--balance"];
    let run = user.publisher.run(&dist, &args).expect(0);
    assert!(!run.stderr.contains("x86_64 has different"), "{}", run.stderr);
    assert_eq!(user.versions(&relay_layer("x86_64")), [1, 2]);
    assert_eq!(user.versions(&relay_layer("arm64")), [1]);
    assert_eq!(user.versions(&plain_layer("x86_64")), [1]);
    user.publisher.run(&dist, &["verify"]).expect(0);
}

#[test]
fn both_variants_need_different_names() {
    let user = User::new();
    let dist = Dist::new("names of kinds").with_relay(1000, &AL2023_RUNTIMES);
    let template = "Team-{arch}";
    let run = user.publish(&dist, &["--layer-name", template]).expect(2);
    run.says("names the plain layers only")
        .says("--relay-layer-name 'Team-{arch}-relay'")
        .says("--kind plain");
    let same = ["--layer-name", template, "--relay-layer-name", template];
    user.publish(&dist, &same).expect(2).says("with Relay and of one without");
    let usual = ["--kind", "relay", "--relay-layer-name", "SentryLambdaExtension-{arch}"];
    user.publish(&dist, &usual).expect(2).says("with Relay and of one without");
    let both = ["--layer-name", template, "--relay-layer-name", "Team-{arch}-{major}-relay"];
    user.publish(&dist, &both).expect(0);
    assert_eq!(user.versions("Team-arm64-1-relay"), [1]);
    assert_eq!(user.versions("Team-x86_64"), [1]);
    let named = Dist::new("named kinds").with_relay(1000, &AL2023_RUNTIMES);
    user.publish(&named, &["--version-style", "named"]).expect(0);
    assert_eq!(user.versions("SentryLambdaExtensionRelay-arm64-1_2_3"), [1]);
}

#[test]
fn old_versions_of_both_variants_are_pruned() {
    let user = User::new();
    let releases = ["one", "two", "three"]
        .map(|n| Dist::new(&format!("prune kinds {n}")).with_relay(1000, &AL2023_RUNTIMES));
    for dist in &releases {
        user.publish(dist, &[]).expect(0);
    }
    let args = ["prune", "--keep", "1", "--regions", REGION, "--execute"];
    let first = releases[0].path().join("layers.json");
    let with = [args.as_slice(), &["--manifest", first.to_str().unwrap()]].concat();
    user.publisher.run(&releases[2], &with).expect(0).says("4 of 4 superfluous");
    for arch in ARCHES {
        assert_eq!(
            (user.versions(&plain_layer(arch)), user.versions(&relay_layer(arch))),
            (vec![1, 3], vec![1, 3])
        );
    }
    user.publisher.run(&releases[0], &["verify"]).expect(0);
    let own = [args.as_slice(), &["--relay-layer-name", "Elsewhere-{arch}"]].concat();
    user.publisher.run(&releases[2], &own).expect(0).says("2 of 2 superfluous");
    assert_eq!(
        (user.versions(&plain_layer("arm64")), user.versions(&relay_layer("arm64"))),
        (vec![3], vec![1, 3])
    );
}
