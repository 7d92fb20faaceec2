//! Keeps the latest envelopes with an event or a transaction. They are read only when there is a fault, because faults
//! are rare and reading every envelope would cost time.

use crate::protocol::{Encoding, EnvelopeNote, ItemKind, Scanner, decode};
use crate::relay::Envelope;
use crate::telemetry::RequestId;
use bytes::Bytes;
use std::collections::VecDeque;

/// The most envelopes that are kept.
const MAX_ENVELOPES: usize = 8;
/// The most bytes of them that are kept. Until they are delivered, they share the memory of the queue.
const MAX_BYTES: usize = 128 * 1024;
/// The most bytes that are decoded of each.
const MAX_DECODED: usize = 1024 * 1024;

/// An envelope, and the invocation during which it passed.
#[derive(Clone, Debug)]
pub(super) struct PassedEnvelope {
    encoding: Encoding,
    body: Bytes,
    during: Option<RequestId>,
}

/// The latest envelopes, the oldest first.
#[derive(Debug, Default)]
pub(super) struct PassedEnvelopes(VecDeque<PassedEnvelope>);

impl PassedEnvelope {
    /// Whether the envelope may say something about its invocation.
    pub(super) fn is_of_use(envelope: &Envelope) -> bool {
        envelope.body.len() <= MAX_BYTES
            && envelope.items.iter().any(|item| matches!(item.kind, ItemKind::Event | ItemKind::Transaction))
    }

    /// Returns what the envelope says, and the invocation during which it came.
    pub(super) fn read(self) -> (EnvelopeNote, Option<RequestId>) {
        let mut scanner = Scanner::with_note();
        let _ = decode(self.encoding, &self.body, MAX_DECODED, |block| scanner.feed(block));
        (scanner.into_note(), self.during)
    }
}

impl PassedEnvelopes {
    /// Keeps an envelope, and removes the oldest ones if there are too many.
    pub(super) fn keep(&mut self, envelope: &Envelope, during: Option<RequestId>) {
        let (encoding, body) = (envelope.encoding, envelope.body.clone());
        self.0.push_back(PassedEnvelope { encoding, body, during });
        while self.0.len() > MAX_ENVELOPES
            || self.0.iter().map(|one| one.body.len()).sum::<usize>() > MAX_BYTES
        {
            self.0.pop_front();
        }
    }

    /// Takes out all envelopes, the oldest first.
    pub(super) fn take(&mut self) -> impl Iterator<Item = PassedEnvelope> + use<> {
        std::mem::take(&mut self.0).into_iter()
    }
}
