//! Delivers the events of faults. They are sent before everything else that waits. An event that cannot be delivered
//! before the process ends is spooled, and the environment's next process sends it.

use super::spool_keeper::SpoolKeeper;
use crate::config::{Config, ProjectId, PublicKey, Scheme, Upstream};
use crate::protocol::{EventId, Item, ItemKind, envelope_writer, timestamp};
use crate::relay::{Acceptance, Envelope, Relay};
use crate::{log, task};
use std::sync::Arc;
use std::time::SystemTime;

/// The event of a fault, ready to be sent.
#[derive(Clone, Debug)]
pub struct FaultEnvelope {
    /// The id by which the user finds the event, for the log.
    pub event_id: EventId,
    /// The envelope. `FaultEnvelope::new` marks it as a fault, so that it leaves first and is never evicted.
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
        let body = event_body(&event_id, event);
        let item = Item { kind: ItemKind::Fault, count: 1, bytes: event.len() };
        Self { envelope: Envelope::of_ours(upstream, key, project, item, body), event_id }
    }
}

/// Puts an event, which is JSON, into an envelope.
pub(super) fn event_body(event_id: &EventId, event: &[u8]) -> Vec<u8> {
    let sent_at = timestamp::format(SystemTime::now());
    let mut body = envelope_writer::start(event_id, &[("sent_at", &sent_at)]);
    envelope_writer::push_item(&mut body, "event", &[("content_type", "application/json")], event);
    body
}

/// Takes faults and delivers them, in this process or in the next.
#[derive(Clone, Debug)]
pub struct Outbox {
    relay: Relay,
}

impl Outbox {
    /// Creates an outbox that touches neither network nor files until a fault is submitted.
    pub fn new(relay: Relay) -> Self {
        Self { relay }
    }

    /// Spools the faults that are not delivered before the end of this process, and sends those that an earlier process
    /// has spooled.
    pub fn use_spool(&self, config: &Arc<Config>) {
        let keeper = SpoolKeeper::new(config.spool.clone());
        self.relay.keep_faults(keeper.clone());
        let (outbox, config) = (self.clone(), Arc::clone(config));
        task::spawn(async move { outbox.send_spooled(&keeper, &config) });
    }

    /// Sends a fault before everything else that waits.
    pub fn submit(&self, fault: FaultEnvelope) {
        match self.relay.accept(fault.envelope) {
            Acceptance::Taken { .. } => log::debug("a fault is queued", &[("event_id", &fault.event_id)]),
            Acceptance::Limited { .. } => {
                log::warn(
                    "Sentry's rate limits forbid the event of a fault",
                    &[("event_id", &fault.event_id)],
                );
            }
        }
    }

    fn send_spooled(&self, keeper: &SpoolKeeper, config: &Config) {
        let content = keeper.start_sending();
        for event_id in &content.expired {
            log::warn("a spooled fault is too old and is not sent", &[("event_id", event_id)]);
        }
        if content.damaged > 0 {
            log::warn("spooled faults were damaged and are lost", &[("files", &content.damaged)]);
        }
        for spooled in content.faults {
            let event_id = spooled.event_id;
            if !may_receive(&spooled.envelope.upstream, config) {
                let upstream = &spooled.envelope.upstream;
                log::warn(
                    "a spooled fault is for an upstream that is not allowed",
                    &[("event_id", &event_id), ("upstream", upstream)],
                );
                keeper.remove(&event_id);
                continue;
            }
            log::info(
                "sends a fault that an earlier process has spooled",
                &[("event_id", &event_id), ("since", &timestamp::format(spooled.since))],
            );
            self.submit(FaultEnvelope { event_id, envelope: spooled.envelope });
        }
    }
}

/// Whether the settings allow this upstream. The process that has spooled the fault may have had other settings.
fn may_receive(upstream: &Upstream, config: &Config) -> bool {
    let named = [config.upstream.as_deref(), config.dsn.as_deref().map(|dsn| &dsn.upstream)];
    let is_configured = named.contains(&Some(upstream));
    let is_secure = upstream.scheme() == Scheme::Https || upstream.is_loopback();
    let is_allowed = is_secure && config.allowed_hosts.contains(upstream.host());
    !config.is_loop(upstream) && (is_configured || is_allowed)
}
