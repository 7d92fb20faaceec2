//! `publisher publish --zip`: layers that are not the extension's, where no request fails.

use crate::support::{
    account::Account,
    cli::Publisher,
    dist::Dist,
    emulator::ministack,
    other_layer::{LICENSE, OtherLayer, RELEASE, run, zip_of},
    schema::violations,
};
use serde_json::{Value, json};

const REGIONS: [&str; 2] = ["--regions", "eu-west-1,us-east-1"];

fn arn(owner: &Account, region: &str, layer: &str, version: i64) -> String {
    format!("arn:aws:lambda:{region}:{}:layer:{layer}:{version}", owner.key)
}

#[test]
fn one_zip_for_both_architectures_is_published_verified_and_found() {
    let (owner, stranger) = (Account::new(ministack()), Account::new(ministack()));
    let publisher = Publisher::at(&ministack().url(), &owner.key);
    let layer = OtherLayer::new("both");
    let zip = layer.file("layer.zip");
    let more =
        [&REGIONS[..], &["--runtimes", "python3.14,python3.99,python3.14", "--canonical", "aws-layer:team"]]
            .concat();
    let args = layer.args(&[&zip], "TeamSdk", &more);
    let plan = run(&publisher, &args).expect(0).says("eu-west-1  both   publish").says("nothing was written");
    plan.says("passed on to AWS: python3.99");
    assert!(!layer.dist().exists(), "a plan writes nothing");

    let execute = layer.args(&[&zip], "TeamSdk", &[&more[..], &["--execute"]].concat());
    run(&publisher, &execute).expect(0).says("2 published");
    let layers = layer.layers();
    assert_eq!(violations(&layers), [""; 0], "{layers:#}");
    assert_eq!((&layers["schema"], &layers["version"]), (&json!(3), &json!(RELEASE)));
    let other = json!({"name_template": "TeamSdk", "license": LICENSE, "canonical": "aws-layer:team"});
    assert_eq!(layers["other_layer"], other);
    assert_eq!(layers.get("commit"), None);
    let entry = &layers["layers"]["both"];
    assert_eq!(entry["runtimes"], json!(["python3.14", "python3.99"]));
    for region in ["eu-west-1", "us-east-1"] {
        let arn = arn(&owner, region, "TeamSdk", 1);
        assert_eq!(entry["regions"][region]["arn"], arn);
        let (status, seen) = stranger.by_arn(&arn);
        assert_eq!(status, 200, "{seen}");
        assert_eq!(seen["Content"]["CodeSha256"], entry["code_sha256"]);
        assert_eq!(seen["CompatibleArchitectures"], json!(["arm64", "x86_64"]));
        assert_eq!(seen["CompatibleRuntimes"], json!(["python3.14", "python3.99"]));
        assert_eq!(seen["LicenseInfo"], LICENSE);
        let sha256 = entry["sha256"].as_str().unwrap();
        assert_eq!(seen["Description"], format!("TeamSdk {RELEASE}, sha256 {}", &sha256[..16]));
    }

    run(&publisher, &execute).expect(0).says("nothing to do");
    assert_eq!(layer.layers(), layers);
    assert_eq!(owner.versions("eu-west-1", "TeamSdk"), [1]);
    layer.run(&publisher, &["verify", "--download"]).expect(0).says("2 layer versions are as");
    let checked = arn(&owner, "us-east-1", "TeamSdk", 1);
    let verified =
        layer.run(&Publisher::at(&ministack().url(), &stranger.key), &["verify", "--arn", &checked]);
    verified.expect(0).says("both of TeamSdk 2.1.0").says("nothing leads out of /opt");

    // Both architectures find the same version.
    for arch in ["arm64", "x86_64"] {
        let args = ["arn", "--arch", arch, "--regions", "eu-west-1"];
        let found = layer.run(&Publisher::new(), &args).expect(0);
        assert_eq!(found.stdout.trim(), arn(&owner, "eu-west-1", "TeamSdk", 1));
    }
    let once = layer.run(&Publisher::new(), &["arn", "--regions", "eu-west-1"]).expect(0);
    assert_eq!(once.stdout.trim(), arn(&owner, "eu-west-1", "TeamSdk", 1));
    let latest = layer.run(&publisher, &["arn", "--latest", "--arch", "x86_64", "--regions", "eu-west-1"]);
    assert_eq!(latest.expect(0).stdout.trim(), arn(&owner, "eu-west-1", "TeamSdk", 1));
}

#[test]
fn the_release_registry_gets_one_file_and_the_extensions_templates_are_refused() {
    let owner = Account::new(ministack());
    let publisher = Publisher::at(&ministack().url(), &owner.key);
    let layer = OtherLayer::new("registry");
    layer.publish(&publisher, &["--runtimes", "python3.14", "--execute"]).expect(0);
    let registry = ["arn", "--format", "registry"];
    layer.run(&Publisher::new(), &registry).expect(1).says("has no name for the release registry");
    // A later run finds everything published, and adds the name.
    let more = ["--runtimes", "python3.14", "--canonical", "aws-layer:team", "--execute"];
    layer.publish(&publisher, &more).expect(0).says("nothing to do");
    let files = layer.run(&Publisher::new(), &registry).expect(0).says("name, repo_url").json();
    let expected = json!({
        "canonical": "aws-layer:team", "sdk_version": RELEASE, "account_number": owner.key,
        "layer_name": "TeamSdk", "regions": [{"region": "eu-west-1", "version": "1"}],
        "compatible_runtimes": ["python3.14"]
    });
    assert_eq!(files["aws-lambda-layers/team/2.1.0.json"], expected);
    assert_eq!(files["aws-lambda-layers/team/latest.json"], "2.1.0.json");

    for format in ["sam", "cloudformation", "cdk", "cdk-python", "terraform", "serverless", "dockerfile"] {
        let refused = layer.run(&Publisher::new(), &["arn", "--format", format]).expect(1);
        refused.says("not the extension's").says("text, json, markdown and registry");
    }
    let refused = layer.run(&publisher, &["attach", "my-function", "--regions", "eu-west-1"]).expect(2);
    refused.says("layers.json is of TeamSdk").says("--layer-arn");
}

#[test]
fn a_zip_for_each_architecture_is_a_layer_for_each() {
    let owner = Account::new(ministack());
    let publisher = Publisher::at(&ministack().url(), &owner.key);
    let layer = OtherLayer::new("x86_64");
    layer.write("arm.zip", &zip_of(&[("lib/team.so", b"arm64")]));
    let zips = [format!("x86_64={}", layer.file("layer.zip")), format!("arm64={}", layer.file("arm.zip"))];
    let zips: Vec<&str> = zips.iter().map(String::as_str).collect();
    let more = ["--execute", "--regions", "eu-west-1", "--canonical", "aws-layer:team-{arch}"];
    let more = [&more[..], &["--description", "What the team needs"]].concat();
    run(&publisher, &layer.args(&zips, "Team-{arch}-{major}", &more)).expect(0).says("2 published");
    let layers = layer.layers();
    assert_eq!(violations(&layers), [""; 0], "{layers:#}");
    for arch in ["arm64", "x86_64"] {
        let name = format!("Team-{arch}-2");
        assert_eq!(owner.versions("eu-west-1", &name), [1]);
        let (_, version) = owner.get("eu-west-1", &format!("layers/{name}/versions/1"));
        assert_eq!(version["CompatibleArchitectures"], json!([arch]));
        assert_eq!(version["Content"]["CodeSha256"], layers["layers"][arch]["code_sha256"]);
        let description = version["Description"].as_str().unwrap();
        assert!(description.starts_with("What the team needs, sha256 "), "{description}");
        let found = layer.run(&Publisher::new(), &["arn", "--arch", arch]).expect(0);
        assert_eq!(found.stdout.trim(), arn(&owner, "eu-west-1", &name, 1));
    }
    let files = layer.run(&Publisher::new(), &["arn", "--format", "registry"]).expect(0).json();
    assert_eq!(files["aws-lambda-layers/team-arm64/2.1.0.json"]["canonical"], "aws-layer:team-arm64");
    layer.run(&publisher, &["verify"]).expect(0).says("2 layer versions");

    // A single architecture is possible, too.
    let single = OtherLayer::new("arm64 alone");
    let zip = format!("arm64={}", single.file("layer.zip"));
    run(&publisher, &single.args(&[&zip], "ArmOnly", &["--execute", "--regions", "eu-west-1"])).expect(0);
    let refused = single.run(&Publisher::new(), &["arn", "--arch", "x86_64"]).expect(1);
    refused.says("the x86_64 layer of 2.1.0 is in no region");
}

#[test]
fn yank_and_prune_work_on_other_layers() {
    let (owner, stranger) = (Account::new(ministack()), Account::new(ministack()));
    let publisher = Publisher::at(&ministack().url(), &owner.key);
    let layer = OtherLayer::new("first");
    let publish = |content: &str, release: &str| {
        layer.write("layer.zip", &zip_of(&[("nodejs/index.js", content.as_bytes())]));
        layer.publish(&publisher, &["--release", release, "--execute"]).expect(0).says("1 published");
    };
    for (content, release) in [("a", "1.0.0"), ("b", "1.1.0"), ("c", "1.2.0")] {
        publish(content, release);
    }
    let latest = arn(&owner, "eu-west-1", "TeamSdk", 3);
    assert_eq!(stranger.by_arn(&latest).0, 200);
    layer.run(&publisher, &["yank", "1.2.0", "--reason", "it is wrong", "--execute"]).expect(0);
    assert_eq!(stranger.by_arn(&latest).0, 403);
    let marked = layer.layers();
    assert_eq!(violations(&marked), [""; 0], "{marked:#}");
    assert_eq!((&marked["schema"], &marked["yanked"]["reason"]), (&json!(3), &json!("it is wrong")));
    layer.run(&Publisher::new(), &["arn"]).expect(1).says("1.2.0 was yanked").says("it is wrong");
    let refused = layer.publish(&publisher, &["--release", "1.2.0", "--execute"]).expect(1);
    refused.says("1.2.0 was yanked");
    layer.run(&publisher, &["yank", "1.2.0", "--undo", "--execute"]).expect(0);
    assert_eq!(stranger.by_arn(&latest).0, 200);
    assert_eq!(layer.layers()["yanked"], Value::Null);

    layer.run(&publisher, &["prune", "--keep", "2", "--regions", "eu-west-1", "--execute"]).expect(0);
    assert_eq!(owner.versions("eu-west-1", "TeamSdk"), [2, 3]);
}

#[test]
fn prune_knows_the_shape_of_names_that_hold_the_release() {
    let owner = Account::new(ministack());
    let publisher = Publisher::at(&ministack().url(), &owner.key);
    let layer = OtherLayer::new("named");
    for release in ["1.9.0", "1.10.0", "2.0.0"] {
        layer.write("layer.zip", &zip_of(&[("file", release.as_bytes())]));
        let zip = layer.file("layer.zip");
        let more = ["--release", release, "--execute", "--regions", "eu-west-1"];
        run(&publisher, &layer.args(&[&zip], "Team_{major}_{minor}_{patch}", &more)).expect(0);
    }
    layer.run(&publisher, &["prune", "--keep", "2", "--regions", "eu-west-1", "--execute"]).expect(0);
    let left =
        ["1_9_0", "1_10_0", "2_0_0"].map(|name| owner.versions("eu-west-1", &format!("Team_{name}")).len());
    assert_eq!(left, [0, 1, 1]);
}

#[test]
fn a_canary_and_a_later_region_work_for_other_layers() {
    let owner = Account::new(ministack());
    let publisher = Publisher::at(&ministack().url(), &owner.key);
    let layer = OtherLayer::new("canary");
    let zip = layer.file("layer.zip");
    let canary =
        ["--canary", "eu-west-1", "--canary-check", "test -f \"$DIST/layers.json\" && test $REGION = x"];
    let refused = [&REGIONS[..], &canary, &["--execute"]].concat();
    run(&publisher, &layer.args(&[&zip], "TeamSdk", &refused)).expect(3);
    assert_eq!(owner.versions("eu-west-1", "TeamSdk"), [1]);
    assert!(owner.versions("us-east-1", "TeamSdk").is_empty(), "the canary failed");
    let canary = ["--canary", "eu-west-1", "--canary-check", "test -f \"$DIST/layers.json\""];
    let accepted = [&REGIONS[..], &canary, &["--execute"]].concat();
    run(&publisher, &layer.args(&[&zip], "TeamSdk", &accepted)).expect(0);
    assert_eq!(owner.versions("us-east-1", "TeamSdk"), [1]);
    run(&publisher, &layer.args(&[&zip], "TeamSdk", &["--regions", "eu-north-1", "--execute"])).expect(0);
    assert_eq!(layer.layers()["layers"]["both"]["regions"].as_object().unwrap().len(), 3);
}

#[test]
fn each_layer_needs_a_folder_of_its_own() {
    let owner = Account::new(ministack());
    let publisher = Publisher::at(&ministack().url(), &owner.key);
    let layer = OtherLayer::new("folder");
    layer.publish(&publisher, &["--execute"]).expect(0);
    let before = layer.layers();
    let other = layer.args(&[&layer.file("layer.zip")], "Other", &["--execute", "--regions", "eu-west-1"]);
    run(&publisher, &other).expect(1).says("is of other layers: TeamSdk").says("--dist DIR");
    assert!(owner.versions("eu-west-1", "Other").is_empty());

    // The extension's layers and others do not share a folder either.
    let dist = Dist::new("the extension's");
    std::fs::write(dist.path().join("layers.json"), before.to_string()).unwrap();
    let args = ["publish", "--execute", "--regions", "eu-west-1"];
    publisher.run(&dist, &args).expect(1).says("is of other layers: TeamSdk");
    assert_eq!(layer.layers(), before);
}
