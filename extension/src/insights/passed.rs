//! Keeps the latest envelopes with an event, and those of a trace. They are read only where it matters what they say,
//! because reading every envelope would cost time: after a fault, and for spans of the extension's own.

use super::spans::TraceNote;
use crate::config::SpanMode;
use crate::protocol::{Encoding, EnvelopeNote, ItemKind, Scanner, decode, decode_all, split_envelope};
use crate::relay::{Envelope, ReportTarget};
use crate::telemetry::RequestId;
use bytes::Bytes;
use std::collections::VecDeque;
use std::sync::Arc;

/// The most envelopes that are kept.
const MAX_ENVELOPES: usize = 8;
/// The most bytes of them that are kept. Until they are delivered, they share the memory of the queue.
const MAX_BYTES: usize = 128 * 1024;
/// The most bytes that are decoded of each.
const MAX_DECODED: usize = 1024 * 1024;
/// The most bytes of a client report of an SDK.
const MAX_REPORT: usize = 2048;

/// Why an envelope is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum UseOf {
    /// It has an event, which may tell of an invocation.
    Event,
    /// It has a trace, or tells that there was one.
    Trace,
}

/// An envelope, and the invocation during which it passed.
#[derive(Clone, Debug)]
pub(super) struct PassedEnvelope {
    encoding: Encoding,
    body: Bytes,
    during: Option<RequestId>,
    /// What has to be known of its trace.
    traced: Option<Box<Traced>>,
}

/// Where the trace of an envelope goes, and what the envelope has in it.
#[derive(Clone, Debug)]
struct Traced {
    target: ReportTarget,
    kinds: Box<[ItemKind]>,
}

/// The latest envelopes, the oldest first.
#[derive(Debug, Default)]
pub(super) struct PassedEnvelopes(VecDeque<PassedEnvelope>);

impl PassedEnvelope {
    /// What the envelope may tell, if it is of use. `spans` are those that are wanted.
    pub(super) fn use_of(envelope: &Envelope, spans: SpanMode) -> Option<UseOf> {
        let (with_spans, with_own) = (spans != SpanMode::Off, matches!(spans, SpanMode::Rate(_)));
        if envelope.body.len() > MAX_BYTES {
            return None;
        }
        let has = |kind| envelope.items.iter().any(|item| item.kind == kind);
        let has_report = || with_own && envelope.body.len() <= MAX_REPORT && has(ItemKind::Other);
        let has_trace = with_spans && (has(ItemKind::Transaction) || has(ItemKind::Span) || has_report());
        // Whether an SDK makes traces at all is also told by the headers of events.
        if has_trace || (with_own && has(ItemKind::Event)) {
            Some(UseOf::Trace)
        } else {
            (has(ItemKind::Event) || has(ItemKind::Transaction)).then_some(UseOf::Event)
        }
    }

    /// Returns what the envelope says of its invocation and of its trace, and the invocation during which it came.
    pub(super) fn read(self) -> (EnvelopeNote, Option<TraceNote>, Option<RequestId>) {
        let mut scanner = Scanner::with_note();
        let Some(traced) = self.traced else {
            let _ = decode(self.encoding, &self.body, MAX_DECODED, |block| scanner.feed(block));
            return (scanner.into_note(), None, self.during);
        };
        let plain = decode_all(self.encoding, &self.body, MAX_DECODED).unwrap_or_default();
        let _ = scanner.feed(&plain);
        let mut note = scanner.into_note();
        let (header, payloads) = split_envelope(&plain);
        let mut trace = TraceNote::read(header, traced.kinds.iter().copied().zip(payloads), &traced.target);
        for root in &mut trace.roots {
            // A transaction tells its invocation like an event, and an event may tell that of its container of spans.
            root.request = root.request.take().or_else(|| note.request.clone());
            note.request.clone_from(&root.request);
            note.span_id = note.span_id.take().or_else(|| Some(root.span_id.clone()));
        }
        (note, Some(trace), self.during)
    }
}

impl PassedEnvelopes {
    /// Keeps an envelope, and removes the oldest ones if there are too many.
    pub(super) fn keep(&mut self, envelope: &Envelope, use_of: UseOf, during: Option<RequestId>) {
        let (encoding, body) = (envelope.encoding, envelope.body.clone());
        let traced = (use_of == UseOf::Trace).then(|| {
            let (upstream, key, project) =
                (Arc::clone(&envelope.upstream), envelope.key.clone(), envelope.project);
            let kinds = envelope.items.iter().map(|item| item.kind).collect();
            Box::new(Traced { target: ReportTarget { upstream, key, project }, kinds })
        });
        self.0.push_back(PassedEnvelope { encoding, body, during, traced });
        while self.0.len() > MAX_ENVELOPES
            || self.0.iter().map(|one| one.body.len()).sum::<usize>() > MAX_BYTES
        {
            self.0.pop_front();
        }
    }

    /// Whether one of them has a trace.
    pub(super) fn have_trace(&self) -> bool {
        self.0.iter().any(|one| one.traced.is_some())
    }

    /// Takes out all envelopes, the oldest first.
    pub(super) fn take(&mut self) -> impl Iterator<Item = PassedEnvelope> + use<> {
        std::mem::take(&mut self.0).into_iter()
    }
}
