use super::*;
use serde_json::{Map, Value, json};

const ID: &str = "8442603f-da10-42d2-bf58-c33a31978aad";

fn read(record: &Value) -> (Option<LogLevel>, Option<String>, String, Value) {
    let json = record.to_string();
    let record = crate::telemetry::FunctionRecord { time: None, json: &json };
    let output = record.output();
    let line = Line::read(&output).unwrap();
    let request = line.request.map(|request| match request {
        NamedRequest::ByRuntime(id) => id.to_owned(),
        NamedRequest::ByField(name, id) => format!("{name}={id}"),
    });
    (line.level, request, line.message.into_owned(), Map::from(line.fields).into())
}

#[test]
fn lambdas_json_format() {
    let id = |name: &str| Some(format!("{name}={ID}"));
    for (record, level, request, message, fields) in [
        (
            json!({ "timestamp": "2026-11-25T10:00:00Z", "level": "INFO", "message": "cart",
                "logger": "root", "requestId": ID }),
            LogLevel::Info,
            id("requestId"),
            "cart",
            json!({ "logger": "root", "requestId": ID }),
        ),
        (
            json!({ "timestamp": "2026-11-25T10:00:00.010Z", "message": "cart", "level": "WARN", "AWSRequestId": ID }),
            LogLevel::Warn,
            id("AWSRequestId"),
            "cart",
            json!({ "AWSRequestId": ID }),
        ),
        (
            json!({ "timestamp": "2026-11-25T10:00:00.010Z", "level": "Information",
                "message": "3 items", "count": 3 }),
            LogLevel::Info,
            None,
            "3 items",
            json!({ "count": 3 }),
        ),
        // `console.log({ … })` in Node.
        (
            json!({ "timestamp": "…", "level": "DEBUG", "requestId": ID, "message": { "cart": { "items": 3 } } }),
            LogLevel::Debug,
            id("requestId"),
            r#"{"cart":{"items":3}}"#,
            json!({ "cart": { "items": 3 }, "requestId": ID }),
        ),
        (
            json!({ "level": "ERROR", "message": { "errorType": "TypeError", "errorMessage": "no",
                "stackTrace": ["x"] } }),
            LogLevel::Error,
            None,
            "TypeError: no",
            json!({ "errorType": "TypeError", "errorMessage": "no", "stackTrace": ["x"] }),
        ),
        (
            json!({ "level": "ERROR", "errorType": "ValueError", "errorMessage": "no" }),
            LogLevel::Error,
            None,
            "ValueError: no",
            json!({ "errorType": "ValueError", "errorMessage": "no" }),
        ),
    ] {
        assert_eq!(read(&record), (Some(level), request, message.to_owned(), fields), "{record}");
    }
}

#[test]
fn json_of_loggers_within_text() {
    let powertools = json!({ "level": "ERROR", "location": "handler:9", "message": "cart",
        "timestamp": "2026-11-25 10:00:00,010+0000",
        "service": "shop", "cold_start": true, "function_request_id": ID });
    let rest =
        json!({ "location": "handler:9", "service": "shop", "cold_start": true, "function_request_id": ID });
    let request = Some(format!("function_request_id={ID}"));
    assert_eq!(
        read(&format!("{powertools}\n").into()),
        (Some(LogLevel::Error), request, "cart".into(), rest)
    );

    let pino = json!({ "level": 40, "time": 1_795_600_800_499_u64, "pid": 8, "msg": "cart" });
    let rest = json!({ "pid": 8, "time": 1_795_600_800_499_u64 });
    let prefixed = format!("2026-11-25T10:00:00.010Z\t{ID}\tINFO\t{pino}\n");
    assert_eq!(read(&prefixed.into()), (Some(LogLevel::Warn), Some(ID.into()), "cart".into(), rest));

    for (level, expected) in
        [(30, LogLevel::Info), (60, LogLevel::Fatal), (250, LogLevel::Info), (550, LogLevel::Fatal)]
    {
        assert_eq!(
            read(&json!({ "level": level, "msg": "x" }).to_string().into()).0,
            Some(expected),
            "{level}"
        );
    }
    let monolog =
        json!({ "message": "cart", "context": {}, "level": 400, "level_name": "ERROR", "channel": "app" });
    let rest = json!({ "context": {}, "level": 400, "channel": "app" });
    assert_eq!(read(&monolog.to_string().into()), (Some(LogLevel::Error), None, "cart".into(), rest));

    let tracing = json!({ "timestamp": "2026", "level": "INFO", 
        "fields": { "message": "cart", "n": 3 }, "target": "orders" });
    let rest = json!({ "fields": { "n": 3 }, "target": "orders" });
    assert_eq!(read(&tracing.to_string().into()), (Some(LogLevel::Info), None, "cart".into(), rest));

    let plain = json!({ "event": "order", "id": 5 });
    assert_eq!(read(&plain.to_string().into()), (None, None, plain.to_string(), plain));
}

#[test]
fn text_that_is_not_json() {
    let deep = format!("{{\"a\":{}{}}}", "[".repeat(200), "]".repeat(200));
    for text in ["plain", "{", "{}}", "{ not: \"json\" }", "{'a': 1}", "[1, 2]", "\"Errors\": []", &*deep] {
        assert_eq!(read(&text.into()), (None, None, text.to_owned(), json!({})), "{text}");
    }
    let framed = format!("[ERROR]\t2026-11-25T10:00:00.010Z\t{ID}\tone\ntwo\n  three\n");
    assert_eq!(
        read(&framed.into()),
        (Some(LogLevel::Error), Some(ID.into()), "one\ntwo\n  three".into(), json!({}))
    );
    let large = "ä".repeat(MAX_TEXT);
    assert_eq!(read(&large.clone().into()).2.len(), MAX_TEXT);
    let large = json!({ "message": large });
    assert_eq!(read(&large).2.len(), MAX_TEXT, "an object that is too large is text");
    for empty in ["", "\n", " \r\n"] {
        assert_eq!(Line::read(&FunctionOutput::Text(empty.into())), None);
    }
}
