//! Functions that `sentry-exec-wrapper` starts. Their code names neither the DSN nor the extension.

use crate::support::{case::Case, function::Function, netns::isolated, tools::Arch};
use serde_json::json;

/// An address on which no proxy listens. If a request for the extension went through the proxy, it would be lost.
const UNREACHABLE_PROXY: &str = "http://127.0.0.1:9";

async fn deploy(mut function: Function) -> Case {
    for name in ["HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy"] {
        function = function.env(name, UNREACHABLE_PROXY);
    }
    Case::deploy(Arch::NATIVE, function.wrapped()).await
}

/// Checks that the error has arrived through the extension.
async fn arrived(case: Case) {
    case.arrives("event", "/exception/values/0/value").await;
    case.rie.terminate();
    let (log, _) = case.ended().await;
    let counts = log.text().lines().find(|line| line.contains(r#""message":"envelopes""#)).map(str::to_owned);
    assert!(counts.is_some_and(|counts| !counts.contains(r#""accepted":0,"#)), "{}", log.text());
    assert!(!log.contains("SENTRY_DSN is left as it is"), "{}", log.text());
}

/// Invokes a function that captures an error and responds.
async fn captured(function: Function) {
    let mut case = deploy(function).await;
    case.invoke(json!({ "fails": false })).await;
    arrived(case).await;
}

/// Invokes a function that fails with an unhandled error.
async fn unhandled(function: Function) {
    let mut case = deploy(function).await;
    case.fails(json!({ "fails": true })).await;
    arrived(case).await;
}

#[test]
fn python() {
    isolated(|| captured(Function::python("python-zero", "test")));
}

#[test]
fn python_with_the_integration_for_lambda() {
    isolated(|| unhandled(Function::python("python-zero", "test").env("INTEGRATION", "yes")));
}

#[test]
fn node() {
    isolated(|| captured(Function::node("node-zero")));
}

#[test]
fn node_with_a_wrapped_handler() {
    isolated(|| unhandled(Function::node("node-zero").env("WRAP", "yes")));
}

#[test]
fn node_whose_code_does_not_use_sentry() {
    let options = "--import=@sentry/aws-serverless/awslambda-auto";
    isolated(move || unhandled(Function::node("node-auto").env("NODE_OPTIONS", options)));
}
