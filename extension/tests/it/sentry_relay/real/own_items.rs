//! What the extension itself makes, through the real Sentry's Relay in the mode `managed`. It reads every log, metric,
//! span and check-in into Sentry's own types, normalises it, and drops what is not valid.

use super::READY;
use super::managed::{Managed, project};
use crate::relay::delivery_test::SECOND;
use crate::support::{
    envelope::Item,
    lambda_api::{LambdaApi, Subscription},
    netns::isolated,
    sentry::Received,
};
use sentry_lambda_extension::protocol::timestamp;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::SystemTime;

const FIRST: &str = "8442603f-da10-42d2-bf58-c33a31978aa1";
const LATE: &str = "8442603f-da10-42d2-bf58-c33a31978aa2";
const TRACE: &str = "67d448e83ae320be0e2cdf2f53ccdaba";
/// Everything that the extension can report.
const SETTINGS: [(&str, &str); 12] = [
    ("SENTRY_EXTENSION_RELAY", "only"),
    ("AWS_LAMBDA_FUNCTION_NAME", "orders"),
    ("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST"),
    ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "256"),
    ("AWS_REGION", "eu-central-1"),
    ("SENTRY_RELEASE", "shop@1.4.2"),
    ("SENTRY_ENVIRONMENT", "production"),
    ("SENTRY_EXTENSION_FUNCTION_LOGS", "info"),
    ("SENTRY_EXTENSION_ERRORS", "true"),
    ("SENTRY_EXTENSION_METRICS", "true"),
    ("SENTRY_EXTENSION_SPANS", "1.0"),
    ("SENTRY_EXTENSION_MONITOR", "nightly|rate(5 minutes)"),
];
/// What an organisation needs for logs and metrics. Without it, Sentry drops them in silence.
const FEATURES: [&str; 2] = ["organizations:ourlogs-ingestion", "organizations:tracemetrics-ingestion"];

/// A record of now: Sentry takes nothing that is too old.
fn record(kind: &str, record: &Value) -> Value {
    json!({ "time": timestamp::format(SystemTime::now()), "type": kind, "record": record })
}

fn start(request: &str) -> Value {
    let value = "Root=1-67d448e8-3ae320be0e2cdf2f53ccdaba;Parent=35465b3a9e2f7c6a;Sampled=0";
    record("platform.start", &json!({ "requestId": request, "tracing": { "value": value } }))
}

/// Runs an invocation whose handler raises, and one that times out. Returns all that Sentry got from Sentry's Relay.
async fn everything() -> Vec<Arc<Received>> {
    let api = LambdaApi::start().await;
    api.telemetry(Subscription::Accepted);
    let managed = Managed::start_under(api, &SETTINGS, || project(&json!({ "features": FEATURES }))).await;
    let init =
        json!({ "initializationType": "on-demand", "phase": "init", "runtimeVersion": "python:3.13.v58" });
    let batch = json!([
        record("platform.initStart", &init),
        record("platform.initRuntimeDone", &json!({ "phase": "init", "status": "success" })),
        record("platform.initReport", &json!({ "phase": "init", "metrics": { "durationMs": 400.5 } })),
    ]);
    managed.api.post_telemetry(&batch).await;
    managed.api.invoke_as(FIRST, 3 * SECOND);
    managed.extension.log.wait_for(READY).await;
    managed.api.asked(2).await;
    let error = "[ERROR] ValueError: cart is empty\nTraceback (most recent call last):\n  \
        File \"/var/task/app.py\", line 3, in handler\n    raise ValueError(\"cart is empty\")\n";
    let metrics = json!({ "durationMs": 142.0, "billedDurationMs": 143, "memorySizeMB": 256, "maxMemoryUsedMB": 181,
        "initDurationMs": 400.5 });
    let done = json!({ "requestId": FIRST, "status": "success", "metrics": { "durationMs": 100.0 } });
    let text = format!("[WARNING]\t2026-11-25T10:00:00.010Z\t{FIRST}\tcart is nearly empty\n");
    let object = json!({ "level": "ERROR", "requestId": FIRST, "message": "cart", "items": [1, 2],
        "user": { "id": 7, "name": "ä" }, "total": 1.5, "paid": true });
    let batch = json!([
        start(FIRST),
        record("function", &text.into()),
        record("function", &object),
        record("function", &error.into()),
        record("platform.runtimeDone", &done),
        record("platform.report", &json!({ "requestId": FIRST, "status": "success", "metrics": metrics })),
    ]);
    managed.api.post_telemetry(&batch).await;
    for kind in ["log", "check_in", "span", "event"] {
        managed.sentry.wait_for(kind, |one| one.envelope.item(kind).is_some()).await;
    }
    managed.api.invoke_as(LATE, 3 * SECOND);
    managed.api.asked(3).await;
    let end = json!({ "requestId": LATE, "status": "timeout", "metrics": { "durationMs": 3000.0 } });
    managed.api.post_telemetry(&json!([start(LATE), record("platform.runtimeDone", &end)])).await;
    managed.api.shutdown("timeout", 10 * SECOND);
    let Managed { extension, sentry, .. } = managed;
    let [accepted, delivered, rejected, dropped] = extension.final_counts().await;
    assert_eq!((accepted, rejected, dropped), (delivered, 0, 0), "Sentry's Relay has dropped something");
    assert!(sentry.violations().is_empty(), "{:?}", sentry.violations());
    sentry.received()
}

/// All items of a kind, or the things in them if they are containers.
fn all(received: &[Arc<Received>], kind: &str) -> Vec<Value> {
    let items = received.iter().flat_map(|one| &one.envelope.items).filter(|item| item.kind() == kind);
    items
        .map(Item::json)
        .flat_map(|json| json["items"].as_array().cloned().unwrap_or_else(|| vec![json]))
        .collect()
}

/// Checks that each of these attributes has its value.
fn has_attributes(thing: &Value, expected: &[(&str, Value)]) {
    for (name, value) in expected {
        assert_eq!(&thing["attributes"][name]["value"], value, "{name}: {thing:#}");
    }
}

#[test]
fn all_that_the_extension_itself_makes_is_valid_for_sentrys_relay() {
    isolated(|| async {
        let received = everything().await;
        for one in &received {
            assert!(one.headers.contains_key("x-sentry-relay-signature"), "{:?}", one.envelope.header);
            for item in &one.envelope.items {
                println!("{}\n{:#}", item.kind(), item.json());
            }
        }
        let kinds = ["log", "trace_metric", "span", "check_in", "event"];
        let [logs, metrics, spans, check_ins, events] = kinds.map(|kind| all(&received, kind));
        for things in [&logs, &metrics, &spans, &check_ins, &events] {
            for thing in things {
                // Here Sentry's Relay says what it has removed or changed because it was not valid.
                assert_eq!(thing.get("_meta"), None, "{thing:#}");
                assert_eq!(thing.get("errors"), None, "{thing:#}");
            }
        }
        let bodies: Vec<&Value> = logs.iter().map(|log| &log["body"]).collect();
        assert_eq!(bodies[..2], ["cart is nearly empty", "cart"]);
        assert!(bodies[2].as_str().unwrap().starts_with("ValueError: cart is empty"), "{bodies:?}");
        let levels: Vec<&Value> = logs.iter().map(|log| &log["level"]).collect();
        assert_eq!(levels, ["warn", "error", "error"]);
        for log in &logs {
            assert_eq!(log["trace_id"], TRACE);
            has_attributes(
                log,
                &[
                    ("faas.name", json!("orders")),
                    ("faas.invocation_id", json!(FIRST)),
                    ("sentry.environment", json!("production")),
                    ("sentry.release", json!("shop@1.4.2")),
                    ("sentry.origin", json!("auto.log.aws_lambda")),
                ],
            );
        }
        has_attributes(
            &logs[1],
            &[("user.id", json!(7)), ("user.name", json!("ä")), ("total", json!(1.5)), ("paid", json!(true))],
        );
        for name in [
            "invocations",
            "errors",
            "timeouts",
            "cold_starts",
            "duration",
            "billed_duration",
            "post_runtime_duration",
            "init_duration",
            "max_memory_used",
            "memory_size",
            "estimated_cost",
        ] {
            let of_name = |metric: &&Value| metric["name"] == format!("aws.lambda.{name}");
            let metric = metrics.iter().find(of_name).unwrap_or_else(|| panic!("{name}: {metrics:#?}"));
            has_attributes(metric, &[("faas.name", json!("orders")), ("aws.region", json!("eu-central-1"))]);
            let unit = match name {
                "max_memory_used" | "memory_size" => json!("mebibyte"),
                name if name.ends_with("duration") => json!("millisecond"),
                _ => Value::Null,
            };
            assert_eq!(metric.get("unit").cloned().unwrap_or_default(), unit, "{name}");
        }
        let ops: Vec<&Value> = spans.iter().map(|span| &span["attributes"]["sentry.op"]["value"]).collect();
        for op in ["function.aws", "function.aws.init"] {
            assert!(ops.iter().any(|one| *one == op), "{ops:?}");
        }
        assert!(spans.iter().all(|span| span["trace_id"] == TRACE), "{spans:#?}");
        let statuses: Vec<&Value> = check_ins.iter().map(|one| &one["status"]).collect();
        assert_eq!(statuses, ["in_progress", "error", "in_progress", "error"]);
        let schedule = json!({ "type": "interval", "value": 5, "unit": "minute" });
        assert_eq!(check_ins[0]["monitor_config"]["schedule"], schedule);
        let types: Vec<&Value> =
            events.iter().map(|event| &event["exception"]["values"][0]["type"]).collect();
        assert_eq!(types, ["ValueError", "Lambda.Timeout"]);
    });
}
