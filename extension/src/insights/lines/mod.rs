//! Reads one record of the function: its level, its request, its message and its fields. Pure.
//!
//! The level comes from the record itself, from its JSON or from the prefix of the runtime's logger. Words in a message
//! say nothing about its level.

mod fields;
mod json;
mod prefix;

pub(super) use fields::{FieldValue, Fields};

use crate::protocol::LogLevel;
use crate::telemetry::{FunctionOutput, RequestId};
use std::borrow::Cow;

/// A longer text is cut. Lambda itself cuts records at this size.
const MAX_TEXT: usize = 256 * 1024;

/// One record, understood.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Line<'a> {
    pub(super) level: Option<LogLevel>,
    /// The invocation that the record names.
    pub(super) request: Option<NamedRequest<'a>>,
    pub(super) message: Cow<'a, str>,
    /// The fields of its JSON, without those above.
    pub(super) fields: Fields<'a>,
}

/// The invocation that a record names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum NamedRequest<'a> {
    /// The runtime's logger has named it, in a column of its own.
    ByRuntime(&'a str),
    /// A field of the JSON names something that may be an invocation. It is still among the fields, under this name.
    ByField(&'static str, Cow<'a, str>),
}

impl<'a> Line<'a> {
    /// Reads a record. `None`: there is nothing in it.
    pub(super) fn read(output: &'a FunctionOutput<'_>) -> Option<Self> {
        match output {
            FunctionOutput::Object(text) => {
                Some(Self::of_object(text).unwrap_or_else(|| Self::of_text(text)))
            }
            FunctionOutput::Text(text) => {
                let text = text.trim_end();
                (!text.is_empty()).then(|| Self::of_prefixed(text))
            }
        }
    }

    /// Whether this field is what names the request that the line belongs to. Any other field of that name is the
    /// function's own.
    pub(super) fn names_request(&self, field: &str, request: Option<&RequestId>) -> bool {
        match (&self.request, request) {
            (Some(NamedRequest::ByField(name, id)), Some(request)) => *name == field && request.is(id),
            _ => false,
        }
    }

    fn of_prefixed(text: &'a str) -> Self {
        let prefix = prefix::read(text);
        let mut line = Self::of_object(prefix.rest).unwrap_or_else(|| Self::of_text(prefix.rest));
        line.level = line.level.or(prefix.level);
        if let Some(id) = prefix.request {
            line.request = Some(NamedRequest::ByRuntime(id));
        }
        line
    }

    fn of_text(text: &'a str) -> Self {
        Self { message: Cow::Borrowed(cut(text)), ..Self::default() }
    }

    /// Reads a JSON object. `None`: it is none, or too large or too deep to be read.
    fn of_object(text: &'a str) -> Option<Self> {
        let is_object = text.starts_with('{') && text.trim_end().ends_with('}') && text.len() <= MAX_TEXT;
        json::read(is_object.then_some(text)?)
    }
}

fn cut(text: &str) -> &str {
    text.get(..text.floor_char_boundary(MAX_TEXT)).unwrap_or(text)
}

#[cfg(test)]
mod tests;
