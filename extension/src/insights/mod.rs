//! What the extension itself tells Sentry: faults that end the function's process, and with it every SDK in it, and
//! what the function logs.
//!
//! `environment`, `invocation` and `init` hold what is known about the environment. `classify` decides what has
//! happened, `event` writes it for Sentry, `outbox`, `spool_keeper` and `spool` deliver it, and `memory` measures how
//! much memory the function uses. `telemetry_observer` takes in telemetry. Of the function's own lines,
//! `function_records` knows the invocation, `lines` reads them, `logs` writes them for Sentry, and `errors` finds the
//! errors among them. What all events have in common is in `surroundings`. `spans` draws what no SDK can see, `metrics`
//! measures it, `monitor` has the check-ins, and `reporting` sends all three. Only this file, `telemetry_observer`,
//! `memory`, `outbox`, `reporting` and `spool` do I/O.

mod classify;
mod environment;
mod errors;
mod event;
mod fault;
mod function_records;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;
mod init;
mod invocation;
mod json;
mod lines;
mod logs;
mod memory;
mod metrics;
mod monitor;
mod outbox;
mod passed;
mod rate;
mod reporting;
mod spans;
mod spool;
mod spool_keeper;
mod surroundings;
mod telemetry_observer;
mod xray;

pub(crate) use environment::Invoked;
pub use outbox::{FaultEnvelope, Outbox};

use crate::config::{Config, Function, ProjectId, PublicKey, SpanMode, Upstream, variable};
use crate::protocol::{EventId, masked};
use crate::relay::{Envelope, Relay};
use crate::telemetry::Observer;
use crate::{log, task};
use classify::ShutdownReason;
use environment::Environment;
use fault::Fault;
use function_records::FunctionRecords;
use metrics::{MetricContext, Metrics};
use monitor::Monitor;
use passed::PassedEnvelope;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
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
    /// What the function writes, where that is wanted. If both are locked, `environment` is locked first.
    function_records: Option<Mutex<FunctionRecords>>,
    relay: Relay,
    outbox: Outbox,
    config: Arc<Config>,
    has_begun: AtomicBool,
    key: PublicKey,
    project: ProjectId,
    upstream: Arc<Upstream>,
    /// Wakes a task that waits for more evidence.
    changed: Notify,
    /// Wakes the task that samples memory, because an invocation has begun.
    begun: Notify,
    /// How many processes the kernel had killed because of their memory before the invocation that runs: a kill that
    /// the environment has survived was that of another process than the runtime's. If it is set, the task that samples
    /// memory was started.
    oom_kills: OnceLock<Option<AtomicU64>>,
    memory_size: u64,
    /// Whether faults are reported, for which memory is watched.
    reports_faults: bool,
    /// Whether uncaught errors are reported. Otherwise they only make check-ins fail.
    reports_errors: bool,
    spans: SpanMode,
    /// Whether there are metrics or check-ins.
    has_measurements: bool,
}

impl Insights {
    /// Returns `None` if nothing is to be reported, or if no setting names the project to report to. Nothing is started
    /// before the first invocation.
    pub fn start(config: &Arc<Config>, relay: &Relay) -> Option<Self> {
        let reports_faults = !config.faults.is_empty();
        let wanted = &config.insights;
        let (spans, has_measurements) = (wanted.spans, wanted.metrics || wanted.monitor.is_some());
        let has_lines = wanted.need_function_records();
        if !reports_faults && !has_lines && !has_measurements && spans == SpanMode::Off {
            return None;
        }
        let dsn = config.dsn.as_ref()?;
        // The project belongs to the host of its own DSN. Another setting may name another host for the rest.
        let configured = config.upstream.as_ref().filter(|_| config.upstream_takes_all);
        let upstream = configured.cloned().unwrap_or_else(|| Arc::new(dsn.upstream.clone()));
        let (key, project) = (dsn.key.clone()?, dsn.project?);
        let memory_size = u64::try_from(config.memory).unwrap_or(u64::MAX);
        let shared = Shared {
            environment: Mutex::new(
                Environment::new(config.faults, spans, config.managed_instances, memory_size)
                    .provisioned(config.provisioned)
                    .with(metrics(config), monitor(config)),
            ),
            function_records: function_records(config),
            relay: relay.clone(),
            outbox: Outbox::new(relay.clone()),
            config: Arc::clone(config),
            has_begun: AtomicBool::new(false),
            key,
            project,
            upstream,
            changed: Notify::new(),
            begun: Notify::new(),
            oom_kills: OnceLock::new(),
            memory_size,
            reports_faults,
            reports_errors: wanted.errors,
            spans,
            has_measurements,
        };
        Some(Self { shared: Arc::new(shared) })
    }

    /// Records that Lambda does not wait for the extension any more, so that work does not add to the cold start. No
    /// file is read before that. Only the first call counts.
    pub(crate) fn begin(&self) {
        if self.shared.reports_faults && !self.shared.has_begun.swap(true, Ordering::Relaxed) {
            self.shared.outbox.use_spool(&self.shared.config);
        }
    }

    /// Returns what takes in telemetry.
    pub(crate) fn observer(&self) -> Arc<dyn Observer> {
        Arc::new(telemetry_observer::TelemetryObserver(Arc::clone(&self.shared)))
    }

    /// Records that an invocation has begun.
    pub(crate) fn invoked(&self, invoked: Invoked) {
        let was_watched = self.shared.environment().was_watched();
        self.shared.update(|environment, now| environment.invoked(invoked, now));
        if !self.shared.reports_faults {
            return;
        }
        let oom_kills = self.shared.oom_kills.get_or_init(|| {
            let shared = Arc::clone(&self.shared);
            task::supervise("memory", move || memory::watch(Arc::clone(&shared)));
            memory::oom_kills().map(AtomicU64::new)
        });
        // To count again takes longer than all else that is done here, so that is left out after a short invocation.
        if was_watched && let Some((before, now)) = oom_kills.as_ref().zip(memory::oom_kills()) {
            before.store(now, Ordering::Relaxed);
        }
        self.shared.begun.notify_one();
    }

    /// Records that an envelope has passed. It is kept for a while, and read only where it matters what it says.
    pub(crate) fn envelope_passed(&self, envelope: &Envelope) {
        if let Some(use_of) = PassedEnvelope::use_of(envelope, self.shared.spans) {
            self.shared.environment().passed(envelope, use_of);
        }
    }

    /// Records that an SDK of OpenTelemetry traces the function, so that no invocation needs another trace.
    pub(crate) fn sdk_traces(&self) {
        self.shared.environment().sdk_traces();
    }

    /// Records that the environment ends. When this returns, its fault is in the queue, if there was one.
    pub(crate) async fn shutting_down(&self, reason: &str, has_telemetry: bool) {
        let shared = &self.shared;
        let reason = ShutdownReason::read(reason);
        if reason == ShutdownReason::Failure && shared.was_oom_killed() {
            shared.environment().oom_killed();
        }
        shared.update(|environment, now| environment.shutting_down(reason, now));
        if let Some(mut function) = shared.function_records() {
            function.ending();
        }
        if has_telemetry {
            let _ = timeout(LATE_RECORDS, shared.until_closed()).await;
        }
        shared.send_errors();
        shared.update(Environment::closed);
        shared.send_logs();
    }

    /// The relay takes nothing any more. What has come too late is counted as lost.
    pub(crate) fn ended(&self) {
        self.shared.send_logs();
        self.shared.log_function_records();
    }
}

fn metrics(config: &Config) -> Option<Metrics> {
    let context = || MetricContext {
        function: Function::read(variable),
        is_arm: cfg!(target_arch = "aarch64"),
        trace_id: EventId::random().to_string(),
    };
    config.insights.metrics.then(|| Metrics::new(context()))
}

fn monitor(config: &Config) -> Option<Monitor> {
    let settings = config.insights.monitor.clone()?;
    let function = Function::read(variable);
    let release = function.release.clone().or_else(|| function.published());
    Some(Monitor { settings, environment: function.environment, release })
}

/// Prepares for what the function writes. Reads the function's names here, because every line needs them.
fn function_records(config: &Config) -> Option<Mutex<FunctionRecords>> {
    if !config.insights.need_function_records() {
        return None;
    }
    let function = Function::read(variable);
    let trace_id = EventId::random().to_string();
    FunctionRecords::new(&config.insights, &function, config.managed_instances, trace_id).map(Mutex::new)
}

impl Shared {
    fn environment(&self) -> MutexGuard<'_, Environment> {
        // A poisoned lock is safe to use: no section can panic while the data is half changed.
        self.environment.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until nothing that is on its way says more about the end of the environment.
    async fn until_closed(&self) {
        let has_lines = self.function_records.is_some();
        let is_settled =
            |environment: &Environment| !environment.is_open() && !environment.awaits_report(has_lines);
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            // From here on no notification is missed, so the condition is checked after this and not before.
            changed.as_mut().enable();
            if is_settled(&self.environment()) {
                return;
            }
            changed.await;
        }
    }

    /// Whether the kernel has killed a process because of its memory since the kills were counted.
    fn was_oom_killed(&self) -> bool {
        let before =
            self.oom_kills.get().and_then(Option::as_ref).map(|before| before.load(Ordering::Relaxed));
        before.zip(memory::oom_kills()).is_some_and(|(before, now)| now > before)
    }

    /// Changes what is known, and reports the faults that follow from it.
    fn update(&self, change: impl FnOnce(&mut Environment, SystemTime) -> Vec<Fault>) {
        let mut environment = self.environment();
        let faults = change(&mut environment, SystemTime::now());
        let left_out = environment.take_left_out();
        drop(environment);
        for fault in faults {
            // This is read here and not at the start, because most environments never need it.
            let function = Function::read(variable);
            let event_id = EventId::random();
            let mut event = event::event(&fault, &function, self.memory_size, &event_id);
            self.add_breadcrumbs(&mut event, fault.invocation().map(|one| &one.request));
            let event = event.to_string();
            let request = fault.invocation().map(|one| one.request.to_string()).unwrap_or_default();
            log::info(
                "fault",
                &[
                    ("kind", &fault.verdict.kind.name()),
                    ("request", &request),
                    ("event_id", &event_id),
                    ("evidence", &masked(&fault.verdict.evidence)),
                ],
            );
            let (upstream, key) = (Arc::clone(&self.upstream), self.key.clone());
            let envelope = FaultEnvelope::new(upstream, key, self.project, event_id, event.as_bytes());
            self.outbox.submit(envelope);
        }
        if left_out > 0 {
            log::warn("faults are left out: there were more than ten in a minute", &[("faults", &left_out)]);
        }
        if self.spans != SpanMode::Off {
            self.send_spans();
        }
        if self.has_measurements {
            self.send_measurements(SystemTime::now());
        }
    }
}
