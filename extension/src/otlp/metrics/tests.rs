use super::containers::Container;
use super::conversion::{NO_NAME, NO_TEMPORALITY, NO_VALUE, NOT_CONVERTED, TOO_LARGE};
use super::*;
use crate::otlp::samples::{fixed, message, varint};
use serde_json::{Value, json};
use std::time::Duration;

const MAX_BYTES: usize = 1 << 20;
const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const SPAN: &str = "b7ad6b7169203331";

/// The start of the converter, and of the series in the tests.
fn start() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_600_000)
}

fn converter() -> Converter {
    let function = Function {
        release: Some("shop@1".to_owned()),
        environment: Some("production".to_owned()),
        ..Function::default()
    };
    Converter::new(&function, start())
}

/// A request with one metric, whose data is given.
fn request(name: &str, unit: &str, data: &Value) -> String {
    let mut metric = json!({ "name": name, "unit": unit });
    metric.as_object_mut().unwrap().extend(data.as_object().unwrap().clone());
    json!({ "resourceMetrics": [{
        "resource": { "attributes": [{ "key": "service.name", "value": { "stringValue": "orders" } }] },
        "scopeMetrics": [{ "scope": { "name": "shop", "version": "2" }, "metrics": [metric] }],
    }] })
    .to_string()
}

fn point(start_after: i64, value: &Value) -> Value {
    let start = 1_795_600_000_000_000_000 + start_after;
    let mut point = json!({ "startTimeUnixNano": start.to_string(), "timeUnixNano": "1795600003421000000",
        "attributes": [{ "key": "http.method", "value": { "stringValue": "GET" } }] });
    point.as_object_mut().unwrap().extend(value.as_object().unwrap().clone());
    point
}

fn sum(temporality: u8, is_monotonic: bool, points: &[Value]) -> Value {
    json!({ "sum": { "aggregationTemporality": temporality, "isMonotonic": is_monotonic, "dataPoints": points } })
}

/// Converts a request, and returns the metrics and why something was rejected.
fn convert(converter: &mut Converter, request: &str) -> (Vec<Value>, u64, &'static str) {
    let done = converter.convert(Message::Json(request), start(), MAX_BYTES).unwrap();
    (metrics(&done), done.rejected, done.why)
}

fn metrics(converted: &Converted) -> Vec<Value> {
    let of = |container: &Container| {
        let payload = container.envelope.split(|b| *b == b'\n').nth(2).unwrap();
        let payload: Value = serde_json::from_slice(payload).unwrap();
        payload["items"].as_array().unwrap().clone()
    };
    converted.containers.iter().flat_map(of).collect()
}

fn values(converter: &mut Converter, request: &str) -> Vec<Value> {
    convert(converter, request).0.into_iter().map(|metric| metric["value"].clone()).collect()
}

#[test]
fn a_counter_with_everything_that_a_metric_can_have() {
    let exemplars = json!([{ "traceId": TRACE, "spanId": SPAN, "asInt": "1" }]);
    let points = [point(0, &json!({ "asInt": "3", "exemplars": exemplars }))];
    let request = request("orders.placed", "By", &sum(1, true, &points));
    let (metrics, rejected, _) = convert(&mut converter(), &request);
    let text = |text: &str| json!({ "value": text, "type": "string" });
    let expected = json!([{
        "timestamp": 1_795_600_003.421, "trace_id": TRACE, "span_id": SPAN, "name": "orders.placed",
        "type": "counter", "value": 3, "unit": "byte",
        "attributes": {
            "sentry.release": text("shop@1"), "sentry.environment": text("production"),
            "resource.service.name": text("orders"), "instrumentation.name": text("shop"),
            "instrumentation.version": text("2"), "http.method": text("GET"),
        },
    }]);
    assert_eq!((Value::from(metrics), rejected), (expected, 0));
}

#[test]
fn gauges_and_levels_are_gauges() {
    let mut converter = converter();
    let (metrics, ..) = convert(
        &mut converter,
        &request("g", "1", &json!({ "gauge": { "dataPoints": [point(0, &json!({ "asDouble": 0.5 }))] } })),
    );
    assert_eq!((&metrics[0]["type"], &metrics[0]["value"]), (&json!("gauge"), &json!(0.5)));
    assert_eq!(metrics[0].get("unit"), None, "Sentry does not know this one");
    assert_eq!(metrics[0]["trace_id"].as_str().unwrap().len(), 32);
    let level = |value: i64| request("l", "", &sum(2, false, &[point(0, &json!({ "asInt": value }))]));
    for value in [7, 5, 5] {
        let (metrics, ..) = convert(&mut converter, &level(value));
        assert_eq!((&metrics[0]["type"], &metrics[0]["value"]), (&json!("gauge"), &json!(value)));
    }
    // What was added to a level may be negative.
    let change = request("l", "", &sum(1, false, &[point(0, &json!({ "asInt": "-2" }))]));
    let (metrics, ..) = convert(&mut converter, &change);
    assert_eq!((&metrics[0]["type"], &metrics[0]["value"]), (&json!("counter"), &json!(-2)));
}

#[test]
fn of_a_cumulative_sum_only_what_was_added_is_told() {
    let mut converter = converter();
    let total = |value: f64| request("c", "", &sum(2, true, &[point(0, &json!({ "asDouble": value }))]));
    assert_eq!(values(&mut converter, &total(2.0)), [json!(2.0)]);
    assert_eq!(values(&mut converter, &total(2.0)), [json!(null); 0]);
    assert_eq!(values(&mut converter, &total(5.5)), [json!(3.5)]);
    // Another attribute makes another series.
    let mut other = point(0, &json!({ "asDouble": 1.0 }));
    other["attributes"][0]["value"]["stringValue"] = "PUT".into();
    assert_eq!(values(&mut converter, &request("c", "", &sum(2, true, &[other]))), [json!(1.0)]);
    // A series that is older than this process.
    let older = |value: i64| request("o", "", &sum(2, true, &[point(-1, &json!({ "asInt": value }))]));
    assert_eq!(values(&mut converter, &older(1_000)), [json!(null); 0]);
    assert_eq!(values(&mut converter, &older(1_004)), [json!(4)]);
}

#[test]
fn the_order_of_attributes_does_not_make_another_series() {
    let mut converter = converter();
    let attribute = |key: &str| json!({ "key": key, "value": { "intValue": "1" } });
    let total = |attributes: [&str; 2], value: i64| {
        let mut point = point(0, &json!({ "asInt": value }));
        point["attributes"] = attributes.map(attribute).to_vec().into();
        request("c", "", &sum(2, true, &[point]))
    };
    assert_eq!(values(&mut converter, &total(["a", "b"], 2)), [json!(2)]);
    assert_eq!(values(&mut converter, &total(["b", "a"], 3)), [json!(1)]);
}

#[test]
fn histograms_are_distributions() {
    let mut converter = converter();
    let histogram = |temporality: u8, count: u64, sum: f64, buckets: [u64; 3]| {
        let buckets = buckets.map(|count| count.to_string());
        let value = json!({ "count": count.to_string(), "sum": sum, "bucketCounts": buckets,
            "explicitBounds": [10, 20.0], "min": 1, "max": 30 });
        let data = json!({ "aggregationTemporality": temporality, "dataPoints": [point(0, &value)] });
        request("h", "ms", &json!({ "histogram": data }))
    };
    let (metrics, rejected, _) = convert(&mut converter, &histogram(1, 3, 45.0, [1, 1, 1]));
    assert_eq!((metrics.len(), rejected), (3, 0));
    assert_eq!((&metrics[0]["type"], &metrics[0]["unit"]), (&json!("distribution"), &json!("millisecond")));
    let total: f64 = metrics.iter().map(|metric| metric["value"].as_f64().unwrap()).sum();
    assert!((total - 45.0).abs() < 1e-9, "{metrics:?}");
    assert_eq!(values(&mut converter, &histogram(2, 3, 45.0, [1, 1, 1])).len(), 3);
    let added = values(&mut converter, &histogram(2, 4, 60.0, [1, 2, 1]));
    assert_eq!(added.iter().map(|value| value.as_f64().unwrap()).collect::<Vec<_>>(), [15.0]);
}

/// The same request in protobuf, with packed and single numbers, and the fields in another order.
#[test]
fn protobuf_means_the_same() {
    let text = |text: &str| message(&[(1, text.as_bytes())]);
    let attribute = |key: &str, value: &[u8]| message(&[(1, key.as_bytes()), (2, value)]);
    let nanos = 1_795_600_003_421_000_000;
    let packed: Vec<u8> = [0_u64, 2].iter().flat_map(|count| count.to_le_bytes()).collect();
    let point = [
        message(&[(9, &attribute("http.method", &text("GET"))), (6, &packed), (7, &10_f64.to_le_bytes())]),
        message(&[(9, &attribute("n", &varint(3, 7))), (9, &attribute("b", &varint(2, 1)))]),
        message(&[
            (9, &attribute("d", &fixed(4, 0.5_f64.to_bits()))),
            (9, &attribute("list", &message(&[(5, b"")]))),
        ]),
        fixed(3, nanos),
        fixed(4, 2),
        fixed(5, 40_f64.to_bits()),
        message(&[(8, &message(&[(5, &[0xab; 16]), (4, &[0xcd; 8])]))]),
    ]
    .concat();
    let data = [message(&[(1, &point)]), varint(2, 1)].concat();
    let metric = message(&[(9, &data), (3, b"s"), (1, b"latency")]);
    let scope = message(&[(2, &metric), (1, &message(&[(1, b"shop")]))]);
    let resource = message(&[(1, &attribute("service.name", &text("orders")))]);
    let request = message(&[(1, &message(&[(2, &scope), (1, &resource)]))]);
    let converted = converter().convert(Message::Protobuf(&request), start(), MAX_BYTES).unwrap();
    let metrics = metrics(&converted);
    assert_eq!(metrics.len(), 2);
    let (one, other) = (metrics[0]["value"].as_f64().unwrap(), metrics[1]["value"].as_f64().unwrap());
    assert!((one + other - 40.0).abs() < 1e-9);
    let of = |value: Value, kind: &str| json!({ "value": value, "type": kind });
    let mut metric = metrics[0].clone();
    metric["value"] = 20.into();
    let expected = json!({
        "timestamp": 1_795_600_003.421, "trace_id": "ab".repeat(16), "span_id": "cd".repeat(8), "name": "latency",
        "type": "distribution", "value": 20, "unit": "second",
        "attributes": {
            "sentry.release": of("shop@1".into(), "string"), "sentry.environment": of("production".into(), "string"),
            "resource.service.name": of("orders".into(), "string"), "instrumentation.name": of("shop".into(), "string"),
            "http.method": of("GET".into(), "string"), "n": of(7.into(), "integer"), "b": of(true.into(), "boolean"),
            "d": of(0.5.into(), "double"),
        },
    });
    assert_eq!(metric, expected);
}

#[test]
fn what_cannot_be_converted_is_rejected_with_the_reason() {
    let mut converter = converter();
    let one = [point(0, &json!({ "asInt": "1" }))];
    let two = json!({ "dataPoints": [{}, {}] });
    for (name, data, rejected, why) in [
        ("e", json!({ "exponentialHistogram": two.clone() }), 2, NOT_CONVERTED),
        ("s", json!({ "summary": two.clone() }), 2, NOT_CONVERTED),
        ("t", sum(0, true, &one), 1, NO_TEMPORALITY),
        ("", sum(1, true, &one), 1, NO_NAME),
        (&"n".repeat(256), sum(1, true, &one), 1, NO_NAME),
        ("v", json!({ "gauge": two.clone() }), 2, NO_VALUE),
        ("nan", sum(1, true, &[point(0, &json!({ "asDouble": "NaN" }))]), 1, NO_VALUE),
        ("fine", sum(1, true, &one), 0, ""),
        // It says itself that it has no value.
        ("none", sum(1, true, &[point(0, &json!({ "flags": 1 }))]), 0, ""),
        ("empty", json!({}), 0, ""),
    ] {
        let (metrics, found, reason) = convert(&mut converter, &request(name, "", &data));
        assert_eq!((found, reason), (rejected, why), "{name}");
        assert_eq!(metrics.len(), usize::from(name == "fine"), "{name}");
    }
    let buckets: Vec<String> = vec!["1".to_owned(); 1025];
    for (histogram, why) in [
        (json!({ "bucketCounts": buckets }), "a histogram has more than 1024 buckets"),
        (json!({ "sum": "Infinity" }), "a histogram's sum, least or greatest value is not a finite number"),
    ] {
        let data = json!({ "aggregationTemporality": 1, "dataPoints": [point(0, &histogram)] });
        let (metrics, rejected, reason) =
            convert(&mut converter, &request("h", "", &json!({ "histogram": data })));
        assert_eq!((metrics.len(), rejected, reason), (0, 1, why));
    }
}

#[test]
fn what_is_made_of_a_request_is_bounded_and_nothing_is_lost_silently() {
    let points: Vec<Value> = (0..2_000).map(|n| point(0, &json!({ "asInt": n + 1 }))).collect();
    let request = request("many", "", &sum(1, true, &points));
    let converted = converter().convert(Message::Json(&request), start(), MAX_BYTES).unwrap();
    assert_eq!(converted.why, TOO_LARGE);
    let bytes: usize = converted.containers.iter().map(|one| one.envelope.len()).sum();
    assert!(bytes < MAX_BYTES, "{bytes}");
    assert!(converted.containers.iter().all(|one| (1..=100).contains(&one.item.count)));
    let converted_points: u64 = converted.containers.iter().map(|one| one.points).sum();
    assert_eq!(converted_points + converted.rejected, 2_000);
    assert_eq!(metrics(&converted).len() as u64, converted_points);
}

#[test]
fn attributes_are_bounded() {
    let attribute =
        |n: usize| json!({ "key": format!("k{n}"), "value": { "stringValue": "ü".repeat(2_000) } });
    let mut many = point(0, &json!({ "asInt": 1 }));
    let long = json!({ "key": "k".repeat(201), "value": { "intValue": 1 } });
    many["attributes"] = std::iter::once(long).chain((0..200).map(attribute)).collect();
    let (metrics, ..) = convert(&mut converter(), &request("m", "", &sum(1, true, &[many])));
    let attributes = metrics[0]["attributes"].as_object().unwrap();
    assert_eq!(attributes.len(), 64);
    assert!(attributes.keys().all(|name| name.len() < 201));
    assert!(attributes.values().all(|one| one["value"].as_str().unwrap().len() <= 1024));
}

#[test]
fn malformed_requests_are_errors() {
    for json in [
        "",
        "[]",
        r#"{"resourceMetrics":[1]}"#,
        r#"{"resourceMetrics":[{"scopeMetrics":[{"metrics":[{"name":7}]}]}]}"#,
        r#"{"resourceMetrics":[{"scopeMetrics":[{"metrics":[{"name":"a","sum":{"aggregationTemporality":"x"}}]}]}]}"#,
    ] {
        assert!(converter().convert(Message::Json(json), start(), MAX_BYTES).is_err(), "{json}");
    }
}
