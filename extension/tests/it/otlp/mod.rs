//! Tests OTLP on its own port, under the scripted Lambda.

mod delivery;
mod memory;
mod refusals;
mod sdks;

use crate::relay::delivery_test::DeliveryTest;
use crate::support::{
    envelope,
    scripted_upstream::{Arrival, header},
};
use hyper::body::Bytes;
use serde_json::{Value, json};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

/// OpenTelemetry's default port.
pub const PORT: (&str, &str) = ("SENTRY_EXTENSION_OTLP_PORT", "4318");
pub const OTLP: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 4318);
pub const JSON: (&str, &str) = ("content-type", "application/json");
pub const PROTOBUF: (&str, &str) = ("content-type", "application/x-protobuf");

/// Starts an environment that listens for OTLP.
pub async fn start(settings: &[(&str, &str)]) -> DeliveryTest {
    DeliveryTest::start(&[&[PORT], settings].concat()).await
}

/// A request with this number of logs, which is found again by its marker.
pub fn logs(marker: &str, count: usize) -> String {
    let records =
        vec![json!({ "timeUnixNano": "1795600800499000000", "body": { "stringValue": "full" } }); count];
    json!({ "marker": marker, "resourceLogs": [{ "scopeLogs": [{ "logRecords": records }] }] }).to_string()
}

/// A request with this number of spans.
pub fn spans(marker: &str, count: usize) -> String {
    let spans =
        vec![json!({ "traceId": "0af7651916cd43dd8448eb211c80319c", "spanId": "b7ad6b7169203331" }); count];
    json!({ "marker": marker, "resourceSpans": [{ "scopeSpans": [{ "spans": spans }] }] }).to_string()
}

/// A request with a counter that has this number of data points. The marker is an attribute of each.
pub fn counter(marker: &str, points: usize) -> String {
    let attribute = json!({ "key": "marker", "value": { "stringValue": marker } });
    let point = json!({ "asInt": "1", "timeUnixNano": "1795600800499000000", "attributes": [attribute] });
    let sum = json!({ "aggregationTemporality": 1, "isMonotonic": true, "dataPoints": vec![point; points] });
    json!({ "resourceMetrics": [{ "scopeMetrics": [{ "metrics": [{ "name": "orders", "sum": sum }] }] }] })
        .to_string()
}

/// Writes a message of protobuf with these fields.
pub fn message(fields: &[(u8, &[u8])]) -> Vec<u8> {
    let field = |(number, bytes): &(u8, &[u8])| {
        let length = u8::try_from(bytes.len()).unwrap();
        assert!(length < 128);
        [&[number << 3 | 2, length], *bytes].concat()
    };
    fields.iter().flat_map(field).collect()
}

/// The metrics of an envelope with a container of them.
pub fn metrics(arrival: &Arrival) -> Vec<Value> {
    let Ok(envelope) = envelope::parse(&Bytes::from(arrival.body.clone())) else { return Vec::new() };
    let Some(item) = envelope.item("trace_metric") else { return Vec::new() };
    assert_eq!(item.header["content_type"], "application/vnd.sentry.items.trace-metric+json");
    let items = item.json()["items"].as_array().unwrap().clone();
    assert_eq!((item.header["item_count"].as_u64(), envelope.items.len()), (Some(items.len() as u64), 1));
    items
}

/// Whether upstream has taken what has this marker.
pub fn is_taken(all: &[Arrival], marker: &str) -> bool {
    let has_it = |one: &Arrival| {
        one.marker == marker
            || metrics(one).iter().any(|metric| metric["attributes"]["marker"]["value"] == marker)
    };
    all.iter().any(|one| one.answered == Some(200) && has_it(one))
}

/// The key with which a request was sent to Sentry.
pub fn key(arrival: &Arrival) -> &str {
    let auth = header(&arrival.head, "x-sentry-auth").unwrap();
    auth.split(['=', ',']).nth(1).unwrap()
}

/// Whether a request is one of OTLP, and no envelope.
pub fn is_otlp(arrival: &Arrival) -> bool {
    arrival.path.contains("/integration/otlp/v1/")
}
