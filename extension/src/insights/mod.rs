//! What the extension itself tells Sentry: faults that end the function's process, and with it every SDK in it.
//!
//! `environment`, `invocation` and `init` hold what is known about the environment. `classify` decides what has
//! happened, `event` writes it for Sentry, `outbox` and `spool` deliver it, and `memory` measures how much memory the
//! function uses. Only this file, `memory`, `outbox` and `spool` do I/O.

mod classify;
mod environment;
mod event;
mod fault;
mod init;
mod invocation;
mod memory;
mod outbox;
mod passed;
mod rate;
mod spool;

pub(crate) use environment::Invoked;
pub use outbox::{FaultEnvelope, Outbox};

use crate::config::{Config, Function, ProjectId, PublicKey, Upstream, variable};
use crate::protocol::EventId;
use crate::relay::{Envelope, Relay};
use crate::telemetry::Observer;
use crate::{log, task};
use classify::ShutdownReason;
use environment::Environment;
use fault::Fault;
use passed::PassedEnvelope;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, SystemTime};
use tokio::sync::Notify;
use tokio::time::timeout;

/// The longest wait at SHUTDOWN for records that say more about a fault than SHUTDOWN itself. Lambda buffers records
/// for 25 ms.
const LATE_RECORDS: Duration = Duration::from_millis(50);

/// The handle of this module. Gateway, lifecycle and telemetry report to it what they see.
#[derive(Clone, Debug)]
pub struct Insights {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    environment: Mutex<Environment>,
    outbox: Outbox,
    key: PublicKey,
    project: ProjectId,
    upstream: Arc<Upstream>,
    /// Wakes a task that waits for more evidence.
    changed: Notify,
    /// Wakes the task that samples memory, because an invocation has begun.
    begun: Notify,
    /// How many processes the kernel had killed because of their memory when the first invocation began. If it is set,
    /// the task that samples memory was started.
    oom_kills: OnceLock<Option<u64>>,
    memory_size: u64,
}

impl Insights {
    /// Returns `None` if nothing is to be reported, or if no setting names the project to report to. Nothing is started
    /// before the first invocation.
    pub fn start(config: &Arc<Config>, relay: &Relay) -> Option<Self> {
        if config.faults.is_empty() {
            return None;
        }
        let (dsn, upstream) = (config.dsn.as_ref()?, config.upstream.as_ref()?);
        let (key, project) = (dsn.key.clone()?, dsn.project?);
        let memory_size = u64::try_from(config.memory).unwrap_or(u64::MAX);
        let outbox = Outbox::new(relay.clone());
        outbox.use_spool(config);
        let shared = Shared {
            environment: Mutex::new(Environment::new(config.faults, config.managed_instances, memory_size)),
            outbox,
            key,
            project,
            upstream: Arc::clone(upstream),
            changed: Notify::new(),
            begun: Notify::new(),
            oom_kills: OnceLock::new(),
            memory_size,
        };
        Some(Self { shared: Arc::new(shared) })
    }

    /// Returns the function that takes in telemetry.
    pub(crate) fn observer(&self) -> Observer {
        let shared = Arc::clone(&self.shared);
        Arc::new(move |records| {
            shared.tell_of(|environment, now| environment.heard(records, now));
            shared.changed.notify_waiters();
        })
    }

    /// Records that an invocation has begun.
    pub(crate) fn invoked(&self, invoked: Invoked) {
        self.shared.tell_of(|environment, now| environment.invoked(invoked, now));
        self.shared.oom_kills.get_or_init(|| {
            let shared = Arc::clone(&self.shared);
            task::supervise("memory", move || memory::watch(Arc::clone(&shared)));
            memory::oom_kills()
        });
        self.shared.begun.notify_one();
    }

    /// Records that an envelope has passed. It is kept for a while, and read only if there is a fault.
    pub(crate) fn envelope_passed(&self, envelope: &Envelope) {
        if !PassedEnvelope::is_of_use(envelope) {
            return;
        }
        self.shared.environment().passed(envelope);
    }

    /// Records that the environment ends. When this returns, its fault is in the queue, if there was one.
    pub(crate) async fn shutting_down(&self, reason: &str, has_telemetry: bool) {
        let shared = &self.shared;
        let reason = ShutdownReason::read(reason);
        if reason == ShutdownReason::Failure && shared.was_oom_killed() {
            shared.environment().oom_killed();
        }
        shared.tell_of(|environment, now| environment.shutting_down(reason, now));
        if has_telemetry {
            let _ = timeout(LATE_RECORDS, shared.until_closed()).await;
        }
        shared.tell_of(Environment::closed);
    }
}

impl Shared {
    fn environment(&self) -> MutexGuard<'_, Environment> {
        // A poisoned lock is safe to use: no section can panic while the data is half changed.
        self.environment.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn until_closed(&self) {
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            // From here on no notification is missed, so the condition is checked after this and not before.
            changed.as_mut().enable();
            if !self.environment().is_open() {
                return;
            }
            changed.await;
        }
    }

    /// Whether the kernel has killed a process because of its memory since the first invocation began.
    fn was_oom_killed(&self) -> bool {
        let before = self.oom_kills.get().copied().flatten();
        before.zip(memory::oom_kills()).is_some_and(|(before, now)| now > before)
    }

    /// Changes what is known, and reports the faults that follow from it.
    fn tell_of(&self, change: impl FnOnce(&mut Environment, SystemTime) -> Vec<Fault>) {
        let faults = change(&mut self.environment(), SystemTime::now());
        for fault in faults {
            // This is read here and not at the start, because most environments never need it.
            let function = Function::read(variable);
            let event_id = EventId::random();
            let event = event::event(&fault, &function, self.memory_size, &event_id).to_string();
            let request = fault.invocation().map(|one| one.request.to_string()).unwrap_or_default();
            log::info(
                "fault",
                &[
                    ("kind", &fault.verdict.kind.name()),
                    ("request", &request),
                    ("event_id", &event_id),
                    ("evidence", &fault.verdict.evidence),
                ],
            );
            let (upstream, key) = (Arc::clone(&self.upstream), self.key.clone());
            let envelope = FaultEnvelope::new(upstream, key, self.project, event_id, event.as_bytes());
            self.outbox.submit(envelope);
        }
    }
}
