//! Compares the policies that `iam-policy` prints with the requests that the commands really send to AWS.

use crate::support::{
    account::Account,
    cli::Publisher,
    dist::{Dist, other_zip},
    emulator::ministack,
    http,
    iam::{self, RequestedAction},
    proxy::{Proxy, Verdict},
    source,
};
use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Value, json};
use std::collections::BTreeSet;

const REGIONS: [&str; 2] = ["--regions", "eu-west-1,us-east-1"];

pub fn policy(args: &[&str]) -> Value {
    let run = Publisher::new().run_bare(&[&["iam-policy"], args].concat()).expect(0);
    assert_eq!(run.stderr, "");
    let size = run.json().to_string().len();
    assert!(size < 6_144, "{size} characters: {args:?}");
    run.json()
}

/// Asserts that the policy allows every requested action, and no others except those in `unasked`.
#[track_caller]
pub fn assert_exact(policy: &Value, asked: &BTreeSet<RequestedAction>, unasked: &[&str]) {
    for ask in asked {
        assert!(iam::allows(policy, ask), "not allowed: {ask:?} by\n{policy:#}");
    }
    let used: BTreeSet<&str> = asked.iter().map(|ask| ask.action).collect();
    let idle: Vec<String> =
        iam::actions(policy).into_iter().filter(|action| !used.contains(action.as_str())).collect();
    assert_eq!(idle, unasked, "allowed, and never asked for");
}

#[test]
fn each_policy_allows_exactly_the_requests_of_its_command() {
    let (owner, stranger) = (Account::new(ministack()), Account::new(ministack()));
    let proxy = Proxy::start(ministack().address(), |_| Verdict::Forward);
    let publisher = Publisher::at(&proxy.url(), &owner.key);
    let keys = format!("[stranger]\naws_access_key_id = {}\naws_secret_access_key = x\n", stranger.key);
    publisher.home_file(".aws/credentials", &keys);
    let dist = Dist::new("rights");
    let account = ["--account", owner.key.as_str()];
    let mut before = 0;
    let mut asked_since = || {
        let seen = proxy.requests();
        let new = iam::requested_actions(&seen[before..], &owner.key);
        before = seen.len();
        new
    };

    publisher.run(&dist, &["publish"]).expect(0);
    publisher.run(&dist, &[["publish", "--execute"].as_slice(), &REGIONS].concat()).expect(0);
    assert_exact(&policy(&[["publish"].as_slice(), &account].concat()), &asked_since(), &[]);

    publisher.run(&dist, &["verify", "--download", "--as", "stranger"]).expect(0);
    assert_exact(&policy(&[["verify"].as_slice(), &account].concat()), &asked_since(), &[]);

    publisher
        .run(&dist, &[["publish", "--execute", "--share-with", "private"].as_slice(), &REGIONS].concat())
        .expect(0);
    let asked = asked_since();
    let taken = |ask: &&RequestedAction| ask.action == "lambda:RemoveLayerVersionPermission";
    let publish = policy(&[["publish"].as_slice(), &account].concat());
    assert!(asked.iter().filter(taken).all(|ask| !iam::allows(&publish, ask)));
    assert!(asked.iter().any(|ask| taken(&ask)), "{asked:?}");
    let narrow = policy(&[["publish", "--narrow"].as_slice(), &account].concat());
    assert!(asked.iter().all(|ask| iam::allows(&narrow, ask)), "{asked:?}");

    owner.publish("eu-west-1", "SentryLambdaExtension-arm64", "arm64", &other_zip("newer"), "newer");
    owner.publish("eu-west-1", "SentryLambdaExtension-arm64", "arm64", &other_zip("newest"), "newest");
    asked_since();
    publisher.run(&dist, &["prune", "--keep", "1", "--execute"]).expect(0);
    assert_exact(&policy(&[["prune"].as_slice(), &account].concat()), &asked_since(), &[]);
}

#[test]
fn policies_cover_layers_with_relay_and_layers_for_each_release() {
    let owner = Account::new(ministack());
    let proxy = Proxy::start(ministack().address(), |_| Verdict::Forward);
    let publisher = Publisher::at(&proxy.url(), &owner.key);
    let account = ["--account", owner.key.as_str()];
    let asked = |args: &[&str], dist: &Dist| {
        let before = proxy.requests().len();
        publisher.run(dist, &[args, &REGIONS].concat()).expect(0);
        iam::requested_actions(&proxy.requests()[before..], &owner.key)
    };
    let releases = ["1.2.3", "1.2.4"].map(|version| {
        let dist = Dist::new(version).with_relay(1000, &["python3.14"]);
        dist.edit_build(|build| build["version"] = json!(version));
        dist
    });
    let usual = asked(&["publish", "--execute"], &releases[0]);
    assert_exact(&policy(&[["publish"].as_slice(), &account].concat()), &usual, &[]);

    let names = ["", "Relay"]
        .map(|kind| format!("SentryLambdaExtension{kind}-{{arch}}-{{major}}_{{minor}}_{{patch}}"));
    let of_releases = ["--layer-name", names[0].as_str(), "--layer-name", names[1].as_str()];
    for dist in &releases {
        let asked = asked(&["publish", "--execute", "--version-style", "named"], dist);
        assert_exact(&policy(&[["publish"].as_slice(), &account, &of_releases].concat()), &asked, &[]);
    }
    let asked = asked(&["prune", "--keep", "1", "--execute"], &releases[1]);
    assert_exact(&policy(&[["prune"].as_slice(), &account, &of_releases].concat()), &asked, &[]);
}

#[test]
fn pruning_layers_for_each_release_needs_to_list_them() {
    let owner = Account::new(ministack());
    let proxy = Proxy::start(ministack().address(), |_| Verdict::Forward);
    let publisher = Publisher::at(&proxy.url(), &owner.key);
    let names = ["--layer-name", "Team-{arch}-{major}_{minor}"];
    let [old, new] = ["1.2.0", "1.3.0"].map(|version| {
        let dist = Dist::new(version);
        dist.edit_build(|build| build["version"] = json!(version));
        let args = ["publish", "--execute", "--regions", "eu-west-1"];
        publisher.run(&dist, &[args.as_slice(), &names].concat()).expect(0);
        dist
    });
    drop(old);
    let before = proxy.requests().len();
    let run = publisher.run(&new, &[["prune", "--keep", "1", "--execute"].as_slice(), &names].concat());
    run.expect(0).says("2 of 2 superfluous");
    let policy = policy(&[["prune", "--account", &owner.key].as_slice(), &names].concat());
    assert_exact(&policy, &iam::requested_actions(&proxy.requests()[before..], &owner.key), &[]);
}

#[test]
fn a_bucket_adds_the_permissions_for_uploads_to_it() {
    let owner = Account::new(ministack());
    let proxy = Proxy::start(ministack().address(), |_| Verdict::Forward);
    let dist = Dist::large(53_000_000);
    let bucket = format!("rights-{}", owner.key);
    assert_eq!(crate::publish_s3::s3_request(&owner, "PUT", &format!("{bucket}-eu-west-1")).status(), 200);
    let template = format!("{bucket}-{{region}}");
    let args = ["publish", "--execute", "--regions", "eu-west-1", "--s3-bucket", &template];
    Publisher::at(&proxy.url(), &owner.key).run(&dist, &args).expect(0);
    let asked: BTreeSet<RequestedAction> = iam::requested_actions(&proxy.requests(), &owner.key)
        .into_iter()
        .filter(|ask| ask.action.starts_with("s3:"))
        .collect();
    assert!(!asked.is_empty(), "the zips did not go through the bucket");
    let account = ["--account", owner.key.as_str()];
    let with = policy(&[["publish", "--s3-bucket", &template].as_slice(), &account].concat());
    let without = policy(&[["publish"].as_slice(), &account].concat());
    for ask in &asked {
        assert!(iam::allows(&with, ask) && !iam::allows(&without, ask), "{ask:?}");
    }
    let used: BTreeSet<&str> = asked.iter().map(|ask| ask.action).collect();
    assert_eq!(used.len(), 4, "{used:?}");
    let elsewhere = RequestedAction {
        action: "s3:PutObject",
        resource: format!("arn:aws:s3:::{bucket}-eu-west-1/other.zip"),
    };
    assert!(!iam::allows(&with, &elsewhere));
}

#[test]
fn a_policy_covers_only_its_own_account_layers_and_partition() {
    let policy = policy(&["prune", "--account", "123456789012", "--partition", "aws-cn"]);
    let may = |resource: &str| {
        iam::allows(
            &policy,
            &RequestedAction { action: "lambda:DeleteLayerVersion", resource: resource.to_owned() },
        )
    };
    assert!(may("arn:aws-cn:lambda:cn-north-1:123456789012:layer:SentryLambdaExtension-arm64:7"));
    for other in [
        "arn:aws:lambda:us-east-1:123456789012:layer:SentryLambdaExtension-arm64:7",
        "arn:aws-cn:lambda:cn-north-1:210987654321:layer:SentryLambdaExtension-arm64:7",
        "arn:aws-cn:lambda:cn-north-1:123456789012:layer:SentryLambdaExtension-arm64-mine:7",
        "arn:aws-cn:lambda:cn-north-1:123456789012:layer:Other:7",
    ] {
        assert!(!may(other), "{other}");
    }
    assert!(!policy.to_string().contains("account:"), "China has no account:ListRegions");
    let bad = |args: &[&str]| Publisher::new().run_bare(&[&["iam-policy"], args].concat()).expect(2);
    bad(&["prune", "--account", "123"]);
    bad(&["prune", "--account", "123456789012", "--layer-name", "*"]).says("characters that are not allowed");
    bad(&["prune", "--account", "123456789012", "--partition", "aws-mars"]).says("aws-eusc");
    bad(&["publish", "--account", "123456789012", "--s3-bucket", "*"]);
    bad(&["attach", "--account", "123456789012", "--function", "a\"b"]);
}

#[test]
fn a_role_trusts_one_environment_of_one_repository() {
    let trust = |more: &[&str]| policy(&[&["trust", "--account", "123456789012"], more].concat());
    let statement =
        trust(&["--repository", "octo/lambda", "--environment", "staging"])["Statement"][0].clone();
    let provider = "arn:aws:iam::123456789012:oidc-provider/token.actions.githubusercontent.com";
    assert_eq!(statement["Principal"], json!({"Federated": provider}));
    assert_eq!(statement["Action"], json!(["sts:AssumeRoleWithWebIdentity"]));
    let condition = |subject: &str, audience: &str| {
        json!({"StringEquals": {
            "token.actions.githubusercontent.com:aud": audience,
            "token.actions.githubusercontent.com:sub": subject
        }})
    };
    assert_eq!(
        statement["Condition"],
        condition("repo:octo/lambda:environment:staging", "sts.amazonaws.com")
    );
    let ids = trust(&["--subject-prefix", "repo:octo@12/lambda@345", "--partition", "aws-cn"])["Statement"]
        [0]
    .clone();
    let subject = "repo:octo@12/lambda@345:environment:production";
    assert_eq!(ids["Condition"], condition(subject, "sts.amazonaws.com.cn"));
    let bad = |more: &[&str]| {
        Publisher::new()
            .run_bare(&[&["iam-policy", "trust", "--account", "123456789012"], more].concat())
            .expect(2)
    };
    bad(&["--repository", "octo/*"]).says("octo/*");
    bad(&[]).says("--repository");
}

/// Every AWS call in the sources has to be in a policy, even if no test makes the call. So a new call fails this test
/// until its permission is added.
#[test]
fn every_call_in_the_sources_is_in_a_policy() {
    let account = ["--account", "123456789012"];
    let mut allowed = BTreeSet::new();
    for step in [
        ["publish", "--narrow", "--s3-bucket", "x-{region}"].as_slice(),
        &["verify"],
        &["prune", "--layer-name", "X-{arch}-{major}"],
        &["attach", "--many"],
        &["doctor"],
    ] {
        allowed.extend(iam::actions(&policy(&[step, &account].concat())));
    }
    let calls = source::aws_calls();
    assert!(calls.contains("publish_layer_version") && calls.contains("head_bucket"), "{calls:?}");
    for call in calls.iter().filter(|call| !iam::CALLS_WITHOUT_PERMISSION.contains(&call.as_str())) {
        let Some(action) = iam::required_action(call) else {
            panic!("the sources call {call}, and nobody knows what that needs: tests/it/support/iam.rs");
        };
        assert!(allowed.contains(action), "{call} needs {action}: commands/iam_policy/rights.rs");
    }
}

/// ci/smoke does not use the publisher's code. It calls AWS through boto3.
#[test]
fn the_smoke_test_policy_allows_exactly_its_requests() {
    let owner = Account::new(ministack());
    let proxy = Proxy::start(ministack().address(), |_| Verdict::Forward);
    let dist = Dist::new("smoke rights");
    let publisher = Publisher::at(&proxy.url(), &owner.key).env("PUBLISHER", env!("CARGO_BIN_EXE_publisher"));
    publisher.run(&dist, &["publish", "--execute", "--regions", "eu-west-1"]).expect(0);
    let before = proxy.requests().len();
    let smoke = crate::build_fixture::repository().join("ci/smoke");
    let output = publisher
        .command(smoke.as_os_str())
        .args([dist.path().as_os_str(), "eu-west-1".as_ref(), "--emulated".as_ref()])
        .output()
        .unwrap();
    crate::build_fixture::assert_code(&output, 0);
    let asked = iam::requested_actions(&proxy.requests()[before..], &owner.key);
    // Lambda itself checks these permissions of the caller: one for passing the role, one for reading the layer.
    let by_lambda = ["iam:PassRole", "lambda:GetLayerVersion"];
    assert_exact(&policy(&["smoke", "--account", &owner.key]), &asked, &by_lambda);
}

#[test]
fn the_attach_policy_allows_exactly_its_requests() {
    let (owner, user) = (Account::new(ministack()), Account::new(ministack()));
    let dist = Dist::new("attach rights");
    let url = ministack().url();
    Publisher::at(&url, &owner.key).run(&dist, &["publish", "--execute", "--regions", "eu-west-1"]).expect(0);
    let code = STANDARD.encode(other_zip("a function"));
    let role = format!("arn:aws:iam::{}:role/any", user.key);
    let body = json!({
        "FunctionName": "mine", "Role": role, "Runtime": "python3.13", "Handler": "app.handler",
        "Architectures": ["arm64"], "Code": {"ZipFile": code}
    });
    let body = serde_json::to_vec(&body).unwrap();
    let head = format!(
        "POST /2015-03-31/functions HTTP/1.1\r\nhost: {}\r\nconnection: close\r\ncontent-length: {}\r\n\
         content-type: application/json\r\nauthorization: AWS4-HMAC-SHA256 \
         Credential={}/20260101/eu-west-1/lambda/aws4_request, SignedHeaders=host, Signature=0\r\n\r\n",
        ministack().address(),
        body.len(),
        user.key
    );
    assert_eq!(http::exchange(ministack().address(), &head, &body).unwrap().status(), 201);

    let proxy = Proxy::start(ministack().address(), |_| Verdict::Forward);
    let publisher = Publisher::at(&proxy.url(), &user.key);
    publisher.run(&dist, &["attach", "mine", "--region", "eu-west-1", "--execute"]).expect(0);
    publisher.run(&dist, &["attach", "mine", "--region", "eu-west-1", "--detach", "--execute"]).expect(0);
    let args = ["attach", "--account", &user.key, "--layers-of", &owner.key, "--function", "mine"];
    // Lambda itself reads the layer with the caller's permissions.
    assert_exact(
        &policy(&args),
        &iam::requested_actions(&proxy.requests(), &user.key),
        &["lambda:GetLayerVersion"],
    );
    let before = proxy.requests().len();
    let many = ["attach", "--tag", "team=a", "--match", "m*", "--regions", "eu-*", "--execute"];
    publisher.run(&dist, &many).expect(1).says("no function with team=a");
    let many = ["attach", "--match", "m*", "--regions", "eu-wes*-1", "--execute"];
    publisher.run(&dist, &many).expect(0);
    let asked = iam::requested_actions(&proxy.requests()[before..], &user.key);
    assert_exact(&policy(&[&args[..], &["--many"]].concat()), &asked, &["lambda:GetLayerVersion"]);
    let arn = |account: &Account| {
        let resource =
            format!("arn:aws:lambda:eu-west-1:{}:layer:SentryLambdaExtension-arm64:1", account.key);
        RequestedAction { action: "lambda:GetLayerVersion", resource }
    };
    assert!(iam::allows(&policy(&args), &arn(&owner)) && !iam::allows(&policy(&args), &arn(&user)));
}
