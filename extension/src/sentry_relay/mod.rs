//! Runs Sentry's Relay as a supervised child process that filters envelopes before they are queued for upstream.
//!
//! `custody` gives it each envelope, and its upstream is the `door`, which queues what comes back. So nothing waits for
//! Sentry in Sentry's Relay: the queue, retries, rate limits and counts are those of the built-in relay. An envelope
//! stays with us until it has come back, so nothing is lost with the process.
//!
//! A failure of it must not disturb the function. It is started again after a pause, and after several failures in a
//! row the built-in relay sends envelopes as they are, unless the settings forbid that.

mod child;
mod command;
mod config_probe;
mod custody;
mod door;
mod drop_reasons;
mod failure;
mod health;
mod log_pipe;

pub use child::become_sentry_relay;

use crate::config::{self, Config, RelayMode, Upstream};
use crate::log::{self, Level};
use crate::relay::Relay;
use crate::relay::core::Core;
use crate::relay::filter_control::Stage;
use crate::task;
use child::Child;
use command::{BINARY, CONFIG, Ports, SentryRelayCommand};
use door::Door;
use failure::RelayFailure;
use std::io;
use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use tokio::time::Instant;

/// After this number of failures in a row, the built-in relay takes over.
const MAX_FAILURES: u32 = 5;
const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// After Sentry's Relay has been ready for this time, its earlier failures do not count any more.
const STABLE_TIME: Duration = Duration::from_mins(1);
/// How long to wait, after a connection broke, for the news that the process has ended.
const END_NOTICE: Duration = Duration::from_millis(100);
/// The memory limit of Sentry's Relay in a small function, in bytes. It uses 57 MB when idle. If it used more than this
/// limit, a small function would not have enough for its own work.
const MIN_MEMORY_LIMIT: usize = 96 << 20;

/// Whether envelopes should go through Sentry's Relay. It reads the settings and checks only whether the program
/// exists.
pub fn is_wanted(config: &Config) -> bool {
    // Nothing may be sent without Sentry's Relay, so a missing program is handled like a failed start.
    if config.relay == RelayMode::Only {
        return true;
    }
    let present = config.relay != RelayMode::Builtin && Path::new(BINARY).exists();
    if config.relay == RelayMode::Process && !present {
        log::warn(
            "the layer does not hold Sentry's Relay: the built-in relay takes over",
            &[("file", &BINARY)],
        );
    }
    present
}

/// Starts the task that runs Sentry's Relay. The process itself starts with the first invocation or envelope.
pub fn supervise(relay: &Relay, config: &Config) {
    // It lives as long as the process, because the connections to its door outlive its task.
    let supervisor: &'static Supervisor = Box::leak(Box::new(Supervisor::new(relay, config)));
    task::supervise("sentry_relay", move || supervisor.run());
}

/// The supervisor's state. It is kept if the supervising task panics and is started again.
struct Supervisor {
    core: Arc<Core>,
    config: Config,
    door: Door,
    /// The failures in a row. The current life counts as a failure until it has lasted for `STABLE_TIME`.
    failures: AtomicU32,
}

impl Supervisor {
    fn new(relay: &Relay, config: &Config) -> Self {
        let core = relay.core();
        Self {
            core: Arc::clone(core),
            config: config.clone(),
            failures: AtomicU32::new(0),
            door: Door::new(core, config),
        }
    }

    async fn run(&'static self) {
        self.core.filter().wait_for_stage(|stage| *stage != Stage::Waiting).await;
        match door::open() {
            Ok((listener, port)) => tokio::select! {
                () = self.door.serve(listener) => {}
                () = self.run_until_end(port) => {}
            },
            Err(error) => {
                self.warn(&RelayFailure::Start(error));
                self.core.stop_filtering();
            }
        }
    }

    /// Runs Sentry's Relay again and again, until SHUTDOWN or until it has failed for good.
    async fn run_until_end(&self, door: u16) {
        let control = self.core.filter();
        loop {
            let failures = self.begin_life();
            if failures > 0 {
                let pause = FIRST_PAUSE.saturating_mul(1 << failures.min(8));
                let ending = control.wait_for_stage(|stage| *stage != Stage::Begun);
                let _ = tokio::time::timeout(pause, ending).await;
            }
            if control.stage() != Stage::Begun {
                break;
            }
            let Some(failure) = self.run_once(door).await else {
                // This is SHUTDOWN, and everything that could be delivered is.
                return self.core.sentry_relay_ended();
            };
            let (waiting, dropped) = self.core.filter_has_failed();
            let failures = self.failures.load(Ordering::Relaxed);
            let is_last = failure.is_final() || control.stage() != Stage::Begun;
            if is_last || failures == MAX_FAILURES {
                self.warn(&failure);
            }
            if is_last || failures >= MAX_FAILURES && !control.is_required() {
                break;
            }
            let level = if dropped > 0 { Level::Warn } else { Level::Info };
            let fields: [log::Field<'_>; 3] =
                [("why", &failure), ("envelopes", &waiting), ("dropped", &dropped)];
            log::write(level, "Sentry's Relay has failed and is started again", &fields);
        }
        self.core.stop_filtering();
    }

    /// Counts a new life of Sentry's Relay as a failure until it has lasted. Returns the failures in a row before it.
    fn begin_life(&self) -> u32 {
        let failures = self.failures.fetch_add(1, Ordering::Relaxed);
        if failures > 0 {
            // If this task panicked in the life before, nobody has yet taken back what that one was given.
            self.core.filter_has_failed();
        }
        failures
    }

    fn warn(&self, failure: &RelayFailure) {
        let failures = self.failures.load(Ordering::Relaxed);
        let is_required = self.core.filter().is_required();
        let instead = if is_required { "nothing is sent past it" } else { "the built-in relay takes over" };
        let fields: [log::Field<'_>; 2] = [("why", failure), ("failures", &failures)];
        log::warn(&format!("Sentry's Relay has failed: {instead}"), &fields);
    }

    /// Runs Sentry's Relay once. Returns why it failed, or `None` if it was ended for SHUTDOWN.
    async fn run_once(&self, door: u16) -> Option<RelayFailure> {
        let (mut child, sentry_relay) = match self.start(door) {
            Ok(started) => started,
            Err(failure) => return Some(failure),
        };
        let control = self.core.filter();
        let process = child.id();
        let memory_limit = MIN_MEMORY_LIMIT.max(self.config.memory / 2);
        let failure = tokio::select! {
            failure = self.serve(&sentry_relay) => failure,
            status = child.ended() => return Some(RelayFailure::of(status)),
            used = health::wait_until_over_memory(process, memory_limit) => RelayFailure::Memory(used),
            () = control.wait_for_stage(|stage| *stage != Stage::Begun) => {
                if let Stage::Ending(deadline) = control.stage() {
                    child.end(deadline).await;
                    return None;
                }
                RelayFailure::TooLate
            }
        };
        // A connection that breaks may be the first sign of a process that ends, and how it ended says more.
        if matches!(failure, RelayFailure::Hangs) {
            tokio::select! {
                status = child.ended() => return Some(RelayFailure::of(status)),
                () = tokio::time::sleep(END_NOTICE) => {}
                () = control.wait_for_stage(|stage| *stage != Stage::Begun) => {}
            }
        }
        child.kill().await;
        Some(failure)
    }

    /// Gives envelopes to Sentry's Relay once it is ready, and returns once it has failed.
    async fn serve(&self, sentry_relay: &Arc<Upstream>) -> RelayFailure {
        let begun = Instant::now();
        if !health::wait_until_ready(&self.core, sentry_relay).await {
            return RelayFailure::NeverReady;
        }
        log::debug("Sentry's Relay is ready", &[("ms", &begun.elapsed().as_millis())]);
        self.core.filter_is_ready();
        tokio::select! {
            () = health::wait_until_unresponsive(&self.core, sentry_relay) => RelayFailure::Hangs,
            failure = custody::give(&self.core, sentry_relay) => failure,
            () = self.forgive_failures() => RelayFailure::Hangs,
        }
    }

    /// Forgets earlier failures once this life has lasted for `STABLE_TIME`. It never returns.
    async fn forgive_failures(&self) {
        tokio::time::sleep(STABLE_TIME).await;
        self.failures.store(1, Ordering::Relaxed);
        std::future::pending::<()>().await;
    }

    fn start(&self, door: u16) -> Result<(Child, Arc<Upstream>), RelayFailure> {
        let own = free_port().map_err(RelayFailure::Start)?;
        let layer_config = Some(Path::new(CONFIG)).filter(|file| file.exists());
        let file = self.config.sentry_relay_config.as_deref().or(layer_config);
        // If it cannot be read, Sentry's Relay itself reports the error.
        let text = file.and_then(|file| std::fs::read_to_string(command::config_file(file)).ok());
        let own_mode = text.as_deref().and_then(|text| config_probe::value(text, "mode"));
        let ports = Ports { own, door };
        let has_upstream = self.config.upstream.is_some();
        let command = SentryRelayCommand::new(has_upstream, file, own_mode, ports, config::variable)
            .map_err(RelayFailure::CommandError)?;
        let sentry_relay = Upstream::parse(&format!("http://127.0.0.1:{own}"));
        let sentry_relay = sentry_relay.map_err(|why| RelayFailure::Start(io::Error::other(why)))?;
        Ok((Child::start(&command).map_err(RelayFailure::Start)?, Arc::new(sentry_relay)))
    }
}

/// Returns a port that no process uses. Each start of Sentry's Relay takes another, because it would share a port that
/// is in use, and then get only some of the requests.
fn free_port() -> io::Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Overrides;

    #[tokio::test]
    async fn what_was_given_before_a_panic_is_given_again() {
        let (config, _) = Config::read(|_| None, Overrides::default());
        let relay = Relay::start_behind_sentry_relay(&config);
        let (core, supervisor) = (relay.core(), Supervisor::new(&relay, &config));
        assert_eq!(supervisor.begin_life(), 0);
        core.filter_is_ready();
        relay.accept_sample();
        let (number, _) = core.take_unfiltered().unwrap();
        // The task panics here, and is started again.
        assert_eq!(supervisor.begin_life(), 1);
        assert!(!core.is_in_custody(number));
        core.filter_is_ready();
        assert_eq!(core.take_unfiltered().unwrap().0, number);
    }
}
