//! `sentry-exec-wrapper` before the runtime: functions whose code names neither DSN nor extension.

use crate::support::{case::Case, function::Function, netns::isolated, tools::Arch};
use serde_json::json;

/// Nobody listens there: what is meant for the extension and takes a proxy is lost.
const NO_PROXY_THERE: &str = "http://127.0.0.1:9";

async fn deploy(mut function: Function) -> Case {
    for name in ["HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy"] {
        function = function.env(name, NO_PROXY_THERE);
    }
    Case::deploy(Arch::NATIVE, function.wrapped()).await
}

/// The error has come, by way of the extension.
async fn arrived(case: Case) {
    case.arrives("event", "/exception/values/0/value").await;
    case.rie.terminate();
    let (log, _) = case.ended().await;
    let books = log.text().lines().find(|line| line.contains(r#""message":"envelopes""#)).map(str::to_owned);
    assert!(books.is_some_and(|books| !books.contains(r#""accepted":0,"#)), "{}", log.text());
    assert!(!log.contains("SENTRY_DSN is left as it is"), "{}", log.text());
}

/// The function captures an error, and answers.
async fn captured(function: Function) {
    let mut case = deploy(function).await;
    case.invoke(json!({ "fails": false })).await;
    arrived(case).await;
}

/// The function fails.
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
fn node_without_a_word_of_sentry() {
    let options = "--import=@sentry/aws-serverless/awslambda-auto";
    isolated(move || unhandled(Function::node("node-auto").env("NODE_OPTIONS", options)));
}
