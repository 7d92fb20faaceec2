//! Spans of what no SDK can see, beside the traces that Sentry's SDKs really send.

use super::{Environment, SECOND};
use crate::support::{
    http,
    lambda_api::{Subscription, record},
    netns::isolated,
    sdk::{self, TUNNEL},
    sentry::Received,
};
use serde_json::{Value, json};
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::sync::Arc;

/// The request id that the SDKs had while they were recorded.
pub const REQUEST: &str = "8442603f-da10-42d2-bf58-c33a31978aad";
const XRAY: &str = "Root=1-67d448e8-3ae320be0e2cdf2f53ccdaba;Parent=35465b3a9e2f7c6a;Sampled=0";

/// A record that Lambda has made at this second of a minute.
fn at(seconds: f64, kind: &str, body: &Value) -> Value {
    let mut record = record(kind, body);
    record["time"] = format!("2026-11-02T10:00:{seconds:06.3}Z").into();
    record
}

pub fn init(kind: &str) -> Value {
    json!([
        at(0.0, "platform.initStart", &json!({ "initializationType": kind, "phase": "init" })),
        at(0.39, "platform.initRuntimeDone", &json!({ "phase": "init", "status": "success" })),
        at(0.4, "platform.initReport", &json!({ "phase": "init", "metrics": { "durationMs": 400.5 } })),
    ])
}

pub fn start(request: &str) -> Value {
    at(1.0, "platform.start", &json!({ "requestId": request, "tracing": { "value": XRAY } }))
}

pub fn done(request: &str, status: &str) -> Value {
    let body = json!({ "requestId": request, "status": status, "metrics": { "durationMs": 100.0 } });
    at(1.1, "platform.runtimeDone", &body)
}

pub fn report(request: &str) -> Value {
    let body = json!({ "requestId": request, "status": "success", "metrics": { "durationMs": 142.0 } });
    at(1.2, "platform.report", &body)
}

/// Sends a recorded request of an SDK, byte for byte.
async fn replay(name: &str) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/traces");
    let raw = fs::read(folder.join(format!("{name}.http"))).unwrap();
    let answer = tokio::task::spawn_blocking(move || {
        let mut stream = TcpStream::connect(TUNNEL).unwrap();
        stream.write_all(&raw).unwrap();
        let mut status = [0; 12];
        stream.read_exact(&mut status).unwrap();
        status
    });
    assert_eq!(&answer.await.unwrap(), b"HTTP/1.1 200", "{name}");
}

/// The containers of spans that the extension itself has sent, by the time of their first span: header of the envelope,
/// and spans. Two that leave together arrive in any order.
pub fn of_extension(received: &[Arc<Received>]) -> Vec<(Value, Vec<Value>)> {
    let is_ours = |one: &&Arc<Received>| one.envelope.header["sdk"]["name"] == "sentry.aws-lambda-extension";
    let with_sdk = received.iter().filter(|one| one.envelope.header.contains_key("sdk"));
    let containers = with_sdk.filter(is_ours).filter_map(|one| Some((one, one.envelope.item("span")?)));
    let mut containers: Vec<_> = containers
        .map(|(one, item)| {
            let spans = item.json()["items"].as_array().unwrap().clone();
            assert_eq!(item.header["item_count"], spans.len());
            assert_eq!(item.header["content_type"], "application/vnd.sentry.items.span.v2+json");
            assert_eq!(item.json()["version"], 2);
            for span in &spans {
                assert_eq!(span["trace_id"], one.envelope.header["trace"]["trace_id"], "Sentry drops others");
                assert!(span["end_timestamp"].as_f64().unwrap() >= span["start_timestamp"].as_f64().unwrap());
            }
            (Value::Object(one.envelope.header.clone()), spans)
        })
        .collect();
    let first_start = |spans: &[Value]| spans[0]["start_timestamp"].as_f64().unwrap();
    containers.sort_by(|(_, a), (_, b)| first_start(a).total_cmp(&first_start(b)));
    containers
}

pub fn op(span: &Value) -> &str {
    span["attributes"]["sentry.op"]["value"].as_str().unwrap()
}

/// Ends the environment, and returns everything that Sentry got. The counts balance.
pub async fn ended(environment: Environment) -> Vec<Arc<Received>> {
    environment.api.shutdown("spindown", 2 * SECOND);
    let [accepted, delivered, rejected, dropped] = environment.extension.final_counts().await;
    assert_eq!((accepted, rejected, dropped), (delivered, 0, 0));
    assert!(environment.sentry.violations().is_empty(), "{:?}", environment.sentry.violations());
    environment.sentry.received()
}

/// Runs a first invocation during which an SDK sends these recorded requests.
async fn first_invocation(settings: &[(&str, &str)], requests: &[&str]) -> Vec<Arc<Received>> {
    let mut environment = Environment::start(Subscription::Accepted, settings).await;
    environment.api.post_telemetry(&init("on-demand")).await;
    environment.invoke(REQUEST).await;
    environment.api.post_telemetry(&json!([start(REQUEST)])).await;
    for name in requests {
        replay(name).await;
    }
    environment.api.post_telemetry(&json!([done(REQUEST, "success")])).await;
    environment.api.post_telemetry(&json!([report(REQUEST)])).await;
    ended(environment).await
}

#[test]
fn init_and_overhead_are_in_the_traces_of_the_real_sdks() {
    isolated(|| async {
        for (name, root) in [
            ("python-transaction", "8d2a7ba87a0a7926"),
            ("python-stream", "abcfaa4790af19a8"),
            ("node-transaction", "a377f6a8c3f83e2f"),
            ("node-stream", "8596978bab1b144b"),
            ("node-transaction-by-hand", "a0c67911bd9c9cc4"),
        ] {
            let received = first_invocation(&[], &[name]).await;
            let containers = of_extension(&received);
            let spans: Vec<&Value> = containers.iter().flat_map(|(_, spans)| spans).collect();
            let ops: Vec<&str> = spans.iter().map(|span| op(span)).collect();
            assert_eq!(ops, ["function.aws.init", "function.aws.extensions"], "{name}");
            let of_sdk = received
                .iter()
                .find(|one| ["transaction", "span"].iter().any(|kind| one.envelope.item(kind).is_some()))
                .unwrap();
            for (header, spans) in &containers {
                assert_eq!(
                    header["trace"], of_sdk.envelope.header["trace"],
                    "{name}: sampled as the SDK's own"
                );
                assert!(spans.iter().all(|span| span["parent_span_id"] == root), "{name}: {spans:#?}");
            }
            assert_eq!(spans[0]["name"], "orders init");
            let took =
                spans[0]["end_timestamp"].as_f64().unwrap() - spans[0]["start_timestamp"].as_f64().unwrap();
            assert!((took - 0.4005).abs() < 1e-4, "{took}");
            assert_eq!(spans[0]["attributes"]["faas.invocation_id"]["value"], REQUEST);
            assert_eq!(spans[0]["attributes"]["faas.coldstart"]["value"], true);
            assert_eq!(spans[0]["attributes"]["sentry.release"]["value"], "shop@1");
            println!("{}\n{:#}", containers[0].0, spans[0]);
        }
    });
}

#[test]
fn what_sdks_have_not_sampled_has_no_spans() {
    isolated(|| async {
        for settings in [&[][..], &[("SENTRY_EXTENSION_SPANS", "1.0")]] {
            for requests in [
                &["python-unsampled-event", "python-unsampled-report"][..],
                &["python-unsampled-report"],
                &["node-unsampled-report"],
            ] {
                let received = first_invocation(settings, requests).await;
                assert_eq!(of_extension(&received), [], "{settings:?} {requests:?}");
            }
        }
    });
}

#[test]
fn spans_that_are_off_and_functions_without_a_trace_have_none() {
    isolated(|| async {
        let off = [("SENTRY_EXTENSION_SPANS", "off")];
        assert_eq!(of_extension(&first_invocation(&off, &["python-transaction"]).await), []);
        assert_eq!(of_extension(&first_invocation(&[], &[]).await), []);
        let never = [("SENTRY_EXTENSION_SPANS", "0.0")];
        assert_eq!(of_extension(&first_invocation(&never, &[]).await), []);
        let alone = [("SENTRY_EXTENSION_FAULTS", "false")];
        assert_eq!(of_extension(&first_invocation(&alone, &["python-transaction"]).await).len(), 2);
    });
}

#[test]
fn without_an_sdk_the_invocation_has_a_trace_of_its_own() {
    isolated(|| async {
        let settings = [("SENTRY_EXTENSION_SPANS", "1.0"), ("SENTRY_RELEASE", "shop@2")];
        let mut containers = of_extension(&first_invocation(&settings, &[]).await);
        assert_eq!(containers.len(), 1, "{containers:#?}");
        let (header, spans) = containers.remove(0);
        let ops: Vec<&str> = spans.iter().map(op).collect();
        assert_eq!(ops, ["function.aws", "function.aws.init", "function.aws.extensions"]);
        assert_eq!((&spans[0]["is_segment"], &spans[0]["name"]), (&json!(true), &json!("orders")));
        assert!(spans[1..].iter().all(|span| span["parent_span_id"] == spans[0]["span_id"]));
        let trace = &header["trace"];
        assert_eq!(trace["trace_id"], "67d448e83ae320be0e2cdf2f53ccdaba", "that of X-Ray");
        assert_eq!(trace["public_key"], sdk::KEY);
        assert_eq!((&trace["sampled"], &trace["sample_rate"]), (&json!("true"), &json!("1")));
        assert_eq!((&trace["release"], &trace["transaction"]), (&json!("shop@2"), &json!("orders")));
        println!("{header}\n{:#}", spans[0]);
    });
}

#[test]
fn what_opentelemetry_traces_has_no_other_trace() {
    isolated(|| async {
        for (to, path) in [(crate::otlp::OTLP, "/v1/traces"), (TUNNEL, "/api/42/integration/otlp/v1/traces")]
        {
            let settings = [("SENTRY_EXTENSION_SPANS", "1.0"), crate::otlp::PORT];
            let mut environment = Environment::start(Subscription::Accepted, &settings).await;
            environment.invoke(REQUEST).await;
            environment.api.post_telemetry(&json!([start(REQUEST)])).await;
            let auth = format!("Sentry sentry_key={}", sdk::KEY);
            let headers = [crate::otlp::JSON, ("x-sentry-auth", &*auth)];
            let body = crate::otlp::spans("otlp", 1);
            let posted = http::request(to, hyper::Method::POST, path, &headers, body).await.unwrap();
            assert_eq!(posted.0, 200);
            environment.api.post_telemetry(&json!([done(REQUEST, "success"), report(REQUEST)])).await;
            environment.api.shutdown("spindown", 2 * SECOND);
            // The stand-in refuses what is no envelope.
            assert_eq!(environment.extension.final_counts().await, [1, 0, 1, 0]);
            assert_eq!(of_extension(&environment.sentry.received()), []);
        }
    });
}

#[test]
fn an_invocation_that_times_out_has_its_trace_at_shutdown() {
    isolated(|| async {
        let mut environment =
            Environment::start(Subscription::Accepted, &[("SENTRY_EXTENSION_SPANS", "1.0")]).await;
        environment.invoke("r-1").await;
        environment.api.post_telemetry(&json!([start("r-1"), done("r-1", "timeout")])).await;
        environment.api.shutdown("timeout", 2 * SECOND);
        let sentry = &environment.sentry;
        let spans = |one: &Received| one.envelope.item("span").is_some();
        let received = sentry.wait_for("the span", spans).await;
        assert_eq!(of_extension(&[received])[0].1[0]["status"], "error");
        assert_eq!(environment.ended().await.len(), 1, "and its fault");
    });
}

#[test]
fn next_is_never_held_for_spans() {
    isolated(|| async {
        use crate::support::sentry::{Gate, Reply};
        let settings = [("SENTRY_EXTENSION_SPANS", "1.0"), ("SENTRY_EXTENSION_FLUSH", "end")];
        let mut environment = Environment::start(Subscription::Accepted, &settings).await;
        let gate = Gate::closed();
        let held = gate.clone();
        environment.sentry.respond_with(move |_| Reply::ok().held_by(&held));
        for request in ["r-1", "r-2", "r-3"] {
            environment.api.invoke_as(request, super::DEADLINE);
            let batch = json!([start(request), done(request, "success"), report(request)]);
            environment.api.post_telemetry(&batch).await;
            environment.asked += 1;
            environment.api.asked(environment.asked).await;
        }
        gate.open();
        let received = ended(environment).await;
        assert_eq!(of_extension(&received).len(), 3);
    });
}
