//! The function's own lines, from what Lambda tells to Sentry's structured logs.

use super::{DEADLINE, Environment, SECOND};
use crate::support::{
    lambda_api::{Subscription, record},
    memory::Memory,
    netns::isolated,
    sdk::{self, TUNNEL},
    sentry::{Gate, Received, Reply},
};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;

const ONE: &str = "8442603f-da10-42d2-bf58-c33a31978aad";
const XRAY: &str = "Root=1-67d448e8-3ae320be0e2cdf2f53ccdaba;Parent=35465b3a9e2f7c6a;Sampled=0";
const XRAY_TRACE: &str = "67d448e83ae320be0e2cdf2f53ccdaba";

async fn environment(settings: &[(&str, &str)]) -> Environment {
    let logs = [("SENTRY_EXTENSION_FUNCTION_LOGS", "info")];
    // What is set last counts.
    Environment::start(Subscription::Accepted, &[&logs, settings].concat()).await
}

fn line(text: impl Into<Value>) -> Value {
    record("function", &text.into())
}

fn start(request: &str) -> Value {
    record("platform.start", &json!({ "requestId": request, "tracing": { "value": XRAY } }))
}

fn done(request: &str) -> Value {
    let body = json!({ "requestId": request, "status": "success", "metrics": { "durationMs": 5 } });
    record("platform.runtimeDone", &body)
}

fn report(request: &str) -> Value {
    record("platform.report", &json!({ "requestId": request, "status": "success", "metrics": {} }))
}

/// All logs that Sentry got, in order. Each container is checked.
fn logs(received: &[Arc<Received>]) -> Vec<Value> {
    let mut logs = Vec::new();
    for item in received.iter().filter_map(|one| one.envelope.item("log")) {
        let items = item.json()["items"].as_array().unwrap().clone();
        assert_eq!(item.header["item_count"], items.len());
        assert!(items.len() <= 100, "{}", items.len());
        assert_eq!(item.header["content_type"], "application/vnd.sentry.items.log+json");
        logs.extend(items);
    }
    logs
}

fn bodies(logs: &[Value]) -> Vec<&str> {
    logs.iter().map(|log| log["body"].as_str().unwrap()).collect()
}

fn attribute<'a>(log: &'a Value, name: &str) -> &'a Value {
    &log["attributes"][name]["value"]
}

/// What client reports say was lost, by reason and category.
fn lost(received: &[Arc<Received>]) -> BTreeMap<(String, String), u64> {
    let mut lost = BTreeMap::new();
    for report in received.iter().filter_map(|one| one.envelope.item("client_report")) {
        for entry in report.json()["discarded_events"].as_array().unwrap() {
            let text = |name: &str| entry[name].as_str().unwrap().to_owned();
            *lost.entry((text("reason"), text("category"))).or_default() +=
                entry["quantity"].as_u64().unwrap();
        }
    }
    lost
}

/// Ends the environment, and returns all that Sentry got and the line with the counts.
async fn ended(environment: Environment) -> (Vec<Arc<Received>>, Value) {
    environment.api.shutdown("spindown", 2 * SECOND);
    let (status, log) = environment.extension.ended().await;
    assert!(status.success(), "{status}:\n{}", log.text());
    assert!(!log.contains("panic"), "{}", log.text());
    assert!(environment.sentry.violations().is_empty(), "{:?}", environment.sentry.violations());
    let text = log.text();
    let json =
        |text: &str| text.lines().rfind(|line| line.contains(r#""message":"envelopes""#)).map(str::to_owned);
    let envelopes: Value = serde_json::from_str(&json(&text).unwrap()).unwrap();
    let count = |name: &str| envelopes[name].as_u64().unwrap();
    let ends = ["delivered", "rejected", "spooled", "dropped", "pending"].map(count).iter().sum::<u64>();
    assert_eq!(count("accepted"), ends, "{envelopes}");
    let counts = text.lines().find(|line| line.contains(r#""message":"function logs""#)).unwrap();
    (environment.sentry.received(), serde_json::from_str(counts).unwrap())
}

#[test]
fn lambda_is_asked_for_lines_only_where_they_are_wanted() {
    isolated(|| async {
        for (settings, types) in [
            (&[][..], json!(["platform"])),
            (
                &[("SENTRY_EXTENSION_FUNCTION_LOGS", "off"), ("SENTRY_EXTENSION_ERRORS", "false")],
                json!(["platform"]),
            ),
            (&[("SENTRY_EXTENSION_FUNCTION_LOGS", "loud")], json!(["platform"])),
            (&[("SENTRY_EXTENSION_FUNCTION_LOGS", "error")], json!(["platform", "function"])),
            (
                &[("SENTRY_EXTENSION_FUNCTION_LOGS", "error"), ("SENTRY_EXTENSION_FAULTS", "false")],
                json!(["platform", "function"]),
            ),
            (&[("SENTRY_EXTENSION_ERRORS", "true")], json!(["platform", "function"])),
        ] {
            let environment = Environment::start(Subscription::Accepted, settings).await;
            assert_eq!(environment.api.subscribed().await["types"], types, "{settings:?}");
            assert_eq!(environment.end("spindown").await, [Value::Null; 0]);
        }
    });
}

#[test]
fn lines_become_logs_with_the_level_the_request_and_the_trace() {
    isolated(|| async {
        let settings = [("SENTRY_RELEASE", "shop@1.4.2"), ("SENTRY_ENVIRONMENT", "production")];
        let mut environment = environment(&settings).await;
        environment.api.post_telemetry(&json!([line("loads\n")])).await;
        environment.invoke(ONE).await;
        let batch = json!([
            start(ONE),
            line(format!("[WARNING]\t2026-11-25T10:00:00.010Z\t{ONE}\tone\ntwo\n")),
            line("[DEBUG]\t2026-11-25T10:00:00.010Z\t\tnot wanted\n"),
            line(
                json!({ "timestamp": "2026-11-25T10:00:00Z", "level": "ERROR", "requestId": ONE, "message": "cart",
                "items": [1, 2], "user": { "id": 7 } })
            ),
            done(ONE),
        ]);
        environment.api.post_telemetry(&batch).await;
        let (received, counts) = ended(environment).await;
        let logs = logs(&received);
        assert_eq!(bodies(&logs), ["loads", "one\ntwo", "cart"]);
        let levels: Vec<&str> = logs.iter().map(|log| log["level"].as_str().unwrap()).collect();
        assert_eq!(levels, ["info", "warn", "error"]);
        let requests = logs.iter().map(|log| attribute(log, "faas.invocation_id"));
        assert_eq!(requests.collect::<Vec<_>>(), [&Value::Null, &json!(ONE), &json!(ONE)]);
        let traces: Vec<&str> = logs.iter().map(|log| log["trace_id"].as_str().unwrap()).collect();
        assert_eq!(traces[1..], [XRAY_TRACE; 2]);
        assert!(traces[0].len() == 32 && traces[0] != XRAY_TRACE, "{}", traces[0]);
        let sequence: Vec<u64> =
            logs.iter().map(|log| attribute(log, "sentry.timestamp.sequence").as_u64().unwrap()).collect();
        assert_eq!(sequence, [0, 1, 2], "all are of one millisecond");
        let attributes: Vec<&String> = logs[2]["attributes"].as_object().unwrap().keys().collect();
        let expected = [
            "faas.invocation_id",
            "faas.name",
            "items",
            "sentry.environment",
            "sentry.origin",
            "sentry.release",
            "sentry.timestamp.sequence",
            "user.id",
        ];
        assert_eq!(attributes, expected);
        assert_eq!(attribute(&logs[2], "sentry.release"), "shop@1.4.2");
        println!("{:#}", logs[2]);
        let count = |name: &str| counts[name].as_u64().unwrap();
        assert_eq!(["read", "sent", "left_out", "over_budget"].map(count), [4, 3, 1, 0]);
    });
}

#[test]
fn the_sdks_trace_and_release_are_the_lines_own() {
    isolated(|| async {
        let mut environment = environment(&[]).await;
        environment.invoke(ONE).await;
        environment.api.post_telemetry(&json!([start(ONE), line("text")])).await;
        let trace = "11111111111111111111111111111111";
        let event = json!({ "level": "warning", "message": "of the SDK",
            "contexts": { "trace": { "trace_id": trace, "span_id": "2222222222222222" } },
            "extra": { "lambda": { "aws_request_id": ONE } } });
        let event = event.to_string();
        let header = json!({ "event_id": "9ec79c33ec9942ab8353589fcb2e04dc",
            "dsn": environment.sentry.dsn(sdk::KEY, "42"),
            "trace": { "trace_id": trace, "release": "shop@2", "environment": "staging", "public_key": sdk::KEY } });
        let envelope = format!("{header}\n{{\"type\":\"event\",\"length\":{}}}\n{event}\n", event.len());
        sdk::post(TUNNEL, envelope).await;
        environment.api.post_telemetry(&json!([done(ONE)])).await;
        let (received, _) = ended(environment).await;
        let logs = logs(&received);
        assert_eq!(logs.len(), 1);
        assert_eq!(logs[0]["trace_id"], trace);
        assert_eq!(attribute(&logs[0], "sentry.release"), "shop@2");
        assert_eq!(attribute(&logs[0], "sentry.environment"), "staging");
    });
}

#[test]
fn next_is_never_held_for_them_and_they_leave_at_shutdown() {
    isolated(|| async {
        let mut environment = environment(&[("SENTRY_EXTENSION_FLUSH", "end")]).await;
        let gate = Gate::closed();
        let held = gate.clone();
        environment.sentry.respond_with(move |_| Reply::ok().held_by(&held));
        for request in ["r-1", "r-2", "r-3"] {
            environment.api.invoke_as(request, DEADLINE);
            environment
                .api
                .post_telemetry(&json!([start(request), line(format!("of {request}")), done(request)]))
                .await;
            // It returns when the extension asks for the next event, though Sentry has answered nothing.
            environment.asked += 1;
            environment.api.asked(environment.asked).await;
            environment.api.post_telemetry(&json!([report(request)])).await;
        }
        assert_eq!(logs(&environment.sentry.received()).len(), 0);
        gate.open();
        let (received, _) = ended(environment).await;
        let logs = logs(&received);
        let mut bodies = bodies(&logs);
        bodies.sort_unstable();
        assert_eq!(bodies, ["of r-1", "of r-2", "of r-3"]);
    });
}

#[test]
fn what_comes_with_shutdown_is_not_lost() {
    isolated(|| async {
        let mut environment = environment(&[]).await;
        environment.invoke(ONE).await;
        environment.api.post_telemetry(&json!([start(ONE), done(ONE)])).await;
        // The report and the last lines are on their way when the extension reads SHUTDOWN.
        environment.extension.freeze();
        environment.api.shutdown("spindown", 2 * SECOND);
        let last = json!([line("at the very end"), report(ONE)]);
        let tell = environment.api.post_telemetry(&last);
        let ((), ()) = tokio::join!(tell, async { environment.extension.thaw() });
        let sentry = &environment.sentry;
        sentry.wait_for("the line", |one| one.envelope.item("log").is_some()).await;
        assert_eq!(bodies(&logs(&sentry.received())), ["at the very end"]);
        assert_eq!(environment.ended().await, [Value::Null; 0]);
    });
}

#[test]
fn a_long_invocation_sends_them_while_it_runs() {
    isolated(|| async {
        let mut environment = environment(&[]).await;
        environment.invoke(ONE).await;
        environment.api.post_telemetry(&json!([start(ONE), line("begins")])).await;
        environment.sentry.wait_for("the line", |one| one.envelope.item("log").is_some()).await;
        let (received, _) = ended(environment).await;
        assert_eq!(bodies(&logs(&received)), ["begins"]);
    });
}

#[test]
fn containers_have_a_hundred_logs_at_most_and_keep_their_order() {
    isolated(|| async {
        let mut environment = environment(&[]).await;
        environment.invoke(ONE).await;
        let mut batch = vec![start(ONE)];
        batch.extend((0..450).map(|n| line(format!("line {n}\n"))));
        batch.push(done(ONE));
        environment.api.post_telemetry(&batch.into()).await;
        let (received, counts) = ended(environment).await;
        let containers = received.iter().filter(|one| one.envelope.item("log").is_some()).count();
        assert_eq!(containers, 5);
        let mut logs = logs(&received);
        logs.sort_by_key(|log| attribute(log, "sentry.timestamp.sequence").as_u64().unwrap());
        let expected: Vec<String> = (0..450).map(|n| format!("line {n}")).collect();
        assert_eq!(bodies(&logs), expected);
        assert_eq!(counts["sent"], 450);
    });
}

#[test]
fn what_is_over_the_budget_and_what_lambda_dropped_is_counted_and_reported() {
    isolated(|| async {
        let mut environment = environment(&[("SENTRY_EXTENSION_FUNCTION_LOGS_BUDGET", "1KiB")]).await;
        environment.invoke(ONE).await;
        let mut batch = vec![start(ONE)];
        batch.extend((0..20).map(|_| line("x".repeat(50))));
        let dropped = json!({ "reason": "Consumer seems to have fallen behind",
            "droppedRecords": 7, "droppedBytes": 900 });
        batch.extend([record("platform.logsDropped", &dropped), done(ONE)]);
        environment.api.post_telemetry(&batch.into()).await;
        let (received, counts) = ended(environment).await;
        let sent = logs(&received).len() as u64;
        assert!((3..10).contains(&sent), "{sent}");
        let count = |name: &str| counts[name].as_u64().unwrap();
        assert_eq!((count("read"), count("sent"), count("over_budget")), (20, sent, 20 - sent));
        assert!(count("sent_bytes") <= 1024, "{counts}");
        assert_eq!((count("dropped_by_lambda"), count("dropped_by_lambda_bytes")), (7, 900));
        assert_eq!(counts["level"], "warn");
        let key = |reason: &str, category: &str| (reason.to_owned(), category.to_owned());
        let expected = BTreeMap::from([
            (key("buffer_overflow", "log_byte"), 900),
            (key("buffer_overflow", "log_item"), 7),
            (key("sample_rate", "log_byte"), count("over_budget_bytes")),
            (key("sample_rate", "log_item"), 20 - sent),
        ]);
        assert_eq!(lost(&received), expected);
    });
}

#[test]
fn sentrys_rate_limits_are_kept_and_reported() {
    isolated(|| async {
        let mut environment = environment(&[]).await;
        environment
            .sentry
            .respond_with(|_| Reply::status(429).header("x-sentry-rate-limits", "60:log_item:organization"));
        environment.invoke("r-1").await;
        environment.api.post_telemetry(&json!([start("r-1"), line("first"), done("r-1")])).await;
        environment.sentry.wait_for("the first", |one| one.envelope.item("log").is_some()).await;
        environment.extension.log.wait_for("answer").await;
        environment.sentry.respond_with(|_| Reply::ok());
        environment.invoke("r-2").await;
        environment.api.post_telemetry(&json!([start("r-2"), line("second"), done("r-2")])).await;
        let (received, _) = ended(environment).await;
        assert_eq!(bodies(&logs(&received)), ["first"]);
        let lost = lost(&received);
        let key = ("ratelimit_backoff".to_owned(), "log_item".to_owned());
        assert_eq!(lost.get(&key), Some(&1), "{lost:?}");
    });
}

#[test]
fn a_fault_has_the_lines_before_it_as_breadcrumbs() {
    isolated(|| async {
        let mut environment = environment(&[]).await;
        environment.invoke(ONE).await;
        environment
            .api
            .post_telemetry(&json!([start(ONE), line("[ERROR] cart is empty"), line("[DEBUG] left out")]))
            .await;
        environment.runtime_done(ONE, "timeout", None).await;
        let faults = environment.end("timeout").await;
        let crumbs = faults[0]["breadcrumbs"]["values"].as_array().unwrap();
        assert_eq!(crumbs.len(), 1);
        assert_eq!((&crumbs[0]["message"], &crumbs[0]["level"]), (&json!("cart is empty"), &json!("error")));
    });
}

/// Whatever comes, nothing panics, what can be read is read, and what cannot is counted.
#[test]
fn garbage_costs_only_itself() {
    isolated(|| async {
        let mut environment = environment(&[("SENTRY_EXTENSION_FUNCTION_LOGS_BUDGET", "1GiB")]).await;
        environment.invoke(ONE).await;
        let to = environment.api.destination().await;
        let deep = "[".repeat(100_000) + &"]".repeat(100_000);
        let bodies_of_batches: Vec<Vec<u8>> = vec![
            b"<html>".to_vec(),
            b"\xff\xfe".to_vec(),
            Vec::new(),
            b"[{\"type\":\"function\",\"record\":\"cut o".to_vec(),
            [
                b"[",
                &*line("one").to_string().into_bytes(),
                b",{\"type\":\"function\",\"record\":\"\xff\xff\"}]",
            ]
            .concat(),
            format!("[{{\"type\":\"function\",\"record\":{deep}}}]").into_bytes(),
            format!("[{{\"type\":\"function\",\"record\":{{\"a\":{deep}}}}}]").into_bytes(),
            json!([line("x".repeat(1 << 20))]).to_string().into_bytes(),
            json!([line("{\"a\":1"), line("{}}"), line(Value::Null), line(7), line("\0\u{7}\u{1b}[31m")])
                .to_string()
                .into_bytes(),
            br#"[{"time":"9999-12-31T23:59:59.999Z","type":"function","record":"far ahead"},
                {"time":"1970-01-01T00:00:00.000Z","type":"function","record":"long ago"},
                {"time":"soon","type":"function","record":"whenever"}]"#
                .to_vec(),
            vec![b' '; 5 << 20],
        ];
        for body in bodies_of_batches {
            let headers = [("content-type", "application/json")];
            // A batch that is too large may be answered before it was sent.
            let _ = crate::support::http::request(to, hyper::Method::POST, "/", &headers, body).await;
        }
        environment.api.post_telemetry(&json!([start(ONE), line("still there"), done(ONE)])).await;
        let (received, counts) = ended(environment).await;
        let logs = logs(&received);
        let bodies = bodies(&logs);
        for expected in [
            "one",
            "\u{fffd}\u{fffd}",
            "{\"a\":1",
            "{}}",
            "7",
            "\0\u{7}\u{1b}[31m",
            "far ahead",
            "long ago",
            "whenever",
            "still there",
        ] {
            assert!(bodies.contains(&expected), "{expected}: {bodies:?}");
        }
        assert!(bodies.iter().all(|body| body.len() <= 256 * 1024));
        assert!(counts["unreadable_batches"].as_u64().unwrap() >= 4, "{counts}");
    });
}

/// More lines than any function writes: nothing is lost to a Sentry that answers, and memory does not grow with them.
#[test]
fn a_flood_is_carried_without_loss_in_bounded_memory() {
    isolated(|| async {
        let mut environment = environment(&[("SENTRY_EXTENSION_FUNCTION_LOGS_BUDGET", "1GiB")]).await;
        environment.invoke(ONE).await;
        let batch: Vec<Value> = (0..1000)
            .map(|n| line(format!("[INFO]\t2026-11-25T10:00:00.010Z\t{ONE}\tcart {n} has three items\n")))
            .collect();
        let batch = Value::from(batch);
        environment.api.post_telemetry(&json!([start(ONE)])).await;
        let before = Memory::of(environment.extension.pid()).now;
        for _ in 0..100 {
            environment.api.post_telemetry(&batch).await;
        }
        let most = Memory::of(environment.extension.pid()).most;
        environment.api.post_telemetry(&json!([done(ONE)])).await;
        let (received, counts) = ended(environment).await;
        println!("{} KiB more at most", (most - before) >> 10);
        // The queue may hold 16 MiB here. All lines together are more than 50 MB as Sentry gets them.
        assert!(most - before < 24 << 20, "{} KiB", (most - before) >> 10);
        assert_eq!((&counts["read"], &counts["sent"]), (&json!(100_000), &json!(100_000)));
        let delivered = received.iter().filter_map(|one| one.envelope.item("log"));
        assert_eq!(delivered.map(|item| item.header["item_count"].as_u64().unwrap()).sum::<u64>(), 100_000);
    });
}
