//! Runs Sentry's Relay as a supervised child process between the queue and upstream, from the first `/next` to
//! SHUTDOWN.
//!
//! A failure of it must not disturb the function. It is started again after a pause, and after several failures in a
//! row the built-in relay takes over.

mod child;
mod command;
mod config_probe;
mod failure;
mod flush_barrier;
mod health;
mod log_pipe;

pub use child::become_sentry_relay;

use crate::config::{self, Config, RelayMode, Upstream};
use crate::relay::Relay;
use crate::relay::core::Core;
use crate::relay::route::{DeliveryRoute, Stage};
use crate::{log, task};
use child::Child;
use command::{BINARY, CONFIG, SentryRelayCommand};
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

/// Starts the task that runs Sentry's Relay. The process itself starts only once the relay's `begin` is called.
pub fn supervise(relay: &Relay, config: &Config) {
    let supervisor = Arc::new(Supervisor {
        core: Arc::clone(relay.core()),
        config: config.clone(),
        lives: AtomicU32::new(0),
        failures: AtomicU32::new(0),
    });
    task::supervise("sentry_relay", move || Arc::clone(&supervisor).run());
}

/// The supervisor's state. It is kept if the supervising task panics and is started again.
struct Supervisor {
    core: Arc<Core>,
    config: Config,
    /// The number of times that Sentry's Relay became ready.
    lives: AtomicU32,
    /// The failures in a row. The current life counts as a failure until it has lasted for `STABLE_TIME`.
    failures: AtomicU32,
}

impl Supervisor {
    async fn run(self: Arc<Self>) {
        let routing = self.core.routing();
        routing.wait_for_stage(|stage| *stage != Stage::Waiting).await;
        self.check_own_config();
        loop {
            let failures = self.failures.fetch_add(1, Ordering::Relaxed);
            if failures > 0 {
                self.core.enter_route(DeliveryRoute::Held { troubled: true });
                let pause = FIRST_PAUSE.saturating_mul(1 << failures.min(8));
                let ending = routing.wait_for_stage(|stage| *stage != Stage::Begun);
                let _ = tokio::time::timeout(pause, ending).await;
            }
            if routing.stage() != Stage::Begun {
                break;
            }
            let failure = self.run_once().await;
            let Some(failure) = failure else {
                // This is SHUTDOWN. The route does not change, because nothing is sent any more.
                return self.core.sentry_relay_ended();
            };
            let lost = self.core.abandon_unconfirmed();
            let draining = self.core.is_draining();
            let failures = self.failures.load(Ordering::Relaxed);
            let only = routing.is_only_sentry_relay();
            let is_last = draining || failure.is_final();
            if is_last || failures == MAX_FAILURES {
                let fields: [log::Field<'_>; 3] =
                    [("why", &failure), ("failures", &failures), ("lost", &lost)];
                let instead = if only { "nothing is sent past it" } else { "the built-in relay takes over" };
                log::warn(&format!("Sentry's Relay has failed: {instead}"), &fields);
            }
            if is_last || failures >= MAX_FAILURES && !only {
                break;
            }
            log::info(
                "Sentry's Relay has failed and is started again",
                &[("why", &failure), ("lost", &lost)],
            );
        }
        self.core.enter_route(DeliveryRoute::Direct);
        self.core.sentry_relay_ended();
    }

    /// Runs Sentry's Relay once. Returns why it failed, or `None` if it was ended for SHUTDOWN.
    async fn run_once(&self) -> Option<RelayFailure> {
        let (mut child, sentry_relay) = match self.start() {
            Ok(started) => started,
            Err(failure) => return Some(failure),
        };
        let core = &*self.core;
        let process = child.id();
        let memory_limit = MIN_MEMORY_LIMIT.max(self.config.memory / 2);
        let end = tokio::select! {
            failure = self.serve(&sentry_relay) => Err(failure),
            status = child.ended() => return Some(RelayFailure::of(status)),
            used = health::wait_until_over_memory(process, memory_limit) => Err(RelayFailure::Memory(used)),
            () = core.routing().wait_for_stage(|stage| matches!(stage, Stage::Ending(_))) => {
                match core.routing().stage() {
                    Stage::Ending(deadline) => Ok(deadline),
                    _ => Ok(Instant::now()),
                }
            }
        };
        match end {
            Ok(deadline) => {
                child.end(deadline).await;
                None
            }
            Err(failure) => {
                child.kill().await;
                Some(failure)
            }
        }
    }

    /// Sends envelopes through Sentry's Relay once it is ready, and returns once it has failed.
    async fn serve(&self, sentry_relay: &Arc<Upstream>) -> RelayFailure {
        let begun = Instant::now();
        if !health::wait_until_ready(&self.core, sentry_relay).await {
            return RelayFailure::NeverReady;
        }
        log::debug("Sentry's Relay is ready", &[("ms", &begun.elapsed().as_millis())]);
        let life = self.lives.fetch_add(1, Ordering::Relaxed).wrapping_add(1);
        self.core.enter_sentry_relay(Arc::clone(sentry_relay), life);
        tokio::select! {
            () = health::wait_until_unresponsive(&self.core, sentry_relay) => {}
            () = flush_barrier::send_when_due(&self.core, sentry_relay) => {}
            () = self.forgive_failures() => {}
        }
        RelayFailure::Hangs
    }

    /// Forgets earlier failures once this life has lasted for `STABLE_TIME`. It never returns.
    async fn forgive_failures(&self) {
        tokio::time::sleep(STABLE_TIME).await;
        self.failures.store(1, Ordering::Relaxed);
        std::future::pending::<()>().await;
    }

    fn start(&self) -> Result<(Child, Arc<Upstream>), RelayFailure> {
        let port = free_port().map_err(RelayFailure::Start)?;
        let layer_config = Some(Path::new(CONFIG)).filter(|file| file.exists());
        let file = self.config.sentry_relay_config.as_deref().or(layer_config);
        let own_mode = self.own_config().is_some_and(|text| config_probe::value(&text, "mode").is_some());
        let command = SentryRelayCommand::new(&self.config, file, own_mode, port, config::variable)
            .map_err(RelayFailure::CommandError)?;
        let sentry_relay = Upstream::parse(&format!("http://127.0.0.1:{port}"));
        let sentry_relay = sentry_relay.map_err(|why| RelayFailure::Start(io::Error::other(why)))?;
        Ok((Child::start(&command).map_err(RelayFailure::Start)?, Arc::new(sentry_relay)))
    }

    /// Returns the text of the user's own configuration. If it cannot be read, Sentry's Relay itself reports the error.
    fn own_config(&self) -> Option<String> {
        std::fs::read_to_string(command::config_file(self.config.sentry_relay_config.as_deref()?)).ok()
    }

    /// Warns if the user's configuration allows several requests at a time. A flush barrier then proves nothing.
    fn check_own_config(&self) {
        let Some(text) = self.own_config() else { return };
        if config_probe::value(&text, "max_concurrent_requests") != Some("1") {
            log::warn(
                "SENTRY_EXTENSION_RELAY_CONFIG has no `max_concurrent_requests: 1`: \
                 what Sentry's Relay has not delivered yet may count as delivered",
                &[],
            );
        }
    }
}

/// Returns a port that no process uses. Each start of Sentry's Relay takes another, because it would share a port that
/// is in use, and then get only some of the requests.
fn free_port() -> io::Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}
