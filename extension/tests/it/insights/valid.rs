//! Tests that Sentry accepts the events of faults without changes, by the normaliser of Sentry's Relay and by the types
//! of Sentry's SDK for Rust.

use super::{DEADLINE, Environment, kind, names_time_out};
use crate::support::{
    lambda_api::Subscription,
    netns::isolated,
    sdk::{self, TUNNEL},
    tools,
};
use serde_json::{Value, json};
use std::io::Write as _;
use std::process::{Command, Stdio};

const NORMALISER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/relay/normalise.py");

/// Makes one event of each kind, with every field that it can have.
async fn one_of_each() -> Vec<Value> {
    let mut events = Vec::new();
    for (status, error_type, reason) in [
        ("timeout", "", "timeout"),
        ("error", "Runtime.OutOfMemory", "failure"),
        ("error", "Runtime.ExitError", "failure"),
        ("error", "Runtime.ImportModuleError", "failure"),
        ("failure", "Sandbox.Failure", "failure"),
    ] {
        let settings = [("SENTRY_RELEASE", "shop@1.4.2"), ("SENTRY_ENVIRONMENT", "production")];
        let mut environment = Environment::start(Subscription::Accepted, &settings).await;
        let start = json!({ "initializationType": "on-demand", "phase": "init", "runtimeVersion": "python:3.13.v58",
            "instanceId": "2026/11/25/[$LATEST]0f3c" });
        environment.post_telemetry("platform.initStart", &start).await;
        environment.invoke("8442603f-da10-42d2-bf58-c33a31978aad").await;
        let tracing = json!({ "type": "X-Amzn-Trace-Id",
            "value": "Root=1-67d448e8-3ae320be0e2cdf2f53ccdaba;Parent=35465b3a9e2f7c6a;Sampled=0" });
        let started = json!({ "requestId": "8442603f-da10-42d2-bf58-c33a31978aad", "tracing": tracing });
        environment.post_telemetry("platform.start", &started).await;
        let error_type = Some(error_type).filter(|text| !text.is_empty());
        environment.runtime_done("8442603f-da10-42d2-bf58-c33a31978aad", status, error_type).await;
        events.extend(environment.end(reason).await);
    }
    // The records have a clock of their own, but the deadline goes by the clock of this machine.
    let text = events[0]["exception"]["values"][0]["value"].as_str().unwrap();
    assert!(names_time_out(text, DEADLINE), "{text}");
    assert_eq!(events.iter().map(kind).collect::<Vec<_>>(), ["timeout", "oom", "exit", "init", "sandbox"]);
    events
}

pub fn normalised(events: &[Value]) -> Vec<Value> {
    let mut python = Command::new("/usr/bin/python3")
        .arg(NORMALISER)
        .env("PYTHONPATH", tools::site_packages("sentry-relay"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = python.stdin.take().unwrap();
    for event in events {
        writeln!(stdin, "{event}").unwrap();
    }
    drop(stdin);
    let output = python.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", output.status);
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn sentry_takes_every_kind_as_it_is() {
    isolated(|| async {
        let events = one_of_each().await;
        let normalised = normalised(&events);
        assert_eq!(normalised.len(), events.len());
        for (event, normal) in events.iter().zip(normalised) {
            assert_eq!(normal.get("errors"), None, "{normal:#}");
            assert_eq!(normal.get("_meta"), None, "{normal:#}");
            assert_eq!(normal["type"], "error");
            for kept in [
                "event_id",
                "timestamp",
                "level",
                "platform",
                "logger",
                "fingerprint",
                "exception",
                "release",
                "environment",
                "transaction",
            ] {
                assert_eq!(normal[kept], event[kept], "{kept}");
            }
            for (name, context) in event["contexts"].as_object().unwrap() {
                for (field, value) in context.as_object().unwrap() {
                    assert_eq!(&normal["contexts"][name][field], value, "{name}.{field}");
                }
            }
            // Sentry turns this field into a tag.
            let mut event_tags = event["tags"].clone();
            event_tags["server_name"] = event["server_name"].clone();
            let tags: Vec<Value> =
                event_tags.as_object().unwrap().iter().map(|(name, value)| json!([name, value])).collect();
            assert!(
                tags.iter().all(|tag| normal["tags"].as_array().unwrap().contains(tag)),
                "{:#}",
                normal["tags"]
            );

            // Sentry knows this context, but the crate does not.
            let mut known = event.clone();
            known["contexts"].as_object_mut().unwrap().remove("cloud_resource");
            let typed: sentry_types::protocol::v7::Event<'_> = serde_json::from_value(known).unwrap();
            assert_eq!(typed.level, sentry_types::protocol::v7::Level::Fatal);
            assert_eq!(typed.exception.values[0].mechanism.as_ref().unwrap().handled, Some(false));
            let sentry_types::protocol::v7::Context::Trace(trace) = &typed.contexts["trace"] else {
                panic!("{:?}", typed.contexts)
            };
            assert_eq!(trace.trace_id.to_string(), "67d448e83ae320be0e2cdf2f53ccdaba");
            assert_eq!(trace.span_id.to_string(), "35465b3a9e2f7c6a");
            println!("{event:#}");
        }
    });
}

/// Sentry drops what it does not accept, and marks the event as faulty. So it is left out, or written in another way.
#[test]
fn what_sentry_does_not_accept_is_not_sent() {
    isolated(|| async {
        let settings = [
            ("SENTRY_RELEASE", "shop/1.4.2"),
            ("SENTRY_ENVIRONMENT", "none"),
            ("AWS_REGION", "eu-central-1\n"),
            ("AWS_LAMBDA_FUNCTION_VERSION", "7"),
        ];
        let mut environment = Environment::start(Subscription::Accepted, &settings).await;
        environment.invoke("r-1").await;
        let tracing = "Root=1-00000000-000000000000000000000000;Parent=0000000000000000";
        let started = json!({ "requestId": "r-1", "tracing": { "value": tracing } });
        environment.post_telemetry("platform.start", &started).await;
        let payload = json!({ "contexts": { "aws.lambda": { "aws_request_id": "r-1" } } });
        let learnt = json!({ "release": "a\\b", "environment": "x".repeat(65) });
        let body = sdk::item("event", &payload).replacen('{', &format!("{{\"trace\":{learnt},"), 1);
        assert_eq!(sdk::post(TUNNEL, body).await, 200);
        environment.runtime_done("r-1", "error", Some("Custom\nError\u{2028}")).await;
        let events = environment.end("failure").await;
        assert_eq!(events[0]["release"], "orders@7");
        assert_eq!(events[0]["tags"]["lambda.error_type"], "Custom Error");
        let normal = &normalised(&events)[0];
        assert_eq!((normal.get("errors"), normal.get("_meta")), (None, None), "{normal:#}");
    });
}
