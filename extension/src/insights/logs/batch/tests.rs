use super::*;
use serde_json::{Value, json};
use std::time::Duration;

const TRACE: &str = "67d448e83ae320be0e2cdf2f53ccdaba";

fn line<'a>(message: &'a str, fields: &Value) -> Line<'a> {
    Line { message: message.into(), fields: fields.as_object().unwrap().clone().into(), ..Line::default() }
}

fn at(millis: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_millis(millis)
}

fn context(request: Option<&RequestId>) -> LogContext {
    LogContext {
        function: "orders".to_owned(),
        release: Some("shop@1.4.2".to_owned()),
        trace_id: if request.is_some() { TRACE.to_owned() } else { "0".repeat(31) + "1" },
        ..LogContext::default()
    }
}

/// The header of the item and its payload, from an envelope whose lengths are right.
fn parts(envelope: &[u8]) -> (Value, Value) {
    let mut lines = envelope.splitn(3, |b| *b == b'\n');
    let mut json = || serde_json::from_slice::<Value>(lines.next().unwrap()).unwrap();
    let (_header, item) = (json(), json());
    let length = usize::try_from(item["length"].as_u64().unwrap()).unwrap();
    let rest = lines.next().unwrap();
    assert_eq!((rest.len(), rest[length]), (length + 1, b'\n'));
    (item, serde_json::from_slice(&rest[..length]).unwrap())
}

/// The bytes of a log as Sentry bills them: its body, and names and values of its attributes.
fn billed(log: &Value) -> usize {
    let of_value = |value: &Value| match value {
        Value::String(text) => text.len(),
        Value::Bool(_) => 1,
        _ => 8,
    };
    let attributes = log["attributes"].as_object().unwrap();
    let attributes = attributes.iter().map(|(name, attribute)| name.len() + of_value(&attribute["value"]));
    log["body"].as_str().unwrap().len() + attributes.sum::<usize>()
}

#[test]
fn a_container_as_sentry_wants_it() {
    let mut batch = Batch::default();
    let request = RequestId::new("r-1");
    let mut fit = 0;
    for (message, fields, request, level, millis) in [
        ("during init", json!({}), None, LogLevel::Info, 1_795_600_800_499),
        (
            "\"quoted\"\n",
            json!({ "user": 7, "paid": true }),
            Some(&request),
            LogLevel::Error,
            1_795_600_800_499,
        ),
        (
            "next",
            json!({ "faas.name": "of the function" }),
            Some(&request),
            LogLevel::Fatal,
            1_795_600_800_007,
        ),
    ] {
        let (billed, added) = batch.add(&line(message, &fields), level, request, at(millis), |_| true);
        assert!(added);
        fit += billed;
    }
    let (_, added) = batch.add(&line("too much", &json!({})), LogLevel::Info, None, at(1), |_| false);
    assert!(!added);
    let container = batch.take(context).unwrap();
    let (item, payload) = parts(&container.envelope);
    assert_eq!((container.count, &item["item_count"], &item["type"]), (3, &json!(3), &json!("log")));
    assert_eq!(item["content_type"], "application/vnd.sentry.items.log+json");
    assert_eq!(payload["version"], 2);
    let text = |value: &str| json!({ "value": value, "type": "string" });
    let number = |value: u64| json!({ "value": value, "type": "integer" });
    let expected = json!([
        { "timestamp": 1_795_600_800.499, "trace_id": "00000000000000000000000000000001", "level": "info",
          "severity_number": 9, "body": "during init", "attributes": {
            "sentry.timestamp.sequence": number(0), "sentry.origin": text("auto.log.aws_lambda"),
            "faas.name": text("orders"), "sentry.release": text("shop@1.4.2") } },
        { "timestamp": 1_795_600_800.499, "trace_id": TRACE, "level": "error", "severity_number": 17,
          "body": "\"quoted\"\n", "attributes": { "user": number(7), "paid": { "value": true, "type": "boolean" },
            "sentry.timestamp.sequence": number(1), "sentry.origin": text("auto.log.aws_lambda"),
            "faas.name": text("orders"), "faas.invocation_id": text("r-1"), "sentry.release": text("shop@1.4.2") } },
        { "timestamp": 1_795_600_800.007, "trace_id": TRACE, "level": "fatal", "severity_number": 21,
          "body": "next", "attributes": { "sentry.timestamp.sequence": number(0),
            "sentry.origin": text("auto.log.aws_lambda"), "faas.name": text("orders"),
            "faas.invocation_id": text("r-1"), "sentry.release": text("shop@1.4.2") } },
    ]);
    assert_eq!(payload["items"], expected);
    let logs = payload["items"].as_array().unwrap();
    assert_eq!(container.billed, logs.iter().map(billed).sum::<usize>());
    let constant = end(None, &context(None)).1 + 2 * end(Some(&request), &context(Some(&request))).1;
    assert_eq!(container.billed, fit + constant);
    assert!(batch.take(context).is_none());
}

#[test]
fn a_container_is_full_at_a_hundred_logs_or_at_its_bytes() {
    let mut batch = Batch::default();
    for n in 0..MAX_LOGS {
        assert!(!batch.is_full(), "{n}");
        batch.add(&line("x", &json!({})), LogLevel::Info, None, at(1), |_| true);
    }
    assert!(batch.is_full());
    let container = batch.take(context).unwrap();
    assert_eq!(parts(&container.envelope).0["item_count"], 100);
    assert!(!batch.is_full());
    batch.add(&line(&"x".repeat(MAX_BYTES), &json!({})), LogLevel::Info, None, at(1), |_| true);
    assert!(batch.is_full());
    assert_eq!(batch.take(context).unwrap().count, 1);
    assert!(batch.written.capacity() <= KEPT_BYTES);
}
