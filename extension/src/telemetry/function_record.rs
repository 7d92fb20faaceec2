//! What the function writes to its standard output and through its runtime's logger, one record a line or a message.

use crate::protocol::json_text;
use std::borrow::Cow;
use std::time::SystemTime;

/// One record of the function, in the bytes of its batch.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FunctionRecord<'a> {
    /// When Lambda received it. All records have it from one clock, to the millisecond.
    pub(crate) time: Option<SystemTime>,
    /// The record as JSON: a string where the function logs text, and an object where it logs JSON.
    pub(crate) json: &'a str,
}

/// The content of a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum FunctionOutput<'a> {
    /// A line, or several of them that belong together.
    Text(Cow<'a, str>),
    /// A JSON object.
    Object(&'a str),
}

impl<'a> FunctionRecord<'a> {
    /// Reads what the record holds. What is neither text nor an object is taken as the text that it is.
    pub(crate) fn output(&self) -> FunctionOutput<'a> {
        let json = self.json.trim();
        match json.as_bytes().first() {
            Some(b'{') => FunctionOutput::Object(json),
            Some(b'"') => FunctionOutput::Text(json_text::read(json).unwrap_or(Cow::Borrowed(json))),
            _ => FunctionOutput::Text(Cow::Borrowed(json)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_objects_and_neither() {
        let output = |json| FunctionRecord { time: None, json }.output();
        assert_eq!(output(r#""one\ttwo\n""#), FunctionOutput::Text("one\ttwo\n".into()));
        assert_eq!(output(r#" {"a":1} "#), FunctionOutput::Object(r#"{"a":1}"#));
        assert_eq!(output("7"), FunctionOutput::Text("7".into()));
        assert_eq!(output(r#"["a"]"#), FunctionOutput::Text(r#"["a"]"#.into()));
        assert!(matches!(output(r#""plain""#), FunctionOutput::Text(Cow::Borrowed("plain"))));
        // Half of a surrogate pair is no text in Rust.
        assert_eq!(output(r#""\ud800""#), FunctionOutput::Text(r#""\ud800""#.into()));
    }
}
