//! OpenTelemetry's protocol OTLP, as far as the extension reads it: in protobuf and in JSON. Pure.
//!
//! A request may have many megabytes, and it may have been made to cost more than that. So it is never turned into
//! values of its own: `message` visits the fields of a message in place, over `protobuf` or `json`, and what is read
//! has the depth of the protocol's own messages. `count` counts spans and logs, which go to Sentry as they are.
//! `metrics` converts metrics, which Sentry takes in its own format only. `response` writes what the client gets.

mod count;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;
mod json;
mod message;
mod metrics;
mod protobuf;
mod response;
#[cfg(test)]
mod samples;
mod value;

pub(crate) use count::count;
pub(crate) use message::Message;
pub(crate) use metrics::{Converted, Converter};
pub(crate) use response::{accepted, status};
pub(crate) use value::Malformed;

use crate::protocol::ItemKind;

/// What a request carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Signal {
    Traces,
    Logs,
    Metrics,
}

impl Signal {
    /// Reads the last part of a path like `/v1/traces`.
    pub(crate) fn of(name: &str) -> Option<Self> {
        Some(match name {
            "traces" => Self::Traces,
            "logs" => Self::Logs,
            "metrics" => Self::Metrics,
            _ => return None,
        })
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Traces => "traces",
            Self::Logs => "logs",
            Self::Metrics => "metrics",
        }
    }

    /// What Sentry makes of it.
    pub(crate) fn kind(self) -> ItemKind {
        match self {
            Self::Traces => ItemKind::Span,
            Self::Logs => ItemKind::Log,
            Self::Metrics => ItemKind::Metric,
        }
    }
}

/// The encoding of a request, and of the response to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    Protobuf,
    Json,
}

impl Format {
    /// Finds the encoding of a media type without parameters.
    pub(crate) fn of(media_type: &str) -> Option<Self> {
        [Self::Protobuf, Self::Json].into_iter().find(|format| format.media_type() == media_type)
    }

    pub(crate) fn media_type(self) -> &'static str {
        match self {
            Self::Protobuf => "application/x-protobuf",
            Self::Json => "application/json",
        }
    }
}
