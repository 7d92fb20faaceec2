//! An accepted envelope: the SDK's bytes without changes, and what the request to upstream needs beside them.

use crate::config::{ProjectId, PublicKey, Upstream};
use crate::protocol::{Encoding, Item, ItemKind, Priority};
use bytes::Bytes;
use hyper::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderName, HeaderValue, USER_AGENT};
use std::ops::Deref;
use std::sync::Arc;

/// The least memory that an envelope takes beside its body, in bytes: queue slot, items, headers with their values.
pub(crate) const OVERHEAD: usize = 1024;
/// What it takes beside its body if it has neither path, nor headers, nor items.
const SLOT: usize = 384;
/// What a header takes beside the bytes of its name and value, which are allocations of their own.
const PER_HEADER: usize = size_of::<(HeaderName, HeaderValue)>() + 16;
/// What the key takes that keeps check-ins and sessions in order.
const PER_KEY: usize = 128;

/// The headers of an envelope. They know the memory that they take, because that is asked for again and again.
#[derive(Clone, Debug, Default)]
pub struct Headers {
    list: Box<[(HeaderName, HeaderValue)]>,
    bytes: usize,
}

impl From<Vec<(HeaderName, HeaderValue)>> for Headers {
    fn from(list: Vec<(HeaderName, HeaderValue)>) -> Self {
        let bytes = list.iter().map(|(name, value)| PER_HEADER + name.as_str().len() + value.len()).sum();
        Self { list: list.into(), bytes }
    }
}

impl Deref for Headers {
    type Target = [(HeaderName, HeaderValue)];

    fn deref(&self) -> &Self::Target {
        &self.list
    }
}

/// An accepted envelope, or another request that is delivered like one. All clones share one body.
#[derive(Clone, Debug)]
pub struct Envelope {
    /// The Sentry that it is for.
    pub upstream: Arc<Upstream>,
    /// The API path with its query, such as `/api/42/envelope/`.
    pub path: String,
    /// The public key that the SDK sent.
    pub key: PublicKey,
    /// The project it is for.
    pub project: ProjectId,
    /// The headers to send. They are never logged, because they contain the key. Their values are copies, because the
    /// values of a request would keep its whole read buffer in memory.
    pub headers: Headers,
    /// The compression of the body.
    pub(crate) encoding: Encoding,
    /// The kind and size of each item in the body.
    pub items: Box<[Item]>,
    /// The bytes to send: those of the SDK, unless items were removed.
    pub body: Bytes,
    /// Whether it is sent only while the environment is awake anyway. `/next` is never held for it.
    pub is_background: bool,
}

impl Envelope {
    /// Makes an envelope that the extension itself sends to a project, with one item.
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
            headers: vec![
                (HeaderName::from_static("x-sentry-auth"), auth),
                (USER_AGENT, HeaderValue::from_static(client)),
                (CONTENT_TYPE, HeaderValue::from_static("application/x-sentry-envelope")),
            ]
            .into(),
            encoding: Encoding::Identity,
            items: [item].into(),
            body: body.into(),
            is_background: false,
        }
    }

    /// Returns the envelope as one for which `/next` is never held.
    pub(crate) fn in_background(self) -> Self {
        Self { is_background: true, ..self }
    }

    /// Returns the same envelope with another body that is not compressed.
    pub(super) fn decoded(&self, body: impl Into<Bytes>) -> Self {
        let is_encoding = |name| name == CONTENT_ENCODING;
        let headers: Vec<_> = self.headers.iter().filter(|(name, _)| !is_encoding(name)).cloned().collect();
        Self { headers: headers.into(), encoding: Encoding::Identity, body: body.into(), ..self.clone() }
    }

    /// Returns how many bytes of the queue's buffer it takes.
    pub fn size(&self) -> usize {
        let is_keyed = |item: &&Item| matches!(item.kind, ItemKind::CheckIn | ItemKind::Session);
        let beside = SLOT
            + self.path.len()
            + self.headers.bytes
            + self.items.len() * size_of::<Item>()
            + self.items.iter().filter(is_keyed).count() * PER_KEY;
        self.body.len() + beside.max(OVERHEAD)
    }

    /// Gives back the spare capacity of the body, because the queue counts only the body's length.
    pub(super) fn without_spare_capacity(mut self) -> Self {
        self.body = match std::mem::take(&mut self.body).try_into_mut() {
            Ok(body) if body.capacity() - body.len() > OVERHEAD => Bytes::copy_from_slice(&body),
            Ok(body) => body.freeze(),
            Err(shared) => shared,
        };
        self
    }

    /// Returns its priority. A higher priority is delivered first and evicted last.
    pub fn priority(&self) -> Priority {
        Priority::of(&self.items)
    }
}

#[cfg(test)]
pub(crate) fn sample(kind: crate::protocol::ItemKind, length: usize) -> Envelope {
    Envelope {
        upstream: Arc::new(Upstream::parse("http://127.0.0.1:1").unwrap()),
        path: "/api/42/envelope/".to_owned(),
        key: PublicKey::parse("a94ae32be2584e0bbd7a4cbb95971fee").unwrap(),
        project: ProjectId::parse("42").unwrap(),
        headers: Headers::default(),
        encoding: Encoding::Identity,
        items: [Item { kind, count: 1, bytes: length }].into(),
        body: vec![0; length].into(),
        is_background: false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_count_as_what_they_take() {
        let size =
            |headers: Vec<_>| Envelope { headers: headers.into(), ..sample(ItemKind::Event, 10) }.size();
        let header = |bytes| (USER_AGENT, HeaderValue::from_maybe_shared(vec![b'x'; bytes]).unwrap());
        assert_eq!(size(vec![header(100)]), 10 + OVERHEAD);
        assert!(size(vec![header(60_000)]) > 60_000 + 10);
        assert!(size(vec![header(1); 90]) > 90 * 90);
    }

    #[test]
    fn spare_capacity_is_given_back() {
        let mut body = Vec::with_capacity(100_000);
        body.extend_from_slice(&[7; 5000]);
        let envelope = Envelope { body: body.into(), ..sample(ItemKind::Event, 0) }.without_spare_capacity();
        assert_eq!(envelope.body, vec![7; 5000]);
        let capacity = envelope.body.try_into_mut().unwrap().capacity();
        assert!(capacity < 5000 + OVERHEAD, "{capacity}");
    }
}
