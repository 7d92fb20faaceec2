//! Writes an uncaught error as an event for Sentry. Pure but for the ids.

use super::frame::Frame;
use super::{Exception, UncaughtError};
use crate::config::Function;
use crate::insights::json::{fields_of, object, set};
use crate::insights::surroundings::Surroundings;
use crate::protocol::EventId;
use serde_json::{Map, Value};

/// Sentry's bounds for types and values, in bytes.
const MAX_TYPE: usize = 256;
const MAX_VALUE: usize = 8192;

/// Returns the event, as JSON.
pub(in crate::insights) fn event(
    error: &UncaughtError,
    about: &Surroundings<'_>,
    function: &Function,
    memory_size: u64,
    id: &EventId,
) -> Value {
    let mut event = about.event(function, memory_size, id);
    let last = error.exceptions.len().saturating_sub(1);
    let exceptions: Vec<Value> =
        error.exceptions.iter().enumerate().map(|(at, one)| exception(one, at == last)).collect();
    for (name, value) in [
        ("platform", error.language.platform().into()),
        ("level", "error".into()),
        ("logger", "aws.lambda.runtime".into()),
        ("exception", object(&mut [("values", exceptions.into())])),
        ("tags", about.tags(function, [("", None), ("", None)])),
    ] {
        set(&mut event, name, value);
    }
    event.into()
}

fn exception(exception: &Exception, is_uncaught: bool) -> Value {
    let mut written = fields_of(&mut [
        ("type", cut(&exception.kind, MAX_TYPE).into()),
        ("value", cut(&exception.value, MAX_VALUE).into()),
    ]);
    if is_uncaught {
        let mechanism = object(&mut [("type", "aws_lambda".into()), ("handled", false.into())]);
        set(&mut written, "mechanism", mechanism);
    }
    if !exception.frames.is_empty() {
        let frames: Vec<Value> = exception.frames.iter().map(frame).collect();
        set(&mut written, "stacktrace", object(&mut [("frames", frames.into())]));
    }
    written.into()
}

fn frame(frame: &Frame) -> Value {
    let mut written = Map::new();
    let mut set = |name: &str, value: Option<Value>| {
        if let Some(value) = value {
            set(&mut written, name, value);
        }
    };
    let path = frame.path.as_deref();
    // Sentry groups by the name, which is the same wherever the code lies.
    let name = path.map(|path| path.strip_prefix("/var/task/").unwrap_or(path));
    set("function", frame.function.as_deref().map(Value::from));
    set("module", frame.module.as_deref().map(Value::from));
    set("filename", name.map(Value::from));
    set("abs_path", path.map(Value::from));
    set("lineno", frame.line.map(Value::from));
    set("colno", frame.column.map(Value::from));
    set("context_line", frame.code.as_deref().map(Value::from));
    set("in_app", Some(frame.in_app.into()));
    written.into()
}

fn cut(text: &str, most: usize) -> &str {
    text.get(..text.floor_char_boundary(most)).unwrap_or_default()
}
