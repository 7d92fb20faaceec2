//! Metrics of invocations, and check-ins of a monitor.

use super::{DEADLINE, Environment, SECOND, kind};
use crate::support::{
    lambda_api::{Subscription, record},
    netns::isolated,
    sentry::{Gate, Received, Reply},
};
use serde_json::{Value, json};
use std::sync::Arc;

fn start(request: &str) -> Value {
    record("platform.start", &json!({ "requestId": request }))
}

fn done(request: &str, status: &str) -> Value {
    let body = json!({ "requestId": request, "status": status, "metrics": { "durationMs": 100.0 } });
    record("platform.runtimeDone", &body)
}

fn report(request: &str) -> Value {
    let metrics = json!({ "durationMs": 142.0, "billedDurationMs": 143, "memorySizeMB": 256, "maxMemoryUsedMB": 181,
        "initDurationMs": 400.5 });
    record("platform.report", &json!({ "requestId": request, "status": "success", "metrics": metrics }))
}

/// All metrics that Sentry got. Each container is checked.
fn metrics(received: &[Arc<Received>]) -> Vec<Value> {
    let mut metrics = Vec::new();
    for item in received.iter().filter_map(|one| one.envelope.item("trace_metric")) {
        let items = item.json()["items"].as_array().unwrap().clone();
        assert_eq!(item.header["item_count"], items.len());
        assert!(items.len() <= 100, "{}", items.len());
        assert_eq!(item.header["content_type"], "application/vnd.sentry.items.trace-metric+json");
        metrics.extend(items);
    }
    metrics
}

fn sum(metrics: &[Value], name: &str) -> f64 {
    let of_name = metrics.iter().filter(|metric| metric["name"] == format!("aws.lambda.{name}"));
    of_name.map(|metric| metric["value"].as_f64().unwrap()).sum()
}

/// The check-ins that Sentry got, in the order in which they came.
fn check_ins(received: &[Arc<Received>]) -> Vec<Value> {
    received.iter().filter_map(|one| Some(one.envelope.item("check_in")?.json())).collect()
}

fn statuses(check_ins: &[Value]) -> Vec<&str> {
    check_ins.iter().map(|one| one["status"].as_str().unwrap()).collect()
}

async fn environment(settings: &[(&str, &str)]) -> Environment {
    Environment::start(Subscription::Accepted, settings).await
}

/// Ends the environment, and returns everything that Sentry got. The counts balance.
async fn ended(environment: Environment, reason: &str) -> Vec<Arc<Received>> {
    environment.api.shutdown(reason, 2 * SECOND);
    let [accepted, delivered, ..] = environment.extension.final_counts().await;
    assert_eq!(accepted, delivered);
    assert!(environment.sentry.violations().is_empty(), "{:?}", environment.sentry.violations());
    environment.sentry.received()
}

#[test]
fn the_metrics_of_all_invocations_leave_together() {
    isolated(|| async {
        let settings = [("SENTRY_EXTENSION_METRICS", "true"), ("SENTRY_RELEASE", "shop@1")];
        let mut environment = environment(&settings).await;
        for request in ["r-1", "r-2", "r-3"] {
            environment.invoke(request).await;
            environment.api.post_telemetry(&json!([start(request), done(request, "success")])).await;
            environment.api.post_telemetry(&json!([report(request)])).await;
        }
        let received = ended(environment, "spindown").await;
        let metrics = metrics(&received);
        for (name, total) in [
            ("invocations", 3.0),
            ("errors", 0.0),
            ("cold_starts", 1.0),
            ("duration", 300.0),
            ("billed_duration", 429.0),
            ("init_duration", 1201.5),
            ("post_runtime_duration", 126.0),
            ("max_memory_used", 543.0),
            ("memory_size", 768.0),
        ] {
            assert!((sum(&metrics, name) - total).abs() < 1e-6, "{name}: {}", sum(&metrics, name));
        }
        assert!(sum(&metrics, "estimated_cost") > 3.0 * 0.2e-6);
        let attributes = &metrics[0]["attributes"];
        assert_eq!(
            (&attributes["faas.name"]["value"], &attributes["aws.region"]["value"]),
            (&json!("orders"), &json!("eu-central-1"))
        );
        assert_eq!(attributes["sentry.release"]["value"], "shop@1");
        println!("{:#}\n{:#}", metrics[0], metrics.last().unwrap());
    });
}

#[test]
fn a_time_out_counts_at_shutdown_and_next_is_never_held_for_metrics() {
    isolated(|| async {
        let settings = [("SENTRY_EXTENSION_METRICS", "true"), ("SENTRY_EXTENSION_FLUSH", "end")];
        let mut environment = environment(&settings).await;
        let gate = Gate::closed();
        let held = gate.clone();
        environment.sentry.respond_with(move |_| Reply::ok().held_by(&held));
        for request in (0..20).map(|number| format!("r-{number}")) {
            environment.api.invoke_as(&request, DEADLINE);
            let batch = json!([start(&request), done(&request, "success"), report(&request)]);
            environment.api.post_telemetry(&batch).await;
            environment.asked += 1;
            environment.api.asked(environment.asked).await;
        }
        gate.open();
        environment.invoke("late").await;
        environment.api.post_telemetry(&json!([start("late"), done("late", "timeout")])).await;
        let metrics = metrics(&ended(environment, "timeout").await);
        assert_eq!(
            ["invocations", "errors", "timeouts"].map(|name| sum(&metrics, name).to_string()),
            ["21", "1", "1"]
        );
    });
}

#[test]
fn nothing_is_measured_unless_it_is_asked_for() {
    isolated(|| async {
        let mut environment = environment(&[]).await;
        environment.invoke("r-1").await;
        environment.api.post_telemetry(&json!([start("r-1"), done("r-1", "success"), report("r-1")])).await;
        assert_eq!(ended(environment, "spindown").await.len(), 0);
    });
}

#[test]
fn each_invocation_checks_in_and_out_in_order() {
    isolated(|| async {
        let settings = [
            ("SENTRY_EXTENSION_MONITOR", "nightly|cron(0/10 8 ? * MON-FRI *)"),
            ("SENTRY_ENVIRONMENT", "production"),
        ];
        let mut environment = environment(&settings).await;
        for request in ["r-1", "r-2"] {
            environment.invoke(request).await;
            environment.api.post_telemetry(&json!([start(request), done(request, "success")])).await;
        }
        let received = ended(environment, "spindown").await;
        let check_ins = check_ins(&received);
        assert_eq!(statuses(&check_ins), ["in_progress", "ok", "in_progress", "ok"]);
        for pair in check_ins.chunks(2) {
            assert_eq!(pair[0]["check_in_id"], pair[1]["check_in_id"]);
            assert_eq!(pair[0]["monitor_slug"], "nightly");
            assert_eq!(pair[0]["environment"], "production");
            let config = json!({ "schedule": { "type": "crontab", "value": "0-59/10 8 * * 1-5" }, "checkin_margin": 2,
                "max_runtime": 1, "timezone": "UTC" });
            assert_eq!(pair[0]["monitor_config"], config);
            assert_eq!(pair[1]["duration"], 0.1);
        }
        assert_ne!(check_ins[0]["check_in_id"], check_ins[2]["check_in_id"]);
        println!("{:#}\n{:#}", check_ins[0], check_ins[1]);
    });
}

#[test]
fn a_fault_and_a_caught_error_end_a_check_in_with_an_error() {
    isolated(|| async {
        let settings = [("SENTRY_EXTENSION_MONITOR", "nightly")];
        let mut environment = environment(&settings).await;
        assert_eq!(environment.api.subscribed().await["types"], json!(["platform", "function"]));
        // Lambda tells that all went well, but Python's runtime has logged the error of the handler.
        environment.invoke("r-1").await;
        let text = "[ERROR] ValueError: no\nTraceback (most recent call last):\n  \
            File \"/var/task/app.py\", line 3, in handler\n    raise ValueError(\"no\")\n";
        let batch =
            json!([start("r-1"), record("function", &text.into()), done("r-1", "success"), report("r-1")]);
        environment.api.post_telemetry(&batch).await;
        environment.invoke("r-2").await;
        environment.api.post_telemetry(&json!([start("r-2")])).await;
        let received = ended(environment, "timeout").await;
        let check_ins = check_ins(&received);
        assert_eq!(statuses(&check_ins), ["in_progress", "error", "in_progress", "error"]);
        assert!(check_ins.iter().all(|one| one.get("monitor_config").is_none()));
        let events: Vec<Value> =
            received.iter().filter_map(|one| Some(one.envelope.item("event")?.json())).collect();
        assert_eq!(
            events.iter().map(kind).collect::<Vec<_>>(),
            ["timeout"],
            "errors are not reported unasked"
        );
    });
}

#[test]
fn without_telemetry_check_ins_end_all_the_same() {
    isolated(|| async {
        let settings = [("SENTRY_EXTENSION_MONITOR", "nightly|cron(0 8 L * ? *)")];
        let mut environment = Environment::start(Subscription::Status(202), &settings).await;
        environment.invoke("r-1").await;
        environment.invoke("r-2").await;
        let log = environment.extension.log.clone();
        let received = ended(environment, "spindown").await;
        assert_eq!(statuses(&check_ins(&received)), ["in_progress", "ok", "in_progress", "ok"]);
        assert!(
            log.contains("SENTRY_EXTENSION_MONITOR has a schedule with L, W, # or a year"),
            "{}",
            log.text()
        );
    });
}
