//! Recognizes the record in which a runtime tells of an error that nothing has handled. Pure.
//!
//! - Python: `[ERROR] TYPE: MESSAGE`, then the traceback. In JSON `errorType`, `errorMessage` and `stackTrace`,
//!   without a message or a logger.
//! - Node: `Invoke Error` or `Uncaught Exception`, a tab, and JSON. In JSON the error is the message, and so it is
//!   where the function logs an error.
//! - Java: `MESSAGE: TYPE`, then the error as it prints itself. In JSON the same is the message.
//! - .NET: the error as it prints itself, at the level `fail`. In JSON `errorType`, `errorMessage` and `stackTrace`,
//!   with an empty message.
//! - Ruby: JSON over several lines.
//! - Go: JSON behind the time.

use super::frame::Language;
use super::{Exception, frames, text};
use crate::insights::lines::Line;
use crate::protocol::LogLevel;
use serde_json::{Map, Value};

/// How deep causes may be nested.
const MOST_CAUSES: usize = 8;
/// What Node writes in front of an error.
const OF_NODE: [&str; 3] = ["Invoke Error", "Uncaught Exception", "Unhandled Promise Rejection"];

/// An error that was recognized.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Found {
    pub(super) language: Language,
    pub(super) exceptions: Vec<Exception>,
    pub(super) must_be_last: bool,
}

/// Looks whether a line is such a record. `runtime` is what Lambda calls the runtime.
pub(super) fn read(line: &Line<'_>, runtime: &str) -> Option<Found> {
    of_fields(line, runtime).or_else(|| of_text(line))
}

fn of_text(line: &Line<'_>) -> Option<Found> {
    let found = |language, exceptions| Found { language, exceptions, must_be_last: false };
    let message = &*line.message;
    let is_error = line.level == Some(LogLevel::Error);
    if is_error && line.request.is_none() && message.contains("Traceback (most recent call last):") {
        return text::of_python(message).map(|exceptions| found(Language::Python, exceptions));
    }
    if is_error
        && let Some((head, json)) = message.split_once('\t')
        && OF_NODE.contains(&head.trim_end())
    {
        let error: Map<String, Value> = serde_json::from_str(json.trim()).ok()?;
        return Some(found(Language::Node, of_error(&error).1));
    }
    if is_error && message.contains("\n   at ") {
        return text::of_dotnet(message).map(|exceptions| found(Language::DotNet, exceptions));
    }
    // Java's runtime logs it without a level in the text format.
    if (is_error || line.level.is_none()) && message.contains("\n\tat ") {
        return text::of_java(message).map(|exceptions| found(Language::Java, exceptions));
    }
    None
}

fn of_fields(line: &Line<'_>, runtime: &str) -> Option<Found> {
    let (kind, value) = (line.fields.text("errorType")?, line.fields.text("errorMessage")?);
    let fields = Map::from(line.fields.clone());
    // What the function logs about an error that it has handled has a message of its own.
    if line.message != format!("{kind}: {value}")
        || fields.contains_key("logger")
        || fields.contains_key("location")
    {
        return None;
    }
    let is_bare = fields.len() == 2;
    let stack = ["stackTrace", "stack"].into_iter().find_map(|name| fields.get(name)?.as_array());
    if stack.is_none() && !is_bare {
        return None;
    }
    let (language, exceptions) = of_error(&fields);
    let language = language.unwrap_or_else(|| match Language::of_runtime(runtime) {
        Language::Unknown if is_bare => Language::Go,
        language => language,
    });
    // In Node's JSON format, the function's own `console.error(error)` looks the same.
    let must_be_last = language == Language::Node && line.level.is_some();
    Some(Found { language, exceptions, must_be_last })
}

/// Reads an error that is an object. Its causes come first.
fn of_error(error: &Map<String, Value>) -> (Option<Language>, Vec<Exception>) {
    let mut exceptions = Vec::new();
    let mut language = None;
    let mut next = Some(error);
    while let Some(error) = next.filter(|_| exceptions.len() < MOST_CAUSES) {
        let text = |name| error.get(name).and_then(Value::as_str).unwrap_or_default();
        let stack = ["stackTrace", "stack"].into_iter().find_map(|name| error.get(name)?.as_array());
        let stack = stack.map(Vec::as_slice).unwrap_or_default();
        let (of_stack, frames) = frames::of_list(stack);
        language = language.or(of_stack);
        if of_stack == Some(Language::DotNet) {
            // The list holds the lines of the error as it prints itself, with all inner ones.
            let lines: Vec<&str> = stack.iter().filter_map(Value::as_str).collect();
            let chain = text::of_dotnet_text(&lines.join("\n")).unwrap_or_default();
            if chain.last().is_some_and(|outermost| outermost.kind == text("errorType")) {
                exceptions.extend(chain.into_iter().rev());
                break;
            }
        }
        exceptions.push(Exception {
            kind: of_ruby_kind(text("errorType")).to_owned(),
            value: text("errorMessage").to_owned(),
            frames,
        });
        next =
            ["cause", "reason", "innerException"].into_iter().find_map(|name| error.get(name)?.as_object());
    }
    exceptions.reverse();
    (language, exceptions)
}

/// Ruby's runtime writes `Function<ArgumentError>`.
fn of_ruby_kind(kind: &str) -> &str {
    let inner = kind.split_once('<').filter(|(of, _)| matches!(*of, "Function" | "Init" | "Runtime"));
    inner.and_then(|(_, inner)| inner.strip_suffix('>')).unwrap_or(kind)
}
