//! An accepted envelope on its way: the SDK's bytes, untouched, and what upstream needs to be told about them.

use crate::config::{ProjectId, PublicKey, Upstream};
use crate::protocol::{Encoding, Item, Priority};
use bytes::Bytes;
use hyper::header::{CONTENT_TYPE, HeaderName, HeaderValue, USER_AGENT};
use std::sync::Arc;

/// What is held for an envelope beside its body: queue slot, items, headers with their values.
const OVERHEAD: usize = 1024;

/// An accepted envelope, or a request of another kind that goes the same way. Its body is held once, by all clones.
#[derive(Clone, Debug)]
pub struct Envelope {
    /// Where it goes.
    pub upstream: Arc<Upstream>,
    /// The API path, with its query: `/api/42/envelope/`.
    pub path: String,
    /// Who it is from.
    pub key: PublicKey,
    /// The project it is for.
    pub project: ProjectId,
    /// Headers to send. They hold the key, so they are never logged; and values of their own, for those
    /// of a request would keep its whole read buffer in memory.
    pub headers: Box<[(HeaderName, HeaderValue)]>,
    /// How the body is compressed.
    pub(crate) encoding: Encoding,
    /// What is in it.
    pub items: Box<[Item]>,
    /// The SDK's bytes.
    pub body: Bytes,
}

impl Envelope {
    /// An envelope that the extension itself sends to a project, with the headers of its own.
    pub(crate) fn of_ours(
        upstream: Arc<Upstream>,
        key: PublicKey,
        project: ProjectId,
        item: Item,
        body: impl Into<Bytes>,
    ) -> Self {
        let client = concat!("sentry-lambda-extension/", env!("CARGO_PKG_VERSION"));
        let auth = format!("Sentry sentry_key={}, sentry_version=7, sentry_client={client}", key.expose());
        let auth = HeaderValue::try_from(auth).unwrap_or(HeaderValue::from_static("Sentry"));
        Self {
            upstream,
            path: format!("/api/{project}/envelope/"),
            key,
            project,
            headers: [
                (HeaderName::from_static("x-sentry-auth"), auth),
                (USER_AGENT, HeaderValue::from_static(client)),
                (CONTENT_TYPE, HeaderValue::from_static("application/x-sentry-envelope")),
            ]
            .into(),
            encoding: Encoding::Identity,
            items: [item].into(),
            body: body.into(),
        }
    }

    /// What it takes of the buffer, in bytes.
    pub fn size(&self) -> usize {
        self.body.len() + OVERHEAD
    }

    /// The same in memory that is no larger than it is: whoever made the body may have left room for more, and
    /// the queue counts what is in it.
    pub(super) fn fitted(mut self) -> Self {
        self.body = match std::mem::take(&mut self.body).try_into_mut() {
            Ok(body) if body.capacity() - body.len() > OVERHEAD => Bytes::copy_from_slice(&body),
            Ok(body) => body.freeze(),
            Err(shared) => shared,
        };
        self
    }

    /// What goes first when room or time is short.
    pub fn priority(&self) -> Priority {
        Priority::of(&self.items)
    }
}

#[cfg(test)]
pub(super) fn sample(kind: crate::protocol::ItemKind, length: usize) -> Envelope {
    Envelope {
        upstream: Arc::new(Upstream::parse("http://127.0.0.1:1").unwrap()),
        path: "/api/42/envelope/".to_owned(),
        key: PublicKey::parse("a94ae32be2584e0bbd7a4cbb95971fee").unwrap(),
        project: ProjectId::parse("42").unwrap(),
        headers: Box::default(),
        encoding: Encoding::Identity,
        items: [Item { kind, count: 1, bytes: length }].into(),
        body: vec![0; length].into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::ItemKind;

    #[test]
    fn room_for_more_is_given_back() {
        let mut body = Vec::with_capacity(100_000);
        body.extend_from_slice(&[7; 5000]);
        let envelope = Envelope { body: body.into(), ..sample(ItemKind::Event, 0) }.fitted();
        assert_eq!(envelope.body, vec![7; 5000]);
        let capacity = envelope.body.try_into_mut().unwrap().capacity();
        assert!(capacity < 5000 + OVERHEAD, "{capacity}");
    }
}
