//! What is sent by OTLP is valid for the real Sentry's Relay, which reads all of it in the mode `managed`: spans and
//! logs that it makes itself of OTLP, and the metrics that the extension has converted.

use super::READY;
use super::managed::{Managed, project};
use crate::gateway::send;
use crate::otlp::{JSON, OTLP, PORT};
use crate::support::{envelope::Item, netns::isolated, sentry::Received};
use hyper::Method;
use serde_json::{Value, json};

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const SPAN: &str = "b7ad6b7169203331";

/// Returns the first thing in a container of this type.
fn first(received: &Received, kind: &str) -> Option<Value> {
    received.envelope.item(kind).map(Item::json)?["items"].get(0).cloned()
}

#[test]
fn sentrys_relay_takes_spans_logs_and_metrics() {
    isolated(|| async {
        let features = [
            "organizations:ourlogs-ingestion",
            "organizations:tracemetrics-ingestion",
            "organizations:standalone-span-ingestion",
            "projects:span-v2-experimental-processing",
        ];
        let settings = [PORT, ("SENTRY_EXTENSION_RELAY", "only")];
        let managed = Managed::start_with(&settings, move || project(&json!({ "features": features }))).await;
        let now = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap();
        let (start, end) = (now.as_nanos().to_string(), (now.as_nanos() + 1_000_000).to_string());
        let resource =
            json!({ "attributes": [{ "key": "service.name", "value": { "stringValue": "orders" } }] });
        let span = json!({ "traceId": TRACE, "spanId": SPAN, "name": "checkout", "kind": 2,
            "startTimeUnixNano": start, "endTimeUnixNano": end });
        let log = json!({ "timeUnixNano": start, "severityNumber": 13, "body": { "stringValue": "cart is empty" },
            "traceId": TRACE, "spanId": SPAN });
        let exemplar = json!({ "traceId": TRACE, "spanId": SPAN, "timeUnixNano": start, "asDouble": 5.0 });
        let histogram = json!({ "count": "2", "sum": 255.0, "bucketCounts": ["1", "1"], "explicitBounds": [10],
            "startTimeUnixNano": start, "timeUnixNano": end, "exemplars": [exemplar],
            "attributes": [{ "key": "http.response.status_code", "value": { "intValue": "200" } }] });
        let metric = json!({ "name": "checkout.duration", "unit": "ms",
            "histogram": { "aggregationTemporality": 1, "dataPoints": [histogram] } });
        for (path, body) in [
            (
                "/v1/traces",
                json!({ "resourceSpans": [{ "resource": resource, "scopeSpans": [{ "spans": [span] }] }] }),
            ),
            (
                "/v1/logs",
                json!({ "resourceLogs": [{ "resource": resource, "scopeLogs": [{ "logRecords": [log] }] }] }),
            ),
            (
                "/v1/metrics",
                json!({ "resourceMetrics": [{ "resource": resource, "scopeMetrics": [{ "metrics": [metric] }] }] }),
            ),
        ] {
            let answer = send(OTLP, Method::POST, path, &[JSON], body.to_string()).await;
            assert_eq!((answer.status, &*answer.body), (200, "{}"), "{path}");
        }
        managed.extension.log.wait_for(READY).await;
        let has = |kind: &'static str| move |one: &Received| first(one, kind).is_some();
        let span = managed.sentry.wait_for("the span", has("span")).await;
        let span = first(&span, "span").unwrap();
        assert_eq!((&span["trace_id"], &span["span_id"]), (&json!(TRACE), &json!(SPAN)), "{span:#}");
        let log = managed.sentry.wait_for("the log", has("log")).await;
        let log = first(&log, "log").unwrap();
        assert_eq!((&log["body"], &log["trace_id"]), (&json!("cart is empty"), &json!(TRACE)), "{log:#}");
        let metric = managed.sentry.wait_for("the metrics", has("trace_metric")).await;
        let item = metric.envelope.item("trace_metric").unwrap();
        assert_eq!(item.header["item_count"], 2, "{:?}", item.header);
        let metric = first(&metric, "trace_metric").unwrap();
        println!("{metric:#}");
        for (name, value) in [
            ("trace_id", json!(TRACE)),
            ("span_id", json!(SPAN)),
            ("name", json!("checkout.duration")),
            ("type", json!("distribution")),
            ("unit", json!("millisecond")),
        ] {
            assert_eq!(metric[name], value, "{metric:#}");
        }
        let attributes = &metric["attributes"];
        assert_eq!(
            attributes["resource.service.name"],
            json!({ "value": "orders", "type": "string" }),
            "{metric:#}"
        );
        assert_eq!(
            attributes["http.response.status_code"],
            json!({ "value": 200, "type": "integer" }),
            "{metric:#}"
        );
        assert_eq!(metric.get("_meta"), None, "{metric:#}");
        let (counts, log, _) = managed.end().await;
        assert_eq!(counts, [3, 3, 0, 0], "{}", log.text());
    });
}
