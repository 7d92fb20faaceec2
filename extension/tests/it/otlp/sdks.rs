//! OpenTelemetry's own SDKs, with their default endpoint: traces, logs and metrics in each encoding.

use super::{OTLP, is_otlp, key, metrics, start};
use crate::relay::delivery_test::DeliveryTest;
use crate::support::{HANG, netns::isolated, scripted_upstream::header, sdk::KEY, tools};
use serde_json::{Value, json};
use std::io::Read as _;
use std::path::{Path, PathBuf};
use tokio::process::Command;

/// The program of an SDK, which sends the same with each.
struct Sdk {
    command: Vec<PathBuf>,
    /// The variable by which it finds its packages.
    packages: (&'static str, PathBuf),
}

fn program(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/otlp").join(name)
}

fn python() -> Sdk {
    let packages = ("PYTHONPATH", tools::site_packages("opentelemetry"));
    Sdk { command: vec!["/usr/bin/python3".into(), program("send.py")], packages }
}

fn node() -> Sdk {
    let packages = ("NODE_PATH", tools::opentelemetry_modules());
    Sdk { command: vec![tools::program("node"), program("send.cjs")], packages }
}

impl Sdk {
    /// Runs the program. It fails if an exporter does.
    async fn sends(&self, format: &str, compression: &str, settings: &[(&str, &str)]) {
        let running = Command::new(&self.command[0])
            .args(&self.command[1..])
            .arg(format)
            .env(self.packages.0, &self.packages.1)
            .env("OTEL_SERVICE_NAME", "orders")
            .env("OTEL_EXPORTER_OTLP_COMPRESSION", compression)
            .envs(settings.iter().copied())
            .output();
        let done = tokio::time::timeout(HANG, running).await.expect("it does not end").unwrap();
        let said = String::from_utf8_lossy(&done.stdout) + String::from_utf8_lossy(&done.stderr);
        assert!(done.status.success() && said.ends_with("sent\n"), "{}: {said}", done.status);
    }
}

/// The values of all metrics with this name, which have this type and unit.
fn values(all: &[Value], name: &str, kind: &str, unit: Option<&str>) -> Vec<f64> {
    let named = all.iter().filter(|metric| metric["name"] == name);
    named
        .map(|metric| {
            assert_eq!((&metric["type"], metric.get("unit").and_then(Value::as_str)), (&json!(kind), unit));
            metric["value"].as_f64().unwrap()
        })
        .collect()
}

/// Lets an SDK send everything, and checks what arrives. Returns one of the metrics.
async fn check(sdk: &Sdk, format: &str, compression: &str, temporality: &str) -> Value {
    let case = format!("{format}, {compression}, {temporality}");
    let environment = start(&[]).await;
    sdk.sends(format, compression, &[("OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", temporality)])
        .await;
    let (counts, upstream) = environment.shut_down().await;
    assert_eq!((counts.delivered, counts.rejected, counts.dropped), (counts.accepted, 0, 0), "{case}");
    let arrivals = upstream.arrivals();
    let media_type = if format == "json" { "application/json" } else { "application/x-protobuf" };
    for (signal, words) in [("traces", ["checkout", "payment"]), ("logs", ["cart is empty", "paid"])] {
        let path = format!("/api/42/integration/otlp/v1/{signal}");
        let of_signal: Vec<_> = arrivals.iter().filter(|one| one.path == path).collect();
        assert!(!of_signal.is_empty(), "{case}: no {signal}");
        let mut text = Vec::new();
        for one in of_signal {
            assert_eq!((key(one), header(&one.head, "content-type")), (KEY, Some(media_type)), "{case}");
            if compression == "gzip" {
                assert_eq!(header(&one.head, "content-encoding"), Some("gzip"), "{case}");
                flate2::read::GzDecoder::new(&one.body[..]).read_to_end(&mut text).unwrap();
            } else {
                text.extend_from_slice(&one.body);
            }
        }
        let text = String::from_utf8_lossy(&text);
        assert!(words.iter().all(|word| text.contains(word)), "{case}: {text}");
    }
    let mut all: Vec<Value> = arrivals.iter().filter(|one| !is_otlp(one)).flat_map(metrics).collect();
    // Two exports may be delivered side by side, so they may arrive in either order.
    all.sort_by(|one, other| {
        one["timestamp"].as_f64().unwrap().total_cmp(&other["timestamp"].as_f64().unwrap())
    });
    // It was 1 and 2 before the first export, and 4 more before the second.
    assert_eq!(values(&all, "orders.placed", "counter", None), [3.0, 4.0], "{case}: {all:#?}");
    assert_eq!(values(&all, "cart.size", "gauge", None).last(), Some(&2.0), "{case}");
    assert_eq!(values(&all, "memory.used", "gauge", Some("mebibyte")).first(), Some(&81.5), "{case}");
    let durations = values(&all, "checkout.duration", "distribution", Some("millisecond"));
    assert_eq!(durations.len(), 3, "{case}");
    assert!((durations.iter().sum::<f64>() - (5.0 + 250.0 + 30.0)).abs() < 1e-6, "{case}: {durations:?}");
    for metric in &all {
        let attributes = &metric["attributes"];
        assert_eq!(attributes["resource.service.name"]["value"], "orders", "{case}");
        assert_eq!(attributes["instrumentation.name"]["value"], "shop", "{case}");
    }
    let placed = all.iter().find(|metric| metric["name"] == "orders.placed").unwrap();
    assert_eq!(placed["attributes"]["payment.method"], json!({ "value": "card", "type": "string" }));
    placed.clone()
}

async fn check_all(sdk: &Sdk) -> Vec<Value> {
    let mut metrics = Vec::new();
    for (format, compression, temporality) in [
        ("protobuf", "gzip", "cumulative"),
        ("protobuf", "none", "delta"),
        ("json", "none", "cumulative"),
        ("json", "gzip", "delta"),
    ] {
        metrics.push(check(sdk, format, compression, temporality).await);
    }
    metrics
}

#[test]
fn python_sends_everything_in_every_encoding() {
    isolated(|| async {
        let metrics = check_all(&python()).await;
        // The exemplars of this SDK tell in which span something was counted.
        assert!(metrics.iter().all(|metric| metric["span_id"].is_string()), "{metrics:#?}");
        println!("{:#}", metrics[0]);
    });
}

#[test]
fn node_sends_everything_in_every_encoding() {
    isolated(|| async {
        let metrics = check_all(&node()).await;
        println!("{:#}", metrics[0]);
    });
}

/// The exporter of the SDK does not keep the function waiting, although Sentry cannot be reached.
#[test]
fn an_sdk_does_not_notice_an_outage() {
    isolated(|| async {
        use crate::support::scripted_upstream::{Behavior, ScriptedUpstream};
        let upstream = ScriptedUpstream::start(false).await;
        upstream.behave(Behavior::Refuse).await;
        let dsn = upstream.dsn("127.0.0.1", KEY);
        let test = DeliveryTest::with(upstream, &[super::PORT, ("SENTRY_DSN", &dsn)]).await;
        python().sends("protobuf", "gzip", &[]).await;
        test.upstream.recover().await;
        test.upstream
            .wait_until("traces and metrics", |all| {
                all.iter().any(is_otlp) && all.iter().any(|one| !metrics(one).is_empty())
            })
            .await;
        let (counts, _) = test.shut_down().await;
        assert_eq!((counts.delivered, counts.dropped), (counts.accepted, 0));
        assert!(OTLP.port() == 4318 && counts.accepted >= 4);
    });
}
