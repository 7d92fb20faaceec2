//! An accepted envelope: the SDK's bytes without changes, and what the request to upstream needs beside them.

use super::allocation::allocated;
use super::headers::Headers;
use crate::config::{ProjectId, PublicKey, Upstream};
use crate::protocol::{Encoding, Item, ItemKind, Priority};
use bytes::Bytes;
use hyper::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderName, HeaderValue, USER_AGENT};
use std::sync::Arc;

/// The least memory that an envelope takes beside its body, in bytes: queue slot, items, headers with their values.
pub(crate) const OVERHEAD: usize = 1024;
/// What it takes beside its body if it has neither path, nor headers, nor items: the envelope, its place in the queue
/// and in the queue's indexes, and the counters that its tries share.
const SLOT: usize = 768;
/// What the key takes that keeps check-ins and sessions in order.
const PER_KEY: usize = 128;

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
    /// The headers to send.
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
        let is_encoding = |name: &HeaderName| *name == CONTENT_ENCODING;
        let headers: Vec<_> = self.headers.iter().filter(|(name, _)| !is_encoding(name)).collect();
        Self { headers: headers.into(), encoding: Encoding::Identity, body: body.into(), ..self.clone() }
    }

    /// Returns how many bytes of the queue's buffer it takes.
    pub fn size(&self) -> usize {
        let is_keyed = |item: &&Item| matches!(item.kind, ItemKind::CheckIn | ItemKind::Session);
        let beside = SLOT
            + allocated(self.path.len())
            + self.headers.allocated()
            + allocated(size_of_val(&*self.items))
            + self.items.iter().filter(is_keyed).count() * PER_KEY;
        allocated(self.body.len()) + beside.max(OVERHEAD)
    }

    /// Gives back the spare capacity of the body, because the queue counts only what the body's length takes.
    pub(super) fn without_spare_capacity(mut self) -> Self {
        self.body = match std::mem::take(&mut self.body).try_into_mut() {
            Ok(body) if allocated(body.capacity()) > allocated(body.len()) => Bytes::copy_from_slice(&body),
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
    fn an_envelope_counts_as_what_is_allocated() {
        assert_eq!(sample(ItemKind::Event, 5000).size(), 8192 + OVERHEAD);
    }

    #[test]
    fn headers_count_as_what_they_take() {
        let size =
            |headers: Vec<_>| Envelope { headers: headers.into(), ..sample(ItemKind::Event, 10) }.size();
        let header = |bytes| (USER_AGENT, HeaderValue::from_maybe_shared(vec![b'x'; bytes]).unwrap());
        assert_eq!(size(Vec::new()), allocated(10) + OVERHEAD);
        assert!(size(vec![header(60_000)]) > 60_000 + 10);
        assert!(size(vec![header(1); 90]) > 90 * "user-agent".len() + OVERHEAD);
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
