//! `publisher publish` where no request fails.

use crate::support::{
    account::Account,
    cli::{Publisher, Run},
    dist::{ARCHES, COMMIT, Dist, layer_name},
    emulator::ministack,
};
use serde_json::{Value, json};

/// The value of `key` in each row of the JSON output, in order.
fn column(run: &Run, key: &str) -> Vec<Value> {
    run.json()["regions"].as_array().unwrap().iter().map(|row| row[key].clone()).collect()
}

#[test]
fn every_region_gets_both_layers_once_and_everybody_may_use_them() {
    let (owner, stranger) = (Account::new(ministack()), Account::new(ministack()));
    let publisher = Publisher::at(&ministack().url(), &owner.key);
    let dist = Dist::new("all regions");

    let plan = publisher.run(&dist, &["publish", "--json"]).expect(0).says("nothing was written");
    let regions: Vec<String> =
        column(&plan, "region").iter().step_by(2).map(|r| r.as_str().unwrap().to_owned()).collect();
    assert!(regions.len() >= 31, "{regions:?}");
    assert!(column(&plan, "action").iter().all(|action| action == "publish"));

    let first = publisher.run(&dist, &["publish", "--execute", "--json"]).expect(0);
    assert!(column(&first, "done").iter().all(|done| done == true), "{}", first.stdout);

    let layers = dist.layers();
    assert_eq!(layers["schema"], 1);
    assert_eq!(layers["version"], "1.2.3");
    assert_eq!(layers["commit"], COMMIT);
    assert_eq!(layers["accounts"], json!({"aws": owner.key}));
    for arch in ARCHES {
        let entry = &layers["layers"][arch];
        assert_eq!(entry["layer_name"], layer_name(arch));
        assert_eq!(entry["code_sha256"], dist.code_sha256(arch));
        assert_eq!(entry["size"], std::fs::metadata(dist.zip(arch)).unwrap().len());
        let places = entry["regions"].as_object().unwrap();
        assert_eq!(places.keys().collect::<Vec<_>>(), regions.iter().collect::<Vec<_>>());
        for (region, place) in places {
            let arn = format!("arn:aws:lambda:{region}:{}:layer:{}:1", owner.key, layer_name(arch));
            assert_eq!(place["arn"], arn);
            assert_eq!(place["version"], 1);
            assert_eq!(place["grant"], "public");
            assert!(place["verified_at"].as_str().unwrap().ends_with('Z'));
            // Another account sees only what it has been granted.
            let (status, seen) = stranger.by_arn(&arn);
            assert_eq!(status, 200, "{seen}");
            assert_eq!(seen["Content"]["CodeSha256"], dist.code_sha256(arch));
            assert_eq!(seen["CompatibleArchitectures"], json!([arch]));
            assert_eq!(seen["LicenseInfo"], "BSD-3-Clause");
            let description = seen["Description"].as_str().unwrap();
            assert!(description.contains("1.2.3") && description.contains(&COMMIT[..12]), "{description}");
            assert!(!description.contains(&COMMIT[..13]), "{description}");
        }
    }
    let text = std::fs::read_to_string(dist.path().join("layers.json")).unwrap();
    assert!(text.ends_with("}\n") && !text.ends_with("\n\n"));

    let again = publisher.run(&dist, &["publish", "--json"]).expect(0).says("nothing to do");
    assert!(column(&again, "action").iter().all(|action| action == "adopt"));
    publisher.run(&dist, &["publish", "--execute"]).expect(0).says("nothing to do");
    for region in &regions {
        for arch in ARCHES {
            assert_eq!(owner.versions(region, &layer_name(arch)), [1], "{region} {arch}");
        }
    }
    assert_eq!(dist.layers(), layers);
    publisher.run(&dist, &["verify"]).expect(0).says(&format!("{} layer versions", regions.len() * 2));
}

#[test]
fn without_execute_nothing_is_written() {
    let owner = Account::new(ministack());
    let dist = Dist::new("plan");
    let files = dist.files();
    let run =
        Publisher::at(&ministack().url(), &owner.key).run(&dist, &["publish", "--regions", "eu-west-1"]);
    let run = run.expect(0).says("nothing was written").says("--execute").says("eu-west-1  arm64   publish");
    assert!(run.stderr.contains(&owner.key) && run.stderr.contains("(aws)"), "{}", run.stderr);
    for arch in ARCHES {
        assert!(owner.versions("eu-west-1", &layer_name(arch)).is_empty());
    }
    assert_eq!(dist.files(), files);
}

#[test]
fn the_endpoint_and_the_profile_can_be_named_on_the_command_line() {
    let (owner, other) = (Account::new(ministack()), Account::new(ministack()));
    let dist = Dist::new("profile");
    // A profile that is named on the command line has precedence over keys in the environment.
    let publisher = Publisher::new().env("AWS_ACCESS_KEY_ID", &other.key).env("AWS_SECRET_ACCESS_KEY", "x");
    let keys = format!("[team]\naws_access_key_id = {}\naws_secret_access_key = x\n", owner.key);
    publisher.home_file(".aws/credentials", &keys);
    publisher.home_file(".aws/config", "[profile team]\nregion = sa-east-1\n");
    let url = ministack().url();
    let args =
        ["publish", "--profile", "team", "--endpoint-url", &url, "--regions", "sa-east-1", "--execute"];
    publisher.run(&dist, &args).expect(0).says(&owner.key);
    assert_eq!(owner.versions("sa-east-1", &layer_name("arm64")), [1]);
    assert!(other.versions("sa-east-1", &layer_name("arm64")).is_empty());
}

#[test]
fn credentials_come_from_a_process_or_a_web_identity_as_well() {
    let owner = Account::new(ministack());
    let dist = Dist::new("sources");
    let url = ministack().url();
    let process = Publisher::new().env("AWS_ENDPOINT_URL", &url).env("AWS_PROFILE", "made");
    let keys = json!({"Version": 1, "AccessKeyId": owner.key, "SecretAccessKey": "x"});
    process.home_file("keys.json", &keys.to_string());
    process.home_file(".aws/config", "[profile made]\ncredential_process = cat $HOME/keys.json\n");
    process.run(&dist, &["publish", "--regions", "eu-west-1"]).expect(0).says(&owner.key);

    // GitHub Actions provides a token and the name of a role.
    let token = dist.path().join("token");
    std::fs::write(&token, "header.claims.signature").unwrap();
    let role = format!("arn:aws:iam::{}:role/publisher", owner.key);
    let web = Publisher::new()
        .env("AWS_ENDPOINT_URL", &url)
        .env("AWS_REGION", "eu-west-1")
        .env("AWS_WEB_IDENTITY_TOKEN_FILE", token.to_str().unwrap())
        .env("AWS_ROLE_ARN", &role);
    web.run(&dist, &["publish", "--regions", "eu-west-1"]).expect(0).says("Account");
}

#[test]
fn another_machine_adopts_published_layers_and_adds_missing_grants() {
    let (owner, stranger) = (Account::new(ministack()), Account::new(ministack()));
    let publisher = Publisher::at(&ministack().url(), &owner.key);
    let dist = Dist::new("adopt");
    let regions = ["--regions", "eu-west-1,us-east-1"];
    let publish = |dist: &Dist, more: &[&str]| {
        publisher.run(dist, &[&["publish", "--json"], regions.as_slice(), more].concat())
    };
    publish(&dist, &["--execute"]).expect(0);
    owner.revoke("us-east-1", &layer_name("x86_64"), 1);
    let arn = dist.layers()["layers"]["x86_64"]["regions"]["us-east-1"]["arn"].as_str().unwrap().to_owned();
    assert_eq!(stranger.by_arn(&arn).0, 403);
    // A newer version with other bytes under the same name is not this release, so it is not adopted.
    let other = Dist::new("somebody else's");
    publish(&other, &["--execute"]).expect(0);

    let elsewhere = Dist::new("adopt");
    let actions = column(&publish(&elsewhere, &[]).expect(0), "action");
    assert_eq!(actions, ["adopt", "adopt", "adopt", "grant"]);
    publish(&elsewhere, &["--execute"]).expect(0);
    let numbers = |dist: &Dist| -> Vec<Value> {
        let layers = dist.layers();
        ARCHES.iter().map(|arch| layers["layers"][arch]["regions"]["us-east-1"]["arn"].clone()).collect()
    };
    assert_eq!(numbers(&elsewhere), numbers(&dist));
    assert_eq!(stranger.by_arn(&arn).0, 200);
    for arch in ARCHES {
        assert_eq!(owner.versions("us-east-1", &layer_name(arch)), [1, 2]);
    }
}

#[test]
fn a_later_run_adds_its_regions_and_other_zips_start_a_new_manifest() {
    let owner = Account::new(ministack());
    let publisher = Publisher::at(&ministack().url(), &owner.key);
    let dist = Dist::new("merge");
    let regions = |dist: &Dist| {
        let layers = dist.layers();
        let keys = layers["layers"]["arm64"]["regions"].as_object().unwrap().keys().cloned();
        keys.collect::<Vec<_>>()
    };
    publisher.run(&dist, &["publish", "--execute", "--regions", "us-west-2,eu-west-1"]).expect(0);
    publisher.run(&dist, &["publish", "--execute", "--regions", "eu-north-1"]).expect(0);
    assert_eq!(regions(&dist), ["eu-north-1", "eu-west-1", "us-west-2"]);

    let next = Dist::new("merge, next release");
    std::fs::copy(dist.path().join("layers.json"), next.path().join("layers.json")).unwrap();
    publisher.run(&next, &["publish", "--execute", "--regions", "eu-west-1"]).expect(0);
    assert_eq!(regions(&next), ["eu-west-1"]);
    assert_eq!(next.layers()["layers"]["arm64"]["regions"]["eu-west-1"]["version"], 2);
}

#[test]
fn names_follow_the_template() {
    let owner = Account::new(ministack());
    let dist = Dist::new("names");
    let template = "Team_{major}-{minor}-{patch}-{arch}";
    let args = ["publish", "--execute", "--regions", "eu-west-1", "--layer-name", template];
    Publisher::at(&ministack().url(), &owner.key).run(&dist, &args).expect(0);
    for arch in ARCHES {
        assert_eq!(owner.versions("eu-west-1", &format!("Team_1-2-3-{arch}")), [1]);
    }
}
