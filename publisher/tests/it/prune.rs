//! `publisher prune` deletes old versions, but never one that a manifest names.

use crate::support::{
    account::Account,
    cli::Publisher,
    dist::{ARCHES, Dist, layer_name, other_zip},
    emulator::ministack,
    proxy::{Proxy, Verdict},
};

const REGION: &str = "eu-west-1";

#[test]
fn the_newest_and_the_named_versions_are_kept() {
    let owner = Account::new(ministack());
    let publisher = Publisher::at(&ministack().url(), &owner.key);
    let releases: Vec<Dist> = (1..=5).map(|n| Dist::new(&format!("release {n}"))).collect();
    for dist in &releases {
        publisher.run(dist, &["publish", "--execute", "--regions", REGION]).expect(0);
    }
    let current = &releases[4];
    let old = releases[1].path().join("layers.json");
    let args = ["prune", "--keep", "2", "--regions", REGION, "--manifest", old.to_str().unwrap()];
    let plan = publisher.run(current, &args).expect(0);
    plan.says("4 superfluous versions, nothing was deleted")
        .says("eu-west-1  SentryLambdaExtension-arm64   5         2 5");
    assert_eq!(owner.versions(REGION, &layer_name("arm64")), [1, 2, 3, 4, 5]);

    publisher.run(current, &[&args, ["--execute"].as_slice()].concat()).expect(0).says("4 of 4 superfluous");
    for arch in ARCHES {
        assert_eq!(owner.versions(REGION, &layer_name(arch)), [2, 4, 5]);
    }
    publisher.run(&releases[1], &["verify"]).expect(0);
    publisher.run(current, &[&args, ["--execute"].as_slice()].concat()).expect(0).says("0 of 0");
    // Even with `--keep 0`, the version that the current manifest names is kept.
    publisher.run(current, &["prune", "--keep", "0", "--execute", "--regions", REGION]).expect(0);
    assert_eq!(owner.versions(REGION, &layer_name("arm64")), [5]);
}

#[test]
fn the_newest_version_is_always_kept() {
    let owner = Account::new(ministack());
    let publisher = Publisher::at(&ministack().url(), &owner.key);
    let dist = Dist::new("current");
    publisher.run(&dist, &["publish", "--execute", "--regions", REGION]).expect(0);
    for seed in ["newer", "newest"] {
        owner.publish(REGION, &layer_name("arm64"), "arm64", &other_zip(seed), seed);
    }
    publisher.run(&dist, &["prune", "--keep", "0", "--execute", "--regions", REGION]).expect(0);
    assert_eq!(owner.versions(REGION, &layer_name("arm64")), [1, 3]);
    // The same holds for layers whose names contain the release. Here the newest release is not the one in
    // layers.json.
    let named = ["0.1.0", "0.2.0"].map(dist_with_named_layers);
    let publish = ["publish", "--execute", "--version-style", "named", "--regions", REGION];
    for dist in &named {
        publisher.run(dist, &publish).expect(0);
    }
    let prune = ["prune", "--keep", "0", "--execute", "--regions", REGION];
    publisher.run(&named[0], &prune).expect(0).says("0 of 0");
    for release in ["0_1_0", "0_2_0"] {
        assert_eq!(owner.versions(REGION, &format!("SentryLambdaExtension-arm64-{release}")), [1]);
    }
}

#[test]
fn without_a_manifest_or_the_permission_nothing_is_deleted() {
    let owner = Account::new(ministack());
    let dist = Dist::new("no manifest");
    let proxy = Proxy::start(ministack().address(), |seen| {
        if seen.line.starts_with("DELETE ") {
            Verdict::error(403, "AccessDeniedException")
        } else {
            Verdict::Forward
        }
    });
    let publisher = Publisher::at(&proxy.url(), &owner.key);
    let args = ["prune", "--keep", "1", "--execute", "--regions", REGION];
    publisher.run(&dist, &args).expect(1).says("there is no").says("layers.json");
    publisher.run(&dist, &["publish", "--execute", "--regions", REGION]).expect(0);
    let broken = dist.path().join("broken.json");
    std::fs::write(&broken, "{").unwrap();
    let with = [args.as_slice(), &["--manifest", broken.to_str().unwrap()]].concat();
    publisher.run(&dist, &with).expect(1).says("nothing was deleted");
    owner.publish(REGION, &layer_name("arm64"), "arm64", &other_zip("another"), "another");
    owner.publish(REGION, &layer_name("arm64"), "arm64", &other_zip("and another"), "another");
    let run = publisher.run(&dist, &args).expect(3);
    run.says("DeleteLayerVersion: AccessDeniedException").says("lambda:DeleteLayerVersion");
    assert_eq!(owner.versions(REGION, &layer_name("arm64")), [1, 2, 3]);
}

/// A release whose version is in the layers' names.
fn dist_with_named_layers(version: &str) -> Dist {
    let dist = Dist::new(&format!("named {version}")).with_relay(1000, &["python3.14"]);
    dist.edit_build(|build| build["version"] = serde_json::json!(version));
    dist
}

#[test]
fn layers_of_old_releases_are_deleted_completely() {
    let owner = Account::new(ministack());
    let publisher = Publisher::at(&ministack().url(), &owner.key);
    let releases = ["0.9.0", "0.10.0", "1.0.0-rc.1", "1.0.0"].map(dist_with_named_layers);
    let publish = ["publish", "--execute", "--version-style", "named", "--prerelease", "--regions", REGION];
    for dist in &releases {
        publisher.run(dist, &publish).expect(0).says("4 published");
    }
    // These layers have similar names but do not match the pattern. One old release gets a second version.
    let theirs = ["SentryLambdaExtension-arm64", "SentryLambdaExtension-arm64-1_x_0", "X-arm64-0_1_0"];
    for layer in theirs.iter().chain(&["SentryLambdaExtension-arm64-0_10_0"]) {
        owner.publish(REGION, layer, "arm64", &other_zip("theirs"), "theirs");
    }
    let of =
        |kind: &str, release: &str| owner.versions(REGION, &format!("SentryLambda{kind}-arm64-{release}"));
    let first = releases[0].path().join("layers.json");
    let args = ["prune", "--keep", "2", "--regions", REGION, "--manifest", first.to_str().unwrap()];
    let plan =
        publisher.run(&releases[3], &args).expect(0).says("5 superfluous versions, nothing was deleted");
    let lines = plan.stdout.lines().filter_map(|line| line.split_once("Extension-arm64-"));
    let lines: Vec<Vec<&str>> = lines.map(|(_, line)| line.split_whitespace().collect()).collect();
    assert_eq!(
        lines,
        [
            ["0_9_0", "1", "1"].as_slice(),
            &["0_10_0", "2", "2", "1"],
            &["1_0_0-rc_1", "1"],
            &["1_0_0", "1", "1"]
        ]
    );
    assert_eq!(of("Extension", "0_10_0"), [1, 2]);

    publisher
        .run(&releases[3], &[&args, ["--execute"].as_slice()].concat())
        .expect(0)
        .says("5 of 5 superfluous");
    for kind in ["Extension", "ExtensionRelay"] {
        assert_eq!(of(kind, "0_9_0"), [1], "named by a manifest");
        assert!(of(kind, "0_10_0").is_empty());
        assert_eq!((of(kind, "1_0_0-rc_1"), of(kind, "1_0_0")), (vec![1], vec![1]));
    }
    for layer in theirs {
        assert_eq!(owner.versions(REGION, layer), [1], "{layer}");
    }
    publisher.run(&releases[3], &["verify"]).expect(0);
    publisher.run(&releases[0], &["verify"]).expect(0);
    // Without its manifest, the old release is deleted like the others. The current one is kept even with `--keep 0`.
    let all = ["prune", "--keep", "0", "--regions", REGION, "--execute"];
    publisher.run(&releases[3], &all).expect(0).says("8 of 8 superfluous");
    assert!(of("Extension", "0_9_0").is_empty() && of("Extension", "1_0_0-rc_1").is_empty());
    assert_eq!(of("Extension", "1_0_0"), [1]);
}

#[test]
fn a_template_with_the_release_matches_all_releases() {
    let owner = Account::new(ministack());
    let proxy = Proxy::start(ministack().address(), |seen| {
        let path = seen.line.split([' ', '?']).nth(1).unwrap_or_default();
        if path.trim_end_matches('/').ends_with("/layers") && seen.region == "us-east-1" {
            Verdict::error(403, "AccessDeniedException")
        } else {
            Verdict::Forward
        }
    });
    let publisher = Publisher::at(&proxy.url(), &owner.key);
    let template = "Team-{arch}-{major}_{minor}";
    let regions = "eu-west-1,us-east-1";
    let releases = ["1.2.0", "1.10.0"].map(dist_with_named_layers);
    for dist in &releases {
        let args =
            ["publish", "--execute", "--kind", "plain", "--layer-name", template, "--regions", regions];
        publisher.run(dist, &args).expect(0);
    }
    let args = ["prune", "--keep", "1", "--execute", "--layer-name", template, "--regions", regions];
    let run = publisher.run(&releases[1], &args).expect(3);
    run.says("2 of 2 superfluous").says("us-east-1 Team-arm64-*_*: ListLayers: AccessDeniedException");
    for arch in ARCHES {
        assert!(owner.versions(REGION, &format!("Team-{arch}-1_2")).is_empty());
        assert_eq!(owner.versions(REGION, &format!("Team-{arch}-1_10")), [1]);
        assert_eq!(owner.versions("us-east-1", &format!("Team-{arch}-1_2")), [1]);
    }
}
