//! Faults get out: they leave before everything else that waits.

use crate::config::{ProjectId, PublicKey, Upstream};
use crate::log;
use crate::protocol::{EventId, Item, ItemKind, envelope_writer, timestamp};
use crate::relay::{Acceptance, Envelope, Relay};
use std::sync::Arc;
use std::time::SystemTime;

/// The event of a fault, ready to be sent.
#[derive(Clone, Debug)]
pub struct FaultEnvelope {
    /// For the log, in which the user finds the event by it.
    pub event_id: EventId,
    /// Made by `FaultEnvelope::new`, which marks it as a fault: it goes first, and nothing evicts it.
    pub envelope: Envelope,
}

impl FaultEnvelope {
    /// Puts an event, which is JSON, into an envelope to a project.
    pub fn new(
        upstream: Arc<Upstream>,
        key: PublicKey,
        project: ProjectId,
        event_id: EventId,
        event: &[u8],
    ) -> Self {
        let sent_at = timestamp::format(SystemTime::now());
        let mut body = envelope_writer::start(&event_id, &[("sent_at", &sent_at)]);
        envelope_writer::push_item(&mut body, "event", &[("content_type", "application/json")], event);
        let item = Item { kind: ItemKind::Fault, count: 1, bytes: event.len() };
        Self { envelope: Envelope::of_ours(upstream, key, project, item, body), event_id }
    }
}

/// Takes faults and sees to it that they arrive.
#[derive(Clone, Debug)]
pub struct Outbox {
    relay: Relay,
}

impl Outbox {
    /// Neither network nor files are touched yet.
    pub fn new(relay: Relay) -> Self {
        Self { relay }
    }

    /// Sends a fault before everything else that waits.
    pub fn submit(&self, fault: FaultEnvelope) {
        match self.relay.accept(fault.envelope) {
            Acceptance::Taken { .. } => log::debug("a fault is queued", &[("event_id", &fault.event_id)]),
            Acceptance::Limited { .. } => {
                log::warn("Sentry's rate limits forbid a fault's event", &[("event_id", &fault.event_id)]);
            }
        }
    }
}
