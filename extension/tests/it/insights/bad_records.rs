//! Records of the platform that Lambda would not send: clocks that jump, numbers that mean nothing, and requests that
//! nobody has told of. Everything that the extension can report is on.

use super::{Environment, SECOND};
use crate::support::{HANG, lambda_api::Subscription, memory::Memory, netns::isolated, sentry::Reply};
use serde_json::{Value, json};

const EVERYTHING: [(&str, &str); 6] = [
    ("SENTRY_EXTENSION_FUNCTION_LOGS", "trace"),
    ("SENTRY_EXTENSION_FUNCTION_LOGS_BUDGET", "1GiB"),
    ("SENTRY_EXTENSION_ERRORS", "true"),
    ("SENTRY_EXTENSION_METRICS", "true"),
    ("SENTRY_EXTENSION_SPANS", "1.0"),
    ("SENTRY_EXTENSION_MONITOR", "nightly|rate(5 minutes)"),
];
const KINDS: [&str; 12] = [
    "platform.initStart",
    "platform.initRuntimeDone",
    "platform.initReport",
    "platform.restoreStart",
    "platform.restoreRuntimeDone",
    "platform.restoreReport",
    "platform.start",
    "function",
    "platform.runtimeDone",
    "platform.report",
    "platform.fault",
    "platform.logsDropped",
];
/// The last one is the good one.
const LAST: &str = "8442603f-da10-42d2-bf58-c33a31978aad";

/// A record of this kind with everything that any record has.
fn record(kind: &str, time: &str, request: &str, number: &Value) -> Value {
    let metrics = [
        "durationMs",
        "billedDurationMs",
        "memorySizeMB",
        "maxMemoryUsedMB",
        "initDurationMs",
        "restoreDurationMs",
    ];
    let metrics: serde_json::Map<String, Value> =
        metrics.into_iter().map(|name| (name.to_owned(), number.clone())).collect();
    json!({ "time": time, "type": kind, "record": {
        "requestId": request, "status": "success", "initializationType": "on-demand", "phase": "init",
        "runtimeVersion": "python:3.13.v58", "message": "line", "metrics": metrics,
        "droppedRecords": number, "droppedBytes": number,
        "tracing": { "value": "Root=1-00000000-;Parent=;Sampled=7" },
        "spans": [{ "name": "extensionOverhead", "start": time, "durationMs": number }],
    } })
}

/// Runs an invocation in which all goes well, ends the environment, and checks that all was told of it once.
async fn goes_on(mut environment: Environment) {
    let at = |second: f64, kind: &str, body: Value| {
        let time = format!("2026-11-26T10:00:{second:06.3}Z");
        json!({ "time": time, "type": kind, "record": body })
    };
    let end =
        |millis: f64| json!({ "requestId": LAST, "status": "success", "metrics": { "durationMs": millis } });
    environment.invoke(LAST).await;
    let batch = json!([
        at(1.0, "platform.start", json!({ "requestId": LAST })),
        at(1.01, "function", json!("still there")),
        at(1.1, "platform.runtimeDone", end(100.0)),
        at(1.2, "platform.report", end(142.0)),
    ]);
    environment.api.post_telemetry(&batch).await;
    environment.api.shutdown("spindown", 2 * SECOND);
    let log = environment.extension.log.clone();
    let [accepted, delivered, rejected, dropped] = environment.extension.final_counts().await;
    assert_eq!((accepted, rejected, dropped), (delivered, 0, 0), "{}", log.text());
    assert!(!log.contains("panic"), "{}", log.text());
    assert!(environment.sentry.violations().is_empty(), "{:?}", environment.sentry.violations());
    let received = environment.sentry.received();
    let things = |kind: &str| -> Vec<Value> {
        let items = received.iter().flat_map(|one| &one.envelope.items).filter(|item| item.kind() == kind);
        items
            .map(crate::support::envelope::Item::json)
            .flat_map(|json| json["items"].as_array().cloned().unwrap_or_else(|| vec![json]))
            .collect()
    };
    let of_last = |thing: &Value| thing["attributes"]["faas.invocation_id"]["value"] == LAST;
    let logs: Vec<Value> = things("log").into_iter().filter(of_last).collect();
    assert_eq!(logs.iter().map(|log| &log["body"]).collect::<Vec<_>>(), ["still there"]);
    let mut own = things("span");
    own.retain(|span| of_last(span) && span["is_segment"] == true);
    assert_eq!(own.len(), 1, "{own:#?}");
    let took = own[0]["end_timestamp"].as_f64().unwrap() - own[0]["start_timestamp"].as_f64().unwrap();
    assert!((took - 0.1).abs() < 1e-3, "{took}");
    // A number that is none is not told as one.
    for thing in things("trace_metric") {
        assert!(thing["value"].is_number(), "{thing:#}");
    }
    for thing in things("span") {
        let [start, end] = ["start_timestamp", "end_timestamp"].map(|name| thing[name].as_f64().unwrap());
        assert!(start <= end, "{thing:#}");
    }
    let check_ins = things("check_in");
    let statuses: Vec<&Value> = check_ins.iter().rev().take(2).map(|one| &one["status"]).collect();
    assert_eq!(statuses, ["ok", "in_progress"]);
}

#[test]
fn clocks_that_jump_and_numbers_that_mean_nothing_cost_only_themselves() {
    isolated(|| async {
        let environment = Environment::start(Subscription::Accepted, &EVERYTHING).await;
        let times = [
            "2026-11-26T10:00:00.000Z",
            "9999-12-31T23:59:59.999Z",
            "1970-01-01T00:00:00.000Z",
            "0000-00-00T00:00:00Z",
            "2026-11-26T09:00:00.000+23:59",
            "soon",
        ];
        let numbers = [
            json!(-1),
            json!(0),
            json!(1e15),
            json!(1e308),
            json!(u64::MAX),
            json!("7"),
            Value::Null,
            json!([]),
        ];
        for (step, number) in numbers.iter().enumerate() {
            let request = format!("jump-{step}");
            let of_kind = |kind: &str, at: usize| {
                let time = times[(at + step) % times.len()];
                record(kind, time, &request, number)
            };
            let batch: Vec<Value> = KINDS.iter().enumerate().map(|(at, kind)| of_kind(kind, at)).collect();
            environment.api.post_telemetry(&batch.into()).await;
        }
        goes_on(environment).await;
    });
}

#[test]
fn requests_that_nobody_has_told_of_are_bounded() {
    isolated(|| async {
        let environment = Environment::start(Subscription::Accepted, &EVERYTHING).await;
        let (counting, mut check_ins) = tokio::sync::watch::channel(0);
        environment.sentry.respond_with(move |one| {
            counting
                .send_modify(|check_ins| *check_ins += usize::from(one.envelope.item("check_in").is_some()));
            Reply::ok()
        });
        let odd = [json!(""), json!("x".repeat(100_000)), json!(null), json!(7), json!("\u{0}\n"), json!({})];
        for request in odd {
            for kind in KINDS {
                let mut one = record(kind, "2026-11-26T10:00:00.000Z", "", &json!(1));
                one["record"]["requestId"] = request.clone();
                environment.api.post_telemetry(&json!([one])).await;
            }
        }
        let before = Memory::of(environment.extension.pid()).now;
        for hundred in 0..10 {
            let ends = (0..100).flat_map(|number| {
                let request = format!("99999999-da10-42d2-bf58-{:012}", hundred * 100 + number);
                ["function", "platform.runtimeDone", "platform.report"]
                    .map(|kind| record(kind, "2026-11-26T10:00:00.000Z", &request, &json!(1)))
            });
            environment.api.post_telemetry(&ends.collect::<Vec<_>>().into()).await;
        }
        let grown = Memory::of(environment.extension.pid()).now.saturating_sub(before);
        println!("{} KiB more", grown >> 10);
        // What these records became waits in the queue, until it is delivered.
        assert!(grown < 8 << 20, "{} KiB", grown >> 10);
        let all = check_ins.wait_for(|check_ins| *check_ins >= 2000);
        tokio::time::timeout(HANG, all).await.expect("two check-ins of each").unwrap();
        goes_on(environment).await;
    });
}
