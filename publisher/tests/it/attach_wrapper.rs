//! `--exec-wrapper` adds one variable to a function and does not change the others.

use crate::support::{
    account::Account,
    cli::{Publisher, acting},
    dist::Dist,
    emulator::ministack,
    function::Function,
    proxy::{Proxy, Verdict},
};
use serde_json::json;

const REGION: &str = "eu-west-1";
const WRAPPER: &str = "/opt/sentry-exec-wrapper";

fn published(seed: &str) -> (Account, Publisher, Dist) {
    let owner = Account::new(ministack());
    let publisher = Publisher::at(&ministack().url(), &owner.key);
    let dist = Dist::new(seed);
    publisher.run(&dist, &["publish", "--execute", "--regions", REGION]).expect(0);
    (owner, publisher, dist)
}

#[test]
fn the_variable_is_set_and_removed_with_the_layer_and_no_value_is_shown() {
    let (owner, publisher, dist) = published("wrapper");
    let variables = json!({"SENTRY_DSN": "https://very-secret@o1.ingest.sentry.io/42", "B": "2"});
    let function = Function::new(&owner, REGION, "w", &json!({"Environment": {"Variables": variables}}));
    let attach = |more: &[&str]| {
        let run =
            publisher.run(&dist, &acting(&[&["attach", "w", "--region", REGION], more].concat())).expect(0);
        assert!(!run.stdout.contains("very-secret") && !run.stderr.contains("very-secret"), "{run:?}");
        run
    };
    attach(&[]);
    assert_eq!(function.variables(), variables);
    attach(&["--exec-wrapper", "--dry-run"]).says(&format!("AWS_LAMBDA_EXEC_WRAPPER={WRAPPER}"));
    assert_eq!(function.variables(), variables);
    let run = attach(&["--exec-wrapper", "--json"]).json();
    assert_eq!((&run["action"], &run["changed"]), (&json!("none"), &json!(true)));
    assert_eq!(
        (&run["before"]["exec_wrapper"], &run["after"]["exec_wrapper"]),
        (&json!(null), &json!(WRAPPER))
    );
    let mut with = variables.clone();
    with["AWS_LAMBDA_EXEC_WRAPPER"] = json!(WRAPPER);
    assert_eq!(function.variables(), with);
    attach(&["--exec-wrapper"]).says("nothing to do");
    attach(&["--detach"]);
    assert_eq!(function.variables(), variables);
    assert!(function.layers().is_empty());
    // The layer and the variable are added in one update, on a function without variables.
    let bare = Function::new(&owner, REGION, "bare", &json!({}));
    let hint = |more: &[&str]| {
        let run = publisher
            .run(&dist, &acting(&[&["attach", "bare", "--region", REGION], more].concat()))
            .expect(0);
        run.says("set the function's SENTRY_DSN").stderr.contains("(--exec-wrapper)")
    };
    assert!(hint(&["--dry-run"]) && !hint(&["--exec-wrapper"]) && !hint(&[]));
    assert_eq!(bare.variables(), json!({"AWS_LAMBDA_EXEC_WRAPPER": WRAPPER}));
    assert_eq!(bare.layers().len(), 1);
}

#[test]
fn another_wrapper_an_unsupported_runtime_and_unreadable_variables_are_refused() {
    let (owner, publisher, dist) = published("refused");
    let attach = |publisher: &Publisher, name: &str, more: &[&str]| {
        publisher.run(&dist, &acting(&[&["attach", name, "--region", REGION], more].concat()))
    };
    let variables = json!({"AWS_LAMBDA_EXEC_WRAPPER": "/opt/otel-instrument"});
    let other = Function::new(&owner, REGION, "other", &json!({"Environment": {"Variables": variables}}));
    attach(&publisher, "other", &["--exec-wrapper"]).expect(1).says("is /opt/otel-instrument already");
    assert!(other.layers().is_empty());
    let own =
        Function::new(&owner, REGION, "own", &json!({"Runtime": "provided.al2023", "Handler": "bootstrap"}));
    attach(&publisher, "own", &["--exec-wrapper"]).expect(1).says("provided.al2023 does not support wrapper");
    assert!(own.layers().is_empty());

    let mut configuration = other.configuration();
    configuration["Environment"] =
        json!({"Error": {"ErrorCode": "AccessDeniedException", "Message": "no such key"}});
    let proxy = Proxy::start(ministack().address(), move |seen| {
        if seen.line.starts_with("GET ") && seen.line.ends_with("/configuration") {
            Verdict::ForwardAndAnswer(200, configuration.to_string())
        } else {
            Verdict::Forward
        }
    });
    let blind = Publisher::at(&proxy.url(), &owner.key);
    attach(&blind, "other", &["--exec-wrapper"])
        .expect(1)
        .says("cannot be read (no such key)")
        .says("kms:Decrypt");
    assert!(other.layers().is_empty());
    assert_eq!(other.variables(), variables);
    // Without `--exec-wrapper` no variable is needed, so it does not matter that they cannot be read.
    attach(&blind, "other", &["--dry-run"]).expect(0);
}
