//! `publisher attach` for many functions: the plan, the run, the second run, and the way back.

use crate::support::{
    account::Account,
    cli::Publisher,
    dist::Dist,
    emulator::ministack,
    function::Function,
    proxy::{Proxy, Verdict},
};
use serde_json::{Value, json};
use std::collections::BTreeMap;

const REGION: &str = "eu-west-1";

fn layer(owner: &Account, region: &str, arch: &str) -> String {
    format!("arn:aws:lambda:{region}:{}:layer:SentryLambdaExtension-{arch}:1", owner.key)
}

fn published(owner: &Account, seed: &str, regions: &str) -> Dist {
    let dist = Dist::new(seed);
    let args = ["publish", "--execute", "--regions", regions];
    Publisher::at(&ministack().url(), &owner.key).run(&dist, &args).expect(0);
    dist
}

/// The functions of a report, by name.
fn by_name(report: &Value) -> BTreeMap<String, Value> {
    let name = |row: &Value| row["function"].as_str().unwrap().rsplit(':').next().unwrap().to_owned();
    report["functions"].as_array().unwrap().iter().map(|row| (name(row), row.clone())).collect()
}

/// The state file that the run has named.
fn state_file(report: &Value) -> String {
    report["state"].as_str().unwrap().to_owned()
}

#[test]
fn a_pattern_attaches_to_the_functions_that_match_and_undo_puts_back_what_was_there() {
    let owner = Account::new(ministack());
    let dist = published(&owner, "bulk", REGION);
    let publisher = Publisher::at(&ministack().url(), &owner.key);
    let other = owner.other_layer(REGION, "other");
    let variables = json!({"Variables": {"SECRET": "s", "AWS_LAMBDA_EXEC_WRAPPER": ""}});
    let plain = Function::new(&owner, REGION, "orders-plain", &json!({"Environment": variables}));
    let arm = json!({"Architectures": ["arm64"], "Layers": [other]});
    let arm = Function::new(&owner, REGION, "orders-arm", &arm);
    let wrapped = json!({"Variables": {"AWS_LAMBDA_EXEC_WRAPPER": "/opt/other"}});
    let wrapped = Function::new(&owner, REGION, "orders-wrapped", &json!({"Environment": wrapped}));
    let image = json!({
        "FunctionName": "orders-image", "PackageType": "Image", "Code": {"ImageUri": "x.example/y:z"},
        "Role": format!("arn:aws:iam::{}:role/function", owner.key)
    });
    let body = serde_json::to_vec(&image).unwrap();
    let answer = owner.call("lambda", REGION, "POST", "/2015-03-31/functions", "application/json", &body);
    assert_eq!(answer.status(), 201, "{}", answer.json());
    let image = Function { account: &owner, region: REGION, name: "orders-image" };
    let outside = Function::new(&owner, REGION, "billing", &json!({}));

    let attach = ["attach", "--match", "orders-*", "--regions", REGION, "--exec-wrapper"];
    let preview = publisher.run(&dist, &attach).expect(1);
    let preview = preview.says("4 functions: 2 to change, 1 skipped, 1 refused").says("nothing was changed");
    for part in [
        "orders-plain",
        "AWS_LAMBDA_EXEC_WRAPPER is /opt/other already",
        "other:1 SentryLambdaExtension-arm64:1",
    ] {
        assert!(preview.stdout.contains(part), "no {part:?} in {}", preview.stdout);
    }
    assert!(!preview.stdout.contains("billing"), "{}", preview.stdout);
    assert_eq!(arm.layers(), std::slice::from_ref(&other));

    let execute = [&attach[..], &["--execute", "--json"]].concat();
    let report = publisher.run(&dist, &execute).expect(1).json();
    let outcomes: Vec<(String, Value)> =
        by_name(&report).into_iter().map(|(name, row)| (name, row["outcome"].clone())).collect();
    let expected = [
        ("orders-arm", "updated"),
        ("orders-image", "skipped"),
        ("orders-plain", "updated"),
        ("orders-wrapped", "refused"),
    ];
    assert_eq!(outcomes, expected.map(|(name, outcome)| (name.to_owned(), json!(outcome))));
    assert_eq!(arm.layers(), [other.clone(), layer(&owner, REGION, "arm64")]);
    assert_eq!(plain.layers(), [layer(&owner, REGION, "x86_64")]);
    assert_eq!(
        plain.variables(),
        json!({"SECRET": "s", "AWS_LAMBDA_EXEC_WRAPPER": "/opt/sentry-exec-wrapper"})
    );
    assert!(wrapped.layers().is_empty() && outside.layers().is_empty() && image.layers().is_empty());
    let again = publisher.run(&dist, &execute).expect(1).json();
    assert_eq!(again["totals"], json!({"unchanged": 2, "skipped": 1, "refused": 1}));
    let file = state_file(&report);
    assert_eq!(state_file(&again), file);
    assert!(!std::fs::read_to_string(&file).unwrap().contains("SECRET"), "variables of others were recorded");

    let undo = ["attach", "--undo", &file];
    publisher.run(&dist, &undo).expect(0).says("2 functions: 2 to change");
    assert_eq!(plain.layers().len(), 1);
    let undo = [&undo[..], &["--execute"]].concat();
    publisher.run(&dist, &undo).expect(0).says("2 functions: 2 updated");
    assert_eq!(arm.layers(), std::slice::from_ref(&other));
    assert!(plain.layers().is_empty());
    assert_eq!(plain.variables(), variables["Variables"]);
    publisher.run(&dist, &undo).expect(0).says("nothing is left to undo");
    // The same command can be run once more, and taken back once more.
    publisher.run(&dist, &execute).expect(1);
    publisher.run(&dist, &undo).expect(0).says("2 functions: 2 updated");
    assert_eq!(arm.layers(), [other]);
}

#[test]
fn tags_select_functions_and_what_reverts_a_change_is_named() {
    let owner = Account::new(ministack());
    let dist = published(&owner, "tags", REGION);
    let publisher = Publisher::at(&ministack().url(), &owner.key);
    let tagged = |tags: Value| json!({"Tags": tags});
    let stack =
        tagged(json!({"team": "a", "aws:cloudformation:stack-name": "shop", "lambda:createdBy": "SAM"}));
    Function::new(&owner, REGION, "of-a-stack", &stack);
    Function::new(&owner, REGION, "of-terraform", &tagged(json!({"team": "a", "ManagedBy": "terraform"})));
    let alone = Function::new(&owner, REGION, "alone", &tagged(json!({"team": "a"})));
    let other = Function::new(&owner, REGION, "other", &tagged(json!({"team": "b"})));
    let post = |path: &str, body: Value| {
        let body = serde_json::to_vec(&body).unwrap();
        let path = format!("/2015-03-31/functions/alone/{path}");
        let answer = owner.call("lambda", REGION, "POST", &path, "application/json", &body);
        assert_eq!(answer.status(), 201, "{}", answer.json());
    };
    post("versions", json!({}));
    post("aliases", json!({"Name": "live", "FunctionVersion": "1"}));
    post("aliases", json!({"Name": "next", "FunctionVersion": "$LATEST"}));

    let attach = ["attach", "--tag", "team=a", "--regions", REGION];
    let run = publisher.run(&dist, &[&attach[..], &["--json"]].concat()).expect(0);
    let rows = by_name(&run.json());
    assert_eq!(rows.len(), 3);
    assert_eq!(rows["of-a-stack"]["managed_by"], "SAM, stack shop");
    assert_eq!(rows["of-terraform"]["managed_by"], "Terraform");
    assert_eq!(rows["alone"]["managed_by"], Value::Null);
    assert_eq!(rows["alone"]["aliases"], json!([{"name": "live", "version": "1"}]));
    let run = publisher.run(&dist, &[&attach[..], &["--execute"]].concat()).expect(0);
    let run =
        run.says("alone (live → 1)").says("of-a-stack (SAM, stack shop)").says("of-terraform (Terraform)");
    run.says("3 functions: 3 updated");
    assert_eq!(alone.layers(), [layer(&owner, REGION, "x86_64")]);
    assert!(other.layers().is_empty());
    let both = ["attach", "--tag", "team", "--match", "o*", "--detach", "--execute", "--regions", REGION];
    publisher.run(&dist, &both).expect(0).says("3 functions: 1 unchanged, 2 updated");
}

#[test]
fn what_matches_nothing_is_named_before_anything_is_changed() {
    let owner = Account::new(ministack());
    let dist = published(&owner, "nothing", REGION);
    let function = Function::new(&owner, REGION, "orders-1", &json!({"Tags": {"team": "a"}}));
    let proxy = Proxy::start(ministack().address(), |_| Verdict::Forward);
    let publisher = Publisher::at(&proxy.url(), &owner.key);
    for (args, says) in [
        (
            &["--match", "orders-*", "--match", "order_*"][..],
            "no function matches order_* in eu-west-1, of 1 there",
        ),
        (&["--tag", "team=b"], "no function has team=b in eu-west-1"),
        (
            &["--tag", "team=b", "--match", "orders-*"],
            "no function with team=b matches orders-* in eu-west-1",
        ),
        (&["orders-1", "orders-2"], "there is no function orders-2 in eu-west-1"),
    ] {
        let args = [&["attach", "--execute", "--regions", REGION], args].concat();
        publisher.run(&dist, &args).expect(1).says(says).says("nothing was changed");
    }
    for args in [
        &["attach"][..],
        &["attach", "--match", "a b"],
        &["attach", "--tag", "=x"],
        &["attach", "orders-1", "--match", "orders-*"],
        &["attach", "--undo", "x", "orders-1"],
        &["attach", "a", "b", "--insights", "monitor=nightly", "--regions", REGION],
    ] {
        publisher.run(&dist, args).expect(2);
    }
    assert!(proxy.requests().iter().all(|seen| !seen.line.starts_with("PUT ")));
    assert!(function.layers().is_empty());
}

#[test]
fn insights_are_set_in_the_same_update_and_undo_takes_them_back() {
    let owner = Account::new(ministack());
    let dist = published(&owner, "insights", REGION);
    let proxy = Proxy::start(ministack().address(), |_| Verdict::Forward);
    let publisher = Publisher::at(&proxy.url(), &owner.key);
    let variables = json!({"Variables": {"A": "1", "SENTRY_EXTENSION_SPANS": "auto"}});
    let one = Function::new(&owner, REGION, "one", &json!({"Environment": variables}));
    let args = [
        "attach",
        "one",
        "--regions",
        REGION,
        "--exec-wrapper",
        "--insights",
        "logs=warn,errors",
        "--insights",
        "spans=0.25",
    ];
    let plan = publisher.run(&dist, &args).expect(0);
    assert!(plan.stdout.contains("SENTRY_EXTENSION_FUNCTION_LOGS=warn"), "{}", plan.stdout);
    let state = dist.path().join("state.jsonl");
    let execute = [&args[..], &["--execute", "--state", state.to_str().unwrap()]].concat();
    publisher.run(&dist, &execute).expect(0);
    let expected = json!({
        "A": "1", "SENTRY_EXTENSION_SPANS": "0.25", "SENTRY_EXTENSION_ERRORS": "true",
        "SENTRY_EXTENSION_FUNCTION_LOGS": "warn", "AWS_LAMBDA_EXEC_WRAPPER": "/opt/sentry-exec-wrapper"
    });
    assert_eq!(one.variables(), expected);
    assert_eq!(one.layers().len(), 1);
    let updates = proxy.requests().iter().filter(|seen| seen.line.starts_with("PUT ")).count();
    assert_eq!(updates, 1);
    publisher.run(&dist, &execute).expect(0).says("1 unchanged");
    publisher.run(&dist, &["attach", "--undo", state.to_str().unwrap(), "--execute"]).expect(0);
    assert_eq!(one.variables(), variables["Variables"]);
    assert!(one.layers().is_empty());
    for bad in ["logs=loud", "spans=2", "colour=red"] {
        publisher
            .run(&dist, &["attach", "one", "--insights", bad])
            .expect(2)
            .says(bad.split('=').next().unwrap());
    }
}
