use super::*;
use crate::telemetry::{InvocationMetrics, RequestId};
use std::time::UNIX_EPOCH;

const REGION: &str = "eu-central-1";

fn metrics() -> Metrics {
    let function = Function {
        name: "orders".to_owned(),
        version: "7".to_owned(),
        region: REGION.to_owned(),
        ..Function::default()
    };
    Metrics::new(MetricContext { function, is_arm: true, trace_id: "e".repeat(32) })
}

fn end(status: &str, duration_ms: f64) -> InvocationEnd {
    InvocationEnd {
        request: RequestId::new("r-1"),
        status: status.to_owned(),
        metrics: InvocationMetrics { duration_ms: Some(duration_ms), ..InvocationMetrics::default() },
        ..InvocationEnd::default()
    }
}

/// What is told when the runtime is done, and the report.
fn reported() -> [InvocationEnd; 2] {
    let report = InvocationEnd {
        metrics: InvocationMetrics {
            billed_duration_ms: Some(551.0),
            init_duration_ms: Some(400.5),
            memory_size_mb: Some(256.0),
            max_memory_used_mb: Some(181.0),
            ..end("success", 142.0).metrics
        },
        ..end("success", 142.0)
    };
    [end("success", 100.0), report]
}

fn now() -> SystemTime {
    UNIX_EPOCH + Duration::from_hours(498_778)
}

fn measured(ends: Option<&[InvocationEnd; 2]>, failure: Option<Failure>) -> Measured<'_> {
    Measured {
        done: ends.map(|[done, _]| done),
        report: ends.map(|[_, report]| report),
        post_runtime: ends.map(|_| Duration::from_millis(42)),
        failure,
        is_cold_start: true,
        trace_id: Some("67d448e83ae320be0e2cdf2f53ccdaba"),
        now: now(),
    }
}

/// Name, type, unit and value of each.
fn summary(all: &[Value]) -> Vec<(String, String, String, f64)> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let of = |one: &Value| {
        (
            text(&one["name"])[11..].to_owned(),
            text(&one["type"]),
            text(&one["unit"]),
            one["value"].as_f64().unwrap(),
        )
    };
    all.iter().map(of).collect()
}

#[test]
fn every_metric_of_an_invocation_and_its_unit() {
    let mut metrics = metrics();
    metrics.take(measured(Some(&reported()), None), MetricsTaken::default());
    let all = metrics.drain(now(), Some("shop@1"), None);
    let metric = |name: &str, kind: &str, unit: &str, value| {
        (name.to_owned(), kind.to_owned(), unit.to_owned(), value)
    };
    let cost = price::of(REGION, true, 551.0, 256.0).unwrap();
    assert_eq!(
        summary(&all),
        [
            metric("duration", "distribution", "millisecond", 100.0),
            metric("billed_duration", "distribution", "millisecond", 551.0),
            metric("init_duration", "distribution", "millisecond", 400.5),
            metric("post_runtime_duration", "distribution", "millisecond", 42.0),
            metric("max_memory_used", "distribution", "mebibyte", 181.0),
            metric("memory_size", "distribution", "mebibyte", 256.0),
            metric("estimated_cost", "distribution", "", cost),
            metric("invocations", "counter", "", 1.0),
            metric("cold_starts", "counter", "", 1.0),
        ]
    );
    let attributes: Vec<_> = all[0]["attributes"]
        .as_object()
        .unwrap()
        .iter()
        .map(|(name, one)| (&**name, one["value"].clone()))
        .collect();
    assert_eq!(
        attributes,
        [
            ("aws.region", REGION.into()),
            ("faas.coldstart", true.into()),
            ("faas.name", "orders".into()),
            ("faas.version", "7".into()),
            ("sentry.release", "shop@1".into()),
        ]
    );
    assert_eq!(all[0]["trace_id"], "67d448e83ae320be0e2cdf2f53ccdaba");
    assert_eq!(all[8]["trace_id"], "e".repeat(32));
    assert!(metrics.drain(now(), None, None).is_empty());
}

#[test]
fn nothing_is_taken_twice_and_counts_are_added_up() {
    let mut metrics = metrics();
    let invocation = reported();
    let mut taken = MetricsTaken::default();
    for _ in 0..3 {
        taken = metrics.take(measured(Some(&invocation), Some(Failure::Timeout)), taken);
    }
    metrics.take(measured(None, Some(Failure::OutOfMemory)), MetricsTaken::default());
    assert_eq!(metrics.values.len(), 7, "each value of the report once");
    let counts: Vec<_> = summary(&metrics.drain(now(), None, None))
        .into_iter()
        .filter(|(_, kind, ..)| kind == "counter")
        .map(|(name, _, _, value)| (name, value))
        .collect();
    let expected = [
        ("invocations", 2.0),
        ("errors", 2.0),
        ("timeouts", 1.0),
        ("out_of_memory", 1.0),
        ("cold_starts", 2.0),
    ];
    assert_eq!(counts, expected.map(|(name, value)| (name.to_owned(), value)));
}

#[test]
fn a_container_is_due_when_it_is_full_or_old() {
    let mut metrics = metrics();
    assert!(!metrics.are_due(now()));
    metrics.take(measured(Some(&reported()), None), MetricsTaken::default());
    assert!(!metrics.are_due(now() + Duration::from_millis(9999)));
    assert!(metrics.are_due(now() + LONGEST_WAIT));
    assert!(metrics.are_due(now() - Duration::from_secs(1)), "the clock went back");
    for _ in 0..11 {
        metrics.take(measured(Some(&reported()), None), MetricsTaken::default());
    }
    assert!(metrics.are_due(now()));
    assert!(metrics.drain(now(), None, None).len() <= 100);
}
