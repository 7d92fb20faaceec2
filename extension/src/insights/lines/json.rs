//! A record that is a JSON object: of Lambda's JSON format, or of a logger that writes JSON. Pure.

use super::fields::{FieldValue, Fields};
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
    let mut fields = Fields::read(text)?;
    let mut level = level(&mut fields);
    let request =
        REQUESTS.iter().find_map(|name| Some(NamedRequest::ByField(name, fields.text(name)?.clone())));
    let message = match message(&mut fields) {
        Some(message) => {
            // A logger that writes JSON, where the runtime puts its own JSON around it.
            let inner =
                message.starts_with('{').then(|| serde_json::from_str::<Map<String, Value>>(&message).ok());
            match inner.flatten().map(Fields::from) {
                Some(mut inner) => {
                    level = self::level(&mut inner).or(level);
                    let inner_message = self::message(&mut inner).unwrap_or(message);
                    fields.extend(inner.into());
                    inner_message
                }
                None => message,
            }
        }
        None => Cow::Borrowed(text),
    };
    // During init there is no request. A number or an object under the name of a time may be anything.
    fields.take_texts(|name, text| TIMES.contains(&name) || text.is_empty() && REQUESTS.contains(&name));
    Some(Line { level, request, message, fields })
}

/// Takes out the level.
fn level(fields: &mut Fields<'_>) -> Option<LogLevel> {
    let named = |value: &FieldValue<'_>| match value {
        FieldValue::Text(name) => LogLevel::parse(name),
        _ => None,
    };
    let by_number = |value: &FieldValue<'_>| match value {
        FieldValue::Other(number) => number.as_u64().and_then(numbered),
        _ => None,
    };
    take_level(fields, &LEVELS, named).or_else(|| take_level(fields, &["level", "severity"], by_number))
}

/// Takes out the first field of one of these names that is a level.
fn take_level(
    fields: &mut Fields<'_>,
    names: &[&str],
    read: impl Fn(&FieldValue<'_>) -> Option<LogLevel>,
) -> Option<LogLevel> {
    names.iter().find_map(|name| {
        let value = fields.get_mut(name)?;
        let level = read(value)?;
        value.take();
        Some(level)
    })
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
fn message<'a>(fields: &mut Fields<'a>) -> Option<Cow<'a, str>> {
    for name in &MESSAGES {
        let Some(value) = fields.get_mut(name) else { continue };
        match value {
            FieldValue::Text(text) if !text.is_empty() => {
                let text = std::mem::take(text);
                value.take();
                return Some(text);
            }
            // What was logged is an object itself: all of it is the message, and its fields are the record's.
            FieldValue::Other(Value::Object(inner)) if !inner.is_empty() => {
                let object = Value::Object(std::mem::take(inner));
                value.take();
                let text = of_error(|name| object.get(name)?.as_str()).unwrap_or_else(|| object.to_string());
                if let Value::Object(inner) = object {
                    fields.extend(inner);
                }
                return Some(Cow::Owned(text));
            }
            _ => {}
        }
    }
    // Rust's `tracing` has the message among the fields of the event.
    if let Some(FieldValue::Other(Value::Object(inner))) = fields.get_mut("fields")
        && let Some(Value::String(text)) = inner.remove("message")
    {
        return Some(Cow::Owned(text));
    }
    of_error(|name| fields.text(name).map(|text| &**text)).map(Cow::Owned)
}

/// How an error describes itself. `text` returns the text in a field of it.
fn of_error<'a>(text: impl Fn(&str) -> Option<&'a str>) -> Option<String> {
    match (text("errorType"), text("errorMessage")) {
        (Some(kind), Some(message)) => Some(format!("{kind}: {message}")),
        (None, Some(message)) => Some(message.to_owned()),
        _ => None,
    }
}
