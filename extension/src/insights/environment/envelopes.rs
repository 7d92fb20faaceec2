//! What passing envelopes say about the environment. They are kept until somebody asks.

use super::Environment;
use crate::insights::invocation::Invocation;
use crate::insights::passed::UseOf;
use crate::insights::spans::Root;
use crate::protocol::{EnvelopeNote, release_name};
use crate::relay::Envelope;
use crate::telemetry::RequestId;

impl Environment {
    /// Keeps an envelope that has passed.
    pub(in crate::insights) fn passed(&mut self, envelope: &Envelope, use_of: UseOf) {
        // On Managed Instances requests overlap, so only the request id could tell to which one an envelope belongs.
        let during = self.latest().filter(|_| !self.managed).map(|running| running.request.clone());
        self.envelopes.keep(envelope, use_of, during);
    }

    /// Records that an SDK makes traces, of which no envelope tells.
    pub(in crate::insights) fn sdk_traces(&mut self) {
        self.spans.has_tracing_sdk = true;
    }

    /// Reads the envelopes that were kept.
    pub(in crate::insights) fn read_envelopes(&mut self) {
        for envelope in self.envelopes.take() {
            let (note, trace, during) = envelope.read();
            self.note(note, during.as_ref());
            if let Some(trace) = trace {
                self.spans.has_tracing_sdk |= trace.is_tracing;
                for root in trace.roots {
                    self.note_root(root, during.as_ref());
                }
            }
        }
    }

    /// Records what an envelope says. `during` is the invocation during which it came.
    pub(in crate::insights) fn note(&mut self, note: EnvelopeNote, during: Option<&RequestId>) {
        let release = note.release.as_ref().filter(|name| release_name::is_release(name));
        let named = note.environment.as_ref().filter(|name| release_name::is_environment(name));
        self.learnt.release = release.cloned().or_else(|| self.learnt.release.take());
        self.learnt.environment = named.cloned().or_else(|| self.learnt.environment.take());
        let Some(request) = note.request.as_deref().map(RequestId::new) else {
            match during {
                Some(during) => {
                    if let Some(running) = self.invocations.iter_mut().find(|one| one.request == *during) {
                        running.note(note, false);
                    }
                }
                None if self.managed => {}
                None => self.has_unhandled_error_in_init |= note.unhandled,
            }
            return;
        };
        match self.invocations.iter_mut().find(|one| one.request == request) {
            Some(invocation) => invocation.note(note, true),
            // The envelope of an SDK may arrive before Lambda reports the invocation.
            None => self.early_note = Some((request, note)),
        }
    }

    /// Records where the root span of an SDK belongs. `during` is the invocation in which its envelope has passed.
    pub(in crate::insights) fn note_root(&mut self, root: Root, during: Option<&RequestId>) {
        let named = |one: &Invocation| match (&root.request, during) {
            (Some(request), _) => one.request.is(request),
            (None, Some(during)) => one.request == *during,
            (None, None) => false,
        };
        let Some(invocation) = self.invocations.iter_mut().find(|one| named(one)) else { return };
        // An SDK that makes several traces in an invocation sends that of the invocation last, or not at all.
        let is_better = |known: &Root| !known.is_of_function && root.is_of_function;
        if invocation.root.as_deref().is_none_or(is_better) {
            invocation.root = Some(Box::new(root));
        }
    }
}
