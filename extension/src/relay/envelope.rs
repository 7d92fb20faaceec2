//! An accepted envelope on its way: the SDK's bytes, untouched, and what upstream needs to be told about them.

use crate::config::{ProjectId, Upstream};
use crate::wire::{Encoding, Item, Value};
use bytes::Bytes;
use hyper::header::HeaderValue;

/// What is held for an envelope beside its body: queue slot, headers, strings.
const OVERHEAD: usize = 512;

/// An accepted envelope. Its body is held once.
#[derive(Debug)]
pub struct Envelope {
    /// Where it goes.
    pub upstream: Upstream,
    /// The project it is for.
    pub project: ProjectId,
    /// `X-Sentry-Auth`, rebuilt. Holds the key: never logged.
    pub sentry_auth: HeaderValue,
    /// As the SDK sent it, if it did.
    pub content_type: Option<HeaderValue>,
    /// As the SDK sent it.
    pub(crate) content_encoding: Encoding,
    /// As the SDK sent it, if it did.
    pub user_agent: Option<HeaderValue>,
    /// What is in it.
    pub items: Box<[Item]>,
    /// The SDK's bytes.
    pub body: Bytes,
}

impl Envelope {
    /// What it takes of the buffer, in bytes.
    pub fn size(&self) -> usize {
        self.body.len() + OVERHEAD
    }

    /// What goes first when room or time is short.
    pub fn value(&self) -> Value {
        Value::of(&self.items)
    }
}

#[cfg(test)]
pub(super) fn sample(kind: crate::wire::ItemKind, length: usize) -> Envelope {
    Envelope {
        upstream: Upstream::parse("http://127.0.0.1:1").unwrap(),
        project: ProjectId::parse("42").unwrap(),
        sentry_auth: HeaderValue::from_static("Sentry"),
        content_type: None,
        content_encoding: Encoding::Identity,
        user_agent: None,
        items: [Item { kind, count: 1, bytes: length }].into(),
        body: vec![0; length].into(),
    }
}
