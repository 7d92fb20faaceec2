//! Delivers the events of faults. They are sent before everything else that waits. An event that cannot be delivered
//! before the process ends is spooled, and the environment's next process sends it.

use super::spool::{Content, Spool};
use crate::config::{Config, ProjectId, PublicKey, Scheme, Upstream};
use crate::protocol::{EventId, Item, ItemKind, envelope_writer, timestamp};
use crate::relay::{Acceptance, Envelope, Relay};
use crate::{log, task};
use std::sync::{Arc, Mutex, PoisonError};
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
        let spool = Spool::new(config.spool.clone());
        let first_spooled: Arc<FirstSpooled> = Arc::default();
        self.relay.keep_faults({
            let (spool, first_spooled) = (spool.clone(), Arc::clone(&first_spooled));
            move |fault| keep(&spool, &first_spooled, fault)
        });
        let (outbox, config) = (self.clone(), Arc::clone(config));
        task::spawn(async move {
            outbox.send_spooled(spool.take(SystemTime::now()), &first_spooled, &config);
        });
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

    fn send_spooled(&self, content: Content, first_spooled: &FirstSpooled, config: &Config) {
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
                continue;
            }
            log::info(
                "sends a fault that an earlier process has spooled",
                &[("event_id", &event_id), ("since", &timestamp::format(spooled.since))],
            );
            first_spooled.remember(event_id.clone(), spooled.since);
            self.submit(FaultEnvelope { event_id, envelope: spooled.envelope });
        }
    }
}

/// When the faults of earlier processes were spooled for the first time. If such a fault is spooled again, it keeps
/// that time, so that it is given up after a day.
#[derive(Debug, Default)]
struct FirstSpooled(Mutex<Vec<(EventId, SystemTime)>>);

impl FirstSpooled {
    fn remember(&self, event_id: EventId, since: SystemTime) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push((event_id, since));
    }

    fn of(&self, envelope: &Envelope) -> Option<SystemTime> {
        let event_id = super::spool::event_id(envelope)?;
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.iter().find(|(known, _)| *known == event_id).map(|(_, since)| *since)
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

/// Spools a fault and logs that. Returns whether it could.
fn keep(spool: &Spool, first_spooled: &FirstSpooled, fault: &Envelope) -> bool {
    let since = first_spooled.of(fault).unwrap_or_else(SystemTime::now);
    match spool.store(fault, since) {
        Ok(event_id) => {
            let message = "a fault could not be delivered: it is spooled for the next process";
            log::warn(message, &[("event_id", &event_id)]);
            true
        }
        Err(error) => {
            log::error("a fault could not be delivered, and cannot be spooled", &[("error", &error)]);
            false
        }
    }
}
