//! `publisher attach` on functions that another user changes at the same time, and with lost or failed responses.

use crate::support::{
    account::Account,
    cli::{Publisher, acting},
    dist::Dist,
    emulator::ministack,
    function::Function,
    proxy::{Proxy, Rule, Verdict},
};
use serde_json::{Value, json};
use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

const REGION: &str = "eu-west-1";

struct Case {
    owner: Account,
    dist: Dist,
    wanted: String,
}

impl Case {
    fn new(seed: &str) -> Self {
        let owner = Account::new(ministack());
        let dist = Dist::new(seed);
        let args = ["publish", "--execute", "--regions", REGION];
        Publisher::at(&ministack().url(), &owner.key).run(&dist, &args).expect(0);
        let wanted = format!("arn:aws:lambda:{REGION}:{}:layer:SentryLambdaExtension-x86_64:1", owner.key);
        Self { owner, dist, wanted }
    }

    fn function(&self, more: &Value) -> Function<'_> {
        Function::new(&self.owner, REGION, "f", more)
    }

    /// Runs `attach` through a proxy with this rule.
    fn attach(&self, rule: Rule, more: &[&str]) -> crate::support::cli::Run {
        let proxy = Proxy::start(ministack().address(), rule);
        let args = acting(&[&["attach", "f", "--region", REGION], more].concat());
        Publisher::at(&proxy.url(), &self.owner.key).run(&self.dist, &args)
    }
}

/// A rule that applies the verdict to the first `many` updates.
fn first_updates(many: usize, verdict: impl Fn() -> Verdict + Send + 'static) -> Rule {
    let seen = AtomicUsize::new(0);
    Box::new(move |request| {
        let update = request.line.starts_with("PUT ") && request.line.ends_with("/configuration");
        if update && seen.fetch_add(1, Ordering::SeqCst) < many { verdict() } else { Verdict::Forward }
    })
}

#[test]
fn a_concurrent_change_of_the_function_is_kept() {
    let case = Case::new("meantime");
    let theirs = case.owner.other_layer(REGION, "theirs");
    let function = case.function(&json!({}));
    // The other user changes the function after it was read and before it is updated.
    let (account, layer) = (case.owner.clone(), theirs.clone());
    let rule = first_updates(1, move || {
        Function { account: &account, region: REGION, name: "f" }.configure(&json!({"Layers": [layer]}));
        Verdict::Forward
    });
    let run = case.attach(rule, &["--json"]).expect(0).says("another user changed the function meanwhile");
    assert_eq!(function.layers(), [theirs, case.wanted.clone()]);
    assert_eq!(run.json()["changed"], true);
}

#[test]
fn endless_concurrent_changes_are_reported_and_not_overwritten() {
    let case = Case::new("busy");
    let function = case.function(&json!({}));
    let account = case.owner.clone();
    let count = Arc::new(AtomicUsize::new(0));
    let seen = Arc::clone(&count);
    let rule = first_updates(9, move || {
        let n = seen.fetch_add(1, Ordering::SeqCst);
        Function { account: &account, region: REGION, name: "f" }
            .configure(&json!({"Description": n.to_string()}));
        Verdict::Forward
    });
    case.attach(rule, &[]).expect(1).says("PreconditionFailedException").says("a deployment keeps changing");
    assert_eq!(count.load(Ordering::SeqCst), 2, "one retry");
    assert!(function.layers().is_empty());
}

#[test]
fn an_update_in_progress_is_waited_for() {
    let case = Case::new("progress");
    let function = case.function(&json!({}));
    let rule = first_updates(2, || Verdict::error(409, "ResourceConflictException"));
    case.attach(rule, &[]).expect(0).says("another update of the function is in progress");
    assert_eq!(function.layers(), std::slice::from_ref(&case.wanted));

    let rule = first_updates(usize::MAX, || Verdict::error(409, "ResourceConflictException"));
    let run = case.attach(rule, &["--detach", "--wait", "1"]).expect(3);
    run.says("still being updated after 1 seconds").says("--wait");
    assert_eq!(function.layers(), std::slice::from_ref(&case.wanted));
}

/// A rule that adds the fields in `more` to the function's configuration, from the read with number `from` on.
fn changed_reads(case: &Case, more: Value, from: usize) -> Rule {
    let configuration = case.function_now();
    let seen = AtomicUsize::new(0);
    Box::new(move |request| {
        let read = request.line.starts_with("GET ") && request.line.ends_with("/configuration");
        if !read || seen.fetch_add(1, Ordering::SeqCst) < from {
            return Verdict::Forward;
        }
        let mut configuration = configuration.clone();
        for (key, value) in more.as_object().unwrap() {
            configuration[key] = value.clone();
        }
        Verdict::ForwardAndAnswer(200, configuration.to_string())
    })
}

impl Case {
    fn function_now(&self) -> Value {
        Function { account: &self.owner, region: REGION, name: "f" }.configuration()
    }
}

#[test]
fn an_update_that_does_not_end_or_fails_is_an_error() {
    let case = Case::new("effect");
    case.function(&json!({}));
    let endless = changed_reads(&case, json!({"LastUpdateStatus": "InProgress"}), 2);
    case.attach(endless, &["--wait", "1"]).expect(3).says("still being updated after 1 seconds");
    let case = Case::new("failed");
    case.function(&json!({}));
    let failed = json!({
        "LastUpdateStatus": "Failed", "LastUpdateStatusReasonCode": "EniLimitExceeded",
        "LastUpdateStatusReason": "no interfaces left"
    });
    let run = case.attach(changed_reads(&case, failed, 2), &[]).expect(1);
    run.says("did not take effect: EniLimitExceeded: no interfaces left").says("the function is unchanged");
    let case = Case::new("other");
    case.function(&json!({}));
    let other = json!({"LastUpdateStatus": "Successful", "State": "Active", "Layers": []});
    case.attach(changed_reads(&case, other, 2), &[]).expect(1).says("it has other layers now");
}

#[test]
fn an_update_whose_response_is_lost_is_found_by_the_next_run() {
    let case = Case::new("lost");
    let function = case.function(&json!({}));
    let run = case.attach(first_updates(1, || Verdict::ForwardAndCut), &["--json"]).expect(0);
    assert_eq!(function.layers(), std::slice::from_ref(&case.wanted));
    assert_eq!((&run.json()["action"], &run.json()["changed"]), (&json!("append"), &json!(true)));
}

#[test]
fn missing_permissions_are_named() {
    let case = Case::new("rights");
    let function = case.function(&json!({}));
    let denied = |what: &str| {
        format!(
            r#"{{"__type":"AccessDeniedException","message":"User is not authorized to perform: {what}"}}"#
        )
    };
    let body = denied("lambda:GetFunctionConfiguration");
    let rule: Rule = Box::new(move |seen| {
        if seen.service == "lambda" { Verdict::Answer(403, body.clone()) } else { Verdict::Forward }
    });
    case.attach(rule, &[]).expect(1).says("reading it needs lambda:GetFunctionConfiguration");
    for (right, hint) in [
        ("lambda:UpdateFunctionConfiguration", "it needs lambda:UpdateFunctionConfiguration on arn:"),
        ("lambda:GetLayerVersion", "these need lambda:GetLayerVersion on it"),
    ] {
        let body = denied(right);
        let rule = first_updates(usize::MAX, move || Verdict::Answer(403, body.clone()));
        case.attach(rule, &[]).expect(1).says(hint);
    }
    assert!(function.layers().is_empty());
}
