//! The options of `iam-policy` that add what other options of the commands take, held to what the commands ask of AWS.

use crate::{
    iam_policy::{assert_exact, policy},
    support::{
        account::Account,
        cli::Publisher,
        dist::Dist,
        emulator::ministack,
        function::Function,
        iam::{self, RequestedAction},
        proxy::{Proxy, Verdict},
    },
};
use serde_json::json;
use std::collections::BTreeSet;

/// A function of this account with these layers.
fn function(user: &Account, name: &str, layers: &[&str]) {
    Function::new(user, "eu-west-1", name, &json!({"Layers": layers}));
}

#[test]
fn the_attach_policy_covers_latest_and_other_layers() {
    let (owner, other) = (Account::new(ministack()), Account::new(ministack()));
    let dist = Dist::new("attach latest rights");
    let args = ["publish", "--execute", "--regions", "eu-west-1"];
    Publisher::at(&ministack().url(), &owner.key).run(&dist, &args).expect(0);
    Publisher::at(&ministack().url(), &other.key)
        .run(&Dist::new("theirs"), &[&args[..], &["--layer-name", "Theirs-{arch}"]].concat())
        .expect(0);
    let theirs = format!("arn:aws:lambda:eu-west-1:{}:layer:Theirs-x86_64:1", other.key);
    function(&owner, "latest", &[&theirs]);
    let proxy = Proxy::start(ministack().address(), |_| Verdict::Forward);
    let run = Publisher::at(&proxy.url(), &owner.key)
        .run(&dist, &["attach", "latest", "--region", "eu-west-1", "--latest", "--execute"]);
    run.expect(0).says("the change is in effect");
    let mut asked = iam::requested_actions(&proxy.requests(), &owner.key);
    // AWS reads all layers that the update names, in the caller's name: also those of others.
    let read =
        |resource: &str| RequestedAction { action: "lambda:GetLayerVersion", resource: resource.to_owned() };
    asked.extend([read(&theirs)]);
    let account = ["attach", "--account", &owner.key, "--function", "latest"];
    let with = policy(&[&account[..], &["--latest", "--other-layers", &theirs]].concat());
    assert_exact(&with, &asked, &[]);
    let with = policy(&[&account[..], &["--latest", "--other-layers", "any"]].concat());
    assert_exact(&with, &asked, &[]);
    let without = policy(&account);
    let missing: Vec<&str> =
        asked.iter().filter(|ask| !iam::allows(&without, ask)).map(|ask| ask.action).collect();
    assert_eq!(missing, ["lambda:GetLayerVersion", "lambda:ListLayerVersions"]);
    let bad = |layer: &str| {
        let args = [&["iam-policy"], &account[..], &["--other-layers", layer]].concat();
        Publisher::new().run_bare(&args).expect(2)
    };
    bad("*").says("nor the ARN of a layer");
}

#[test]
fn the_arn_policy_allows_exactly_its_requests() {
    let owner = Account::new(ministack());
    let dist = Dist::new("arn rights");
    let proxy = Proxy::start(ministack().address(), |_| Verdict::Forward);
    let publisher = Publisher::at(&proxy.url(), &owner.key);
    publisher.run(&dist, &["publish", "--execute", "--regions", "eu-west-1"]).expect(0);
    let before = proxy.requests().len();
    publisher.run(&dist, &["arn", "--latest"]).expect(0);
    publisher.run(&dist, &["arn", "--latest", "--regions", "eu-*"]).expect(0);
    let asked = iam::requested_actions(&proxy.requests()[before..], &owner.key);
    assert_exact(&policy(&["arn", "--account", &owner.key]), &asked, &[]);
}

/// No emulator asks KMS. So this asks the policy what S3 asks KMS in the caller's name: a data key for each object that
/// is written, and the decryption of each that is read.
#[test]
fn a_bucket_with_a_kms_key_adds_the_permissions_for_the_key() {
    let owner = Account::new(ministack());
    let proxy = Proxy::start(ministack().address(), |_| Verdict::Forward);
    let dist = Dist::large(53_000_000);
    let bucket = format!("keys-{}-eu-west-1", owner.key);
    assert_eq!(crate::publish_s3::s3_request(&owner, "PUT", &bucket).status(), 200);
    let template = format!("keys-{}-{{region}}", owner.key);
    let args = ["publish", "--execute", "--regions", "eu-west-1", "--s3-bucket", &template];
    Publisher::at(&proxy.url(), &owner.key).run(&dist, &args).expect(0);
    let key =
        |region: &str| format!("arn:aws:kms:{region}:{}:key/1234abcd-12ab-34cd-56ef-1234567890ab", owner.key);
    let asked: BTreeSet<RequestedAction> = iam::requested_actions(&proxy.requests(), &owner.key)
        .into_iter()
        .flat_map(|ask| match ask.action {
            "s3:PutObject" => vec!["kms:GenerateDataKey", "kms:Decrypt"],
            "s3:GetObject" => vec!["kms:Decrypt"],
            _ => vec![],
        })
        .map(|action| RequestedAction { action, resource: key("eu-west-1") })
        .collect();
    assert_eq!(asked.len(), 2);
    let account = ["publish", "--account", &owner.key, "--s3-bucket", &template];
    let without = policy(&account);
    for named in [key("{region}"), key("eu-west-1")] {
        let with = policy(&[&account[..], &["--kms-key", &named]].concat());
        for ask in &asked {
            assert!(iam::allows(&with, ask) && !iam::allows(&without, ask), "{ask:?} by {with:#}");
        }
        let other =
            RequestedAction { action: "kms:Decrypt", resource: key("eu-west-1").replace("1234abcd", "0") };
        assert!(!iam::allows(&with, &other));
        let statement =
            with["Statement"].as_array().unwrap().iter().find(|it| it["Sid"] == "Keys").unwrap().clone();
        assert!(statement["Condition"]["StringLike"]["kms:ViaService"].as_str().unwrap().starts_with("s3."));
    }
    Publisher::new()
        .run_bare(&["iam-policy", "publish", "--account", &owner.key, "--kms-key", &key("eu-west-1")])
        .expect(2)
        .says("--s3-bucket");
}
