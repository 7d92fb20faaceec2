//! A record that is a JSON object: of Lambda's JSON format, or of a logger that writes JSON. Pure.

use super::{Line, NamedRequest};
use crate::protocol::LogLevel;
use serde_json::{Map, Value};
use std::borrow::Cow;

/// Where loggers put the level: Lambda, Powertools, pino and `slog`; Google's; monolog; Serilog; .NET; the Elastic
/// Common Schema. A name comes before a number, because numbers mean different things to different loggers.
const LEVELS: [&str; 8] =
    ["level", "severity", "level_name", "log_level", "@l", "LogLevel", "log.level", "lvl"];
/// Where loggers put the message.
const MESSAGES: [&str; 4] = ["message", "msg", "@m", "Message"];
/// Where runtimes and Powertools put the request.
const REQUESTS: [&str; 4] = ["requestId", "AWSRequestId", "function_request_id", "aws_request_id"];
/// The time at which it was logged. Lambda's own time of the record is used instead: it has milliseconds in every
/// runtime, and orders all records.
const TIMES: [&str; 3] = ["timestamp", "time", "@timestamp"];

/// Reads an object. `None`: it is not JSON, or nested too deeply.
pub(super) fn read(text: &str) -> Option<Line<'_>> {
    let mut fields: Map<String, Value> = serde_json::from_str(text).ok()?;
    let mut level = level(&mut fields);
    let request = REQUESTS.into_iter().find_map(|name| match fields.get(name) {
        Some(Value::String(id)) => Some(NamedRequest::ByField(name, id.clone())),
        _ => None,
    });
    let message = match message(&mut fields) {
        Some(message) => {
            // A logger that writes JSON, where the runtime puts its own JSON around it.
            let inner =
                message.starts_with('{').then(|| serde_json::from_str::<Map<String, Value>>(&message).ok());
            match inner.flatten() {
                Some(mut inner) => {
                    level = self::level(&mut inner).or(level);
                    let inner_message = self::message(&mut inner).unwrap_or(message);
                    fields.extend(inner);
                    Cow::Owned(inner_message)
                }
                None => Cow::Owned(message),
            }
        }
        None => Cow::Borrowed(text),
    };
    for name in REQUESTS {
        // During init there is no request.
        if fields.get(name).and_then(Value::as_str) == Some("") {
            fields.remove(name);
        }
    }
    for name in TIMES {
        // A number or an object under one of these names may be anything.
        if fields.get(name).is_some_and(Value::is_string) {
            fields.remove(name);
        }
    }
    Some(Line { level, request, message, fields })
}

/// Takes out the level.
fn level(fields: &mut Map<String, Value>) -> Option<LogLevel> {
    let of_name = |value: &Value| value.as_str().and_then(LogLevel::parse);
    let of_number = |value: &Value| value.as_u64().and_then(numbered);
    let named = LEVELS.into_iter().find_map(|name| Some((name, fields.get(name).and_then(of_name)?)));
    let numbered = || {
        ["level", "severity"].into_iter().find_map(|name| Some((name, fields.get(name).and_then(of_number)?)))
    };
    let (name, level) = named.or_else(numbered)?;
    fields.remove(name);
    Some(level)
}

/// The numbers of pino and bunyan, 10 to 60, and those of monolog, 100 to 600.
fn numbered(number: u64) -> Option<LogLevel> {
    Some(match number {
        10..20 => LogLevel::Trace,
        20..30 | 100..200 => LogLevel::Debug,
        30..40 | 200..300 => LogLevel::Info,
        40..50 | 300..400 => LogLevel::Warn,
        50..60 | 400..500 => LogLevel::Error,
        60 | 500..=600 => LogLevel::Fatal,
        _ => return None,
    })
}

/// Takes out the message.
fn message(fields: &mut Map<String, Value>) -> Option<String> {
    for name in MESSAGES {
        match fields.get_mut(name) {
            Some(Value::String(text)) if !text.is_empty() => {
                let text = std::mem::take(text);
                fields.remove(name);
                return Some(text);
            }
            // What was logged is an object itself: all of it is the message, and its fields are the record's.
            Some(Value::Object(inner)) if !inner.is_empty() => {
                let text = described(inner).unwrap_or_else(|| Value::Object(inner.clone()).to_string());
                let inner = std::mem::take(inner);
                fields.remove(name);
                fields.extend(inner);
                return Some(text);
            }
            _ => {}
        }
    }
    // Rust's `tracing` has the message among the fields of the event.
    if let Some(Value::Object(inner)) = fields.get_mut("fields")
        && let Some(Value::String(text)) = inner.remove("message")
    {
        return Some(text);
    }
    described(fields)
}

/// How an error describes itself.
fn described(fields: &Map<String, Value>) -> Option<String> {
    let text = |name| fields.get(name).and_then(Value::as_str);
    match (text("errorType"), text("errorMessage")) {
        (Some(kind), Some(message)) => Some(format!("{kind}: {message}")),
        (None, Some(message)) => Some(message.to_owned()),
        _ => None,
    }
}
