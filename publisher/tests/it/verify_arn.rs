//! `verify --arn`: somebody who does not own a layer version compares it with the files of its release.

use crate::support::{
    account::Account,
    cli::Publisher,
    dist::{COMMIT, Dist, layer_name, other_zip},
    emulator::ministack,
};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::{fs, os::unix::fs::PermissionsExt};

const SBOM: &str = "sentry-lambda-extension-arm64.cdx.json";

struct Case {
    owner: Account,
    dist: Dist,
    stranger: Publisher,
    arn: String,
}

impl Case {
    /// A published release, whose folder has a bill of materials.
    fn new(seed: &str) -> Self {
        let owner = Account::new(ministack());
        let dist = Dist::new(seed);
        let publisher = Publisher::at(&ministack().url(), &owner.key);
        publisher.run(&dist, &["publish", "--execute", "--regions", "eu-west-1"]).expect(0);
        let bill = json!({"components": [{"name": "a"}, {"name": "b"}]}).to_string();
        fs::write(dist.path().join(SBOM), &bill).unwrap();
        let sum: Vec<String> = Sha256::digest(&bill).iter().map(|byte| format!("{byte:02x}")).collect();
        let sum = sum.concat();
        let sums = fs::read_to_string(dist.path().join("SHA256SUMS")).unwrap();
        fs::write(dist.path().join("SHA256SUMS"), format!("{sums}{sum}  {SBOM}\n")).unwrap();
        let arn =
            dist.layers()["layers"]["arm64"]["regions"]["eu-west-1"]["arn"].as_str().unwrap().to_owned();
        let stranger = Publisher::at(&ministack().url(), &Account::new(ministack()).key);
        Self { owner, dist, stranger, arn }
    }

    fn verify(&self, more: &[&str], code: i32) -> crate::support::cli::Run {
        self.stranger.run(&self.dist, &[&["verify", "--arn", &self.arn], more].concat()).expect(code)
    }

    /// The outcome of each check.
    fn outcomes(&self, code: i32) -> Value {
        let document = self.verify(&["--json"], code).json();
        assert_eq!(document["ok"], json!(code == 0), "{document:#}");
        let checks = document["checks"].as_array().unwrap();
        checks
            .iter()
            .map(|check| (check["check"].as_str().unwrap().to_owned(), check["outcome"].clone()))
            .collect()
    }

    fn edit_layers(&self, edit: impl FnOnce(&mut Value)) {
        let mut layers = self.dist.layers();
        edit(&mut layers);
        fs::write(self.dist.path().join("layers.json"), layers.to_string()).unwrap();
    }
}

#[test]
fn a_stranger_compares_a_layer_version_with_its_release() {
    let case = Case::new("stranger");
    let expected = json!({
        "download": "ok", "layers.json": "ok", "sha256": "ok", "description": "ok", "SHA256SUMS": "ok",
        "content": "ok", "licences": "unknown", "SBOM": "ok", "attestation": "unknown"
    });
    assert_eq!(case.outcomes(0), expected);
    let run = case.verify(&[], 0).says("all that could be checked holds").says("2 checks could not be made");
    for text in ["sentry-lambda-extension-arm64.zip", COMMIT, "2 components", "name the repository"] {
        assert!(run.stdout.contains(text), "{text}: {}", run.stdout);
    }

    // With the sums alone, less can be checked, and with nothing there is nothing to prove.
    fs::remove_file(case.dist.path().join("layers.json")).unwrap();
    assert_eq!(case.outcomes(0)["layers.json"], "unknown");
    fs::remove_file(case.dist.path().join("SHA256SUMS")).unwrap();
    case.verify(&[], 1).says("there is neither layers.json nor SHA256SUMS");
}

#[test]
fn other_bytes_and_other_layers_are_not_the_release() {
    let mut case = Case::new("other");
    case.edit_layers(|layers| layers["layers"]["arm64"]["sha256"] = json!("0".repeat(64)));
    let outcomes = case.outcomes(1);
    assert_eq!((&outcomes["sha256"], &outcomes["SHA256SUMS"]), (&json!("differs"), &json!("ok")));
    assert_eq!(outcomes["content"], "unknown", "it is not unpacked");

    let number =
        case.owner.publish("eu-west-1", &layer_name("arm64"), "arm64", &other_zip("theirs"), "theirs");
    let path = format!("layers/{}/versions/{number}/policy", layer_name("arm64"));
    let body = json!({"StatementId": "public", "Action": "lambda:GetLayerVersion", "Principal": "*"});
    assert_eq!(case.owner.lambda("eu-west-1", "POST", &path, &body).0, 201);
    case.arn = case.arn.replace(":1", &format!(":{number}"));
    let run = case.verify(&[], 1).says("do not attach it");
    assert!(run.stdout.contains("the release 1.2.3 has no such layer version"), "{}", run.stdout);
    assert!(run.stdout.contains("lists no zip with these bytes"), "{}", run.stdout);

    case.arn = case.arn.replace("arm64", "nothing");
    case.verify(&[], 1).says("does not exist, is not shared with this account, or was yanked");
}

#[test]
fn a_changed_bill_of_materials_and_a_yank_are_seen() {
    let case = Case::new("changed");
    // It is a document like the right one, with other components.
    fs::write(case.dist.path().join(SBOM), json!({"components": []}).to_string()).unwrap();
    assert_eq!(case.outcomes(1)["SBOM"], "differs");
    fs::remove_file(case.dist.path().join(SBOM)).unwrap();
    assert_eq!(case.outcomes(0)["SBOM"], "unknown");

    case.edit_layers(|layers| {
        layers["schema"] = json!(2);
        layers["yanked"] = json!({"at": "2026-11-26T03:00:00Z"});
    });
    assert_eq!(case.outcomes(1)["yank"], "differs");
}

#[test]
fn the_attestation_has_to_be_of_the_release_workflow_the_tag_and_the_commit() {
    let case = Case::new("attested");
    let bin = case.dist.path().join("bin");
    fs::create_dir(&bin).unwrap();
    let gh = bin.join("gh");
    let repository = "owner/name";
    let path = format!("{}:{}", bin.display(), std::env::var("PATH").unwrap());
    let verify = |script: &str, code| {
        fs::write(&gh, format!("#!/bin/sh\n{script}\n")).unwrap();
        fs::set_permissions(&gh, fs::Permissions::from_mode(0o755)).unwrap();
        let stranger = Publisher::at(&ministack().url(), &Account::new(ministack()).key).env("PATH", &path);
        let args = ["verify", "--arn", &case.arn, "--repository", repository];
        stranger.run(&case.dist, &args).expect(code)
    };
    let asked = case.dist.path().join("asked");
    let run = verify(&format!("sha256sum < \"$3\" > {0}; shift 3; echo \"$@\" >> {0}", asked.display()), 0);
    assert!(run.stdout.contains("by the release workflow of owner/name"), "{}", run.stdout);
    let sha256 = Dist::hex_of_base64(&case.dist.code_sha256("arm64"));
    let expected = format!(
        "{sha256}  -\n--repo owner/name --signer-workflow owner/name/.github/workflows/release.yml \
         --source-ref refs/tags/v1.2.3 --source-digest {COMMIT} --deny-self-hosted-runners\n"
    );
    assert_eq!(fs::read_to_string(&asked).unwrap(), expected);
    let run = verify("echo 'no attestations found' >&2; exit 1", 1);
    assert!(run.stdout.contains("no attestations found"), "{}", run.stdout);
    let run = verify("echo 'to get started, run: gh auth login' >&2; exit 4", 0);
    assert!(run.stdout.contains("gh auth login"), "{}", run.stdout);
}
