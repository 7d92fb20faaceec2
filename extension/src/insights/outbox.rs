//! Delivers the events of faults. They are sent before everything else that waits. An event that cannot be delivered
//! before the process ends is spooled, and the environment's next process sends it.

use super::spool::{Content, Spool, event_id};
use crate::config::{Config, ProjectId, PublicKey, Scheme, Upstream};
use crate::protocol::{EventId, Item, ItemKind, envelope_writer, timestamp};
use crate::relay::{Acceptance, Envelope, FaultKeeper, Relay};
use crate::{log, task};
use std::fs::File;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
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
        let keeper = SpoolKeeper { spool: Spool::new(config.spool.clone()), sending: Arc::default() };
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

/// Keeps faults in the spool. A fault of an earlier process stays there until it has left.
#[derive(Clone, Debug)]
struct SpoolKeeper {
    spool: Spool,
    sending: Arc<Mutex<Sending>>,
}

/// The faults of earlier processes that this one sends.
#[derive(Debug, Default)]
struct Sending {
    /// Each with the time when it was spooled for the first time. A fault that is spooled again keeps that time, so
    /// that it is given up after a day.
    faults: Vec<(EventId, SystemTime)>,
    /// Keeps other processes from sending them, as long as it is open.
    lock: Option<File>,
}

impl SpoolKeeper {
    fn sending(&self) -> MutexGuard<'_, Sending> {
        self.sending.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads the faults that this process has to send.
    fn start_sending(&self) -> Content {
        let mut content = self.spool.read(SystemTime::now());
        let faults = content.faults.iter().map(|fault| (fault.event_id.clone(), fault.since)).collect();
        *self.sending() = Sending { faults, lock: content.lock.take() };
        content
    }

    /// Returns since when a fault of an earlier process is spooled.
    fn since(&self, event_id: &EventId) -> Option<SystemTime> {
        self.sending().faults.iter().find(|(known, _)| known == event_id).map(|(_, since)| *since)
    }

    /// Removes a fault of an earlier process.
    fn remove(&self, event_id: &EventId) {
        let mut sending = self.sending();
        let Some(at) = sending.faults.iter().position(|(known, _)| known == event_id) else { return };
        sending.faults.swap_remove(at);
        if let Err(error) = self.spool.remove(event_id) {
            log::warn(
                "a fault is not removed from the spool: the next process sends it again",
                &[("event_id", event_id), ("error", &error)],
            );
        }
        if sending.faults.is_empty() {
            sending.lock = None;
        }
    }
}

impl FaultKeeper for SpoolKeeper {
    fn keep(&self, fault: &Envelope) -> bool {
        let since = event_id(fault).and_then(|event_id| Some((self.since(&event_id)?, event_id)));
        let kept = match since {
            Some((_, event_id)) if self.spool.has(&event_id) => Ok(event_id),
            since => self.spool.store(fault, since.map_or_else(SystemTime::now, |(since, _)| since)),
        };
        match kept {
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

    fn ended(&self, fault: &Envelope) {
        // Most processes send no fault of an earlier one, and need not read the envelope.
        if !self.sending().faults.is_empty()
            && let Some(event_id) = event_id(fault)
        {
            self.remove(&event_id);
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
