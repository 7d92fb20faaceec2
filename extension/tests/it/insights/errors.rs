//! Uncaught errors that a runtime logs, from what Lambda tells to events. The records of Python and Node in
//! `tests/records` were written by AWS's runtime clients, through the file descriptor that Lambda gives them. Those of
//! Ruby, Java, .NET and Go are as the sources of AWS's clients format them.

use super::{Environment, faults, kind, normalised};
use crate::support::{
    lambda_api::{Subscription, record},
    netns::isolated,
    sdk::{self, KEY, TUNNEL},
    sentry::Received,
};
use serde_json::{Value, json};
use std::sync::Arc;

const FIRST: &str = "8442603f-da10-42d2-bf58-c33a31978aa1";
const SECOND_REQUEST: &str = "8442603f-da10-42d2-bf58-c33a31978aa2";
const THIRD: &str = "8442603f-da10-42d2-bf58-c33a31978aa3";

macro_rules! records {
    ($name:literal) => {
        serde_json::from_str::<Vec<Value>>(include_str!(concat!("../../records/", $name, ".json"))).unwrap()
    };
}

async fn environment(settings: &[(&str, &str)]) -> Environment {
    let errors = [("SENTRY_EXTENSION_ERRORS", "true")];
    Environment::start(Subscription::Accepted, &[&errors, settings].concat()).await
}

fn init(runtime: &str) -> Value {
    let body = json!({ "initializationType": "on-demand", "phase": "init", "runtimeVersion": runtime });
    record("platform.initStart", &body)
}

fn done(request: &str) -> Value {
    record("platform.runtimeDone", &json!({ "requestId": request, "status": "success", "metrics": {} }))
}

fn start(request: &str) -> Value {
    record("platform.start", &json!({ "requestId": request }))
}

/// The events of uncaught errors among what Sentry got.
fn errors(received: &[Arc<Received>]) -> Vec<Value> {
    let events = received.iter().filter_map(|one| Some(one.envelope.item("event")?.json()));
    events.filter(|event| event["logger"] == "aws.lambda.runtime").collect()
}

/// Ends the environment. Returns the errors and the faults that Sentry was told of.
async fn ended(environment: Environment, reason: &str) -> (Vec<Value>, Vec<Value>) {
    environment.api.shutdown(reason, 2 * super::SECOND);
    let (status, log) = environment.extension.ended().await;
    assert!(status.success() && !log.contains("panic"), "{status}:\n{}", log.text());
    assert!(environment.sentry.violations().is_empty(), "{:?}", environment.sentry.violations());
    let received = environment.sentry.received();
    (errors(&received), faults(&received))
}

/// Tells what one runtime has written, and returns the errors that become events.
async fn told_by(runtime: &str, records: Vec<Value>) -> Vec<Value> {
    let mut environment = environment(&[]).await;
    environment.api.post_telemetry(&json!([init(runtime)])).await;
    let mut current = "";
    for written in records {
        // Each invocation begins with the first record that names it.
        let text = written.to_string();
        for request in [FIRST, SECOND_REQUEST, THIRD] {
            if text.contains(request) && current < request {
                environment.invoke(request).await;
                environment.api.post_telemetry(&json!([start(request)])).await;
                current = request;
            }
        }
        environment.api.post_telemetry(&json!([record("function", &written)])).await;
    }
    environment.api.post_telemetry(&json!([done(current)])).await;
    let (errors, faults) = ended(environment, "spindown").await;
    assert_eq!(faults, [Value::Null; 0]);
    errors
}

fn types(event: &Value) -> Vec<&str> {
    event["exception"]["values"].as_array().unwrap().iter().map(|one| one["type"].as_str().unwrap()).collect()
}

#[test]
fn each_runtimes_uncaught_error_becomes_one_event() {
    isolated(|| async {
        let mut all = Vec::new();
        for (runtime, records, platform, expected, request) in [
            ("nodejs:22.v40", records!("node-text"), "node", &["CartError"][..], SECOND_REQUEST),
            ("nodejs:22.v40", records!("node-json"), "node", &["CartError"], SECOND_REQUEST),
            (
                "java:21.v30",
                records!("java-json"),
                "java",
                &["java.lang.IllegalStateException", "shop.CartException"],
                SECOND_REQUEST,
            ),
            (
                "dotnet:8.v20",
                records!("dotnet-text"),
                "csharp",
                &["System.InvalidOperationException", "Shop.CartException"],
                SECOND_REQUEST,
            ),
            (
                "dotnet:8.v20",
                records!("dotnet-json"),
                "csharp",
                &["System.InvalidOperationException", "Shop.CartException"],
                SECOND_REQUEST,
            ),
            ("ruby:3.4.v5", records!("ruby-text"), "ruby", &["CartError"], SECOND_REQUEST),
            ("ruby:3.4.v5", records!("ruby-json"), "ruby", &["CartError"], SECOND_REQUEST),
        ] {
            let errors = told_by(runtime, records).await;
            let first = &errors[0];
            assert_eq!(
                (types(first), &first["platform"]),
                (expected.to_vec(), &json!(platform)),
                "{runtime}"
            );
            assert_eq!(first["tags"]["aws_request_id"], request);
            assert_eq!(first["level"], "error");
            let last = first["exception"]["values"].as_array().unwrap().last().unwrap();
            assert_eq!(last["mechanism"], json!({ "type": "aws_lambda", "handled": false }));
            let frames = last["stacktrace"]["frames"].as_array().unwrap();
            assert_eq!(frames.last().unwrap()["in_app"], true, "the innermost call comes last: {frames:#?}");
            all.extend(errors);
        }
        println!("{:#}", all[0]);
        for (event, normal) in all.iter().zip(normalised(&all)) {
            assert_eq!(normal.get("errors"), None, "{normal:#}");
            assert_eq!(normal.get("_meta"), None, "{normal:#}");
            for kept in ["event_id", "timestamp", "level", "platform", "logger", "exception", "transaction"] {
                assert_eq!(normal[kept], event[kept], "{kept}");
            }
        }
    });
}

#[test]
fn pythons_errors_are_of_the_invocation_that_runs() {
    isolated(|| async {
        for records in [records!("python-text"), records!("python-json")] {
            let mut environment = environment(&[]).await;
            environment.api.post_telemetry(&json!([init("python:3.13.v58")])).await;
            environment.invoke(SECOND_REQUEST).await;
            let of_invocation: Vec<Value> =
                records.into_iter().filter(|one| one.to_string().contains("RuntimeError")).collect();
            assert_eq!(of_invocation.len(), 1);
            let batch =
                json!([start(SECOND_REQUEST), record("function", &of_invocation[0]), done(SECOND_REQUEST)]);
            environment.api.post_telemetry(&batch).await;
            let (errors, _) = ended(environment, "spindown").await;
            assert_eq!((errors.len(), types(&errors[0])), (1, vec!["RuntimeError"]));
            assert_eq!(errors[0]["tags"]["aws_request_id"], SECOND_REQUEST);
            let exception = &errors[0]["exception"]["values"][0];
            assert_eq!(exception["value"], "cart is empty:\n nothing in it");
            let outer =
                r#"except ValueError as e: raise RuntimeError("cart is empty:\n nothing in it") from e"#;
            let frames = json!([
                { "function": "handler", "filename": "app.py", "abs_path": "/var/task/app.py", "lineno": 13,
                  "context_line": "outer()", "in_app": true },
                { "function": "outer", "filename": "app.py", "abs_path": "/var/task/app.py", "lineno": 16,
                  "context_line": outer,
                  "in_app": true },
            ]);
            assert_eq!(exception["stacktrace"]["frames"], frames);
        }
    });
}

#[test]
fn what_the_sdk_has_reported_is_not_reported_again() {
    isolated(|| async {
        let python = |request: &str| {
            let text = "[ERROR] ValueError: no\nTraceback (most recent call last):\n";
            json!([start(request), record("function", &text.into()), done(request)])
        };
        let mut environment = environment(&[]).await;
        environment.invoke(FIRST).await;
        let event = json!({ "exception": { "values": [{ "type": "ValueError", "mechanism": { "handled": false } }] },
            "extra": { "lambda": { "aws_request_id": FIRST } } });
        sdk::post(TUNNEL, sdk::item("event", &event)).await;
        environment.api.post_telemetry(&python(FIRST)).await;
        environment.invoke(SECOND_REQUEST).await;
        environment.api.post_telemetry(&python(SECOND_REQUEST)).await;
        let (errors, _) = ended(environment, "spindown").await;
        let requests: Vec<&Value> = errors.iter().map(|event| &event["tags"]["aws_request_id"]).collect();
        assert_eq!(requests, [SECOND_REQUEST]);
    });
}

#[test]
fn an_error_that_ends_the_process_is_told_once_and_with_its_stack() {
    isolated(|| async {
        // Node ends its process after an exception that nothing caught.
        let mut environment = environment(&[("SENTRY_EXTENSION_FUNCTION_LOGS", "info")]).await;
        environment.invoke(THIRD).await;
        let records = records!("node-text");
        let uncaught = records.iter().find(|one| one.to_string().contains("Uncaught Exception")).unwrap();
        let exit =
            json!({ "requestId": THIRD, "status": "error", "errorType": "Runtime.ExitError", "metrics": {} });
        let batch = json!([
            start(THIRD),
            record("function", &"the line before".into()),
            record("function", uncaught),
            record("platform.runtimeDone", &exit),
        ]);
        environment.api.post_telemetry(&batch).await;
        let (errors, faults) = ended(environment, "failure").await;
        assert_eq!((errors.len(), faults.len()), (1, 0), "{faults:#?}");
        assert_eq!(types(&errors[0]), ["Error"]);
        let crumbs = errors[0]["breadcrumbs"]["values"].as_array().unwrap();
        assert_eq!(crumbs[0]["message"], "the line before");

        // A time-out is a fault all the same.
        let mut environment = self::environment(&[]).await;
        environment.invoke(THIRD).await;
        environment.api.post_telemetry(&json!([start(THIRD), record("function", uncaught)])).await;
        environment.runtime_done(THIRD, "timeout", None).await;
        let (errors, faults) = ended(environment, "timeout").await;
        assert_eq!((errors.len(), faults.iter().map(kind).collect::<Vec<_>>()), (1, vec!["timeout"]));
    });
}

#[test]
fn an_error_of_init_is_told_once_and_with_its_message() {
    isolated(|| async {
        for records in [records!("python-text"), records!("python-json")] {
            let environment = environment(&[]).await;
            let missing = records.iter().find(|one| one.to_string().contains("ImportModuleError")).unwrap();
            let end = json!({ "phase": "init", "status": "error", "errorType": "Runtime.ImportModuleError" });
            let batch = json!([
                init("python:3.13.v58"),
                record("function", missing),
                record("platform.initRuntimeDone", &end),
            ]);
            environment.api.post_telemetry(&batch).await;
            let (errors, faults) = ended(environment, "failure").await;
            assert_eq!((errors.len(), faults.len()), (1, 0), "{faults:#?}");
            assert_eq!(types(&errors[0]), ["Runtime.ImportModuleError"]);
            assert_eq!(errors[0]["platform"], "python");
            let value = "Unable to import module 'missing': No module named 'missing'";
            assert_eq!(errors[0]["exception"]["values"][0]["value"], value);
        }
    });
}

#[test]
fn a_key_in_the_name_of_an_error_is_not_logged() {
    isolated(|| async {
        let mut environment = environment(&[]).await;
        environment.invoke(THIRD).await;
        let uncaught = records!("python-json").iter().find(|one| one["errorType"] == "RuntimeError").cloned();
        let mut uncaught = uncaught.unwrap();
        (uncaught["errorType"], uncaught["requestId"]) = (KEY.into(), THIRD.into());
        let batch = json!([start(THIRD), record("function", &uncaught)]);
        environment.api.post_telemetry(&batch).await;
        environment.runtime_done(THIRD, "error", Some(KEY)).await;
        environment.api.shutdown("failure", 2 * super::SECOND);
        let log = environment.extension.ended().await.1.text();
        assert!(log.contains("uncaught error") && log.contains("the function is done"), "{log}");
        assert!(!log.contains(KEY), "{log}");
    });
}

#[test]
fn without_the_setting_no_line_becomes_an_event() {
    isolated(|| async {
        let settings = [("SENTRY_EXTENSION_ERRORS", "false"), ("SENTRY_EXTENSION_FUNCTION_LOGS", "info")];
        let mut environment = environment(&settings).await;
        environment.invoke(THIRD).await;
        let lines = records!("node-text").into_iter().map(|one| record("function", &one));
        let batch: Vec<Value> = std::iter::once(start(THIRD)).chain(lines).chain([done(THIRD)]).collect();
        environment.api.post_telemetry(&batch.into()).await;
        let (errors, faults) = ended(environment, "spindown").await;
        assert_eq!((errors.len(), faults.len()), (0, 0));
    });
}
