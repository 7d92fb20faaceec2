//! The latest envelopes with an event or a transaction. Reading them is put off until there is a fault: every envelope
//! would pay for it, and faults are rare.

use crate::protocol::{Encoding, EnvelopeNote, ItemKind, Scanner, decode};
use crate::relay::Envelope;
use crate::telemetry::RequestId;
use bytes::Bytes;
use std::collections::VecDeque;

/// How many are kept.
const MAX_ENVELOPES: usize = 8;
/// So many bytes of them are kept. They share the memory of the queue until they are delivered.
const MAX_BYTES: usize = 128 * 1024;
/// So much is decoded of each.
const MAX_DECODED: usize = 1024 * 1024;

/// An envelope, and the invocation during which it passed.
#[derive(Clone, Debug)]
pub(super) struct PassedEnvelope {
    encoding: Encoding,
    body: Bytes,
    during: Option<RequestId>,
}

/// The latest of them.
#[derive(Debug, Default)]
pub(super) struct PassedEnvelopes(VecDeque<PassedEnvelope>);

impl PassedEnvelope {
    /// Whether it may say something of its invocation.
    pub(super) fn is_of_use(envelope: &Envelope) -> bool {
        envelope.body.len() <= MAX_BYTES
            && envelope.items.iter().any(|item| matches!(item.kind, ItemKind::Event | ItemKind::Transaction))
    }

    /// What it says, and during which invocation it came.
    pub(super) fn read(self) -> (EnvelopeNote, Option<RequestId>) {
        let mut scanner = Scanner::with_note();
        let _ = decode(self.encoding, &self.body, MAX_DECODED, |block| scanner.feed(block));
        (scanner.into_note(), self.during)
    }
}

impl PassedEnvelopes {
    /// Keeps an envelope, and lets go of the oldest.
    pub(super) fn keep(&mut self, envelope: &Envelope, during: Option<RequestId>) {
        let (encoding, body) = (envelope.encoding, envelope.body.clone());
        self.0.push_back(PassedEnvelope { encoding, body, during });
        while self.0.len() > MAX_ENVELOPES
            || self.0.iter().map(|one| one.body.len()).sum::<usize>() > MAX_BYTES
        {
            self.0.pop_front();
        }
    }

    /// Gives them out, oldest first.
    pub(super) fn take(&mut self) -> impl Iterator<Item = PassedEnvelope> + use<> {
        std::mem::take(&mut self.0).into_iter()
    }
}
