//! Sentry's own Relay as a supervised child: between the queue and upstream, from the first `/next` to SHUTDOWN.
//!
//! Whatever it does, the function does not notice: it is restarted after a pause, and after some failures in a row the
//! built-in relay takes over.

pub mod child;
mod command;
mod config_probe;
mod failure;
pub(crate) mod flush_barrier;
mod health;
mod log_pipe;

pub(crate) use flush_barrier::Waiting;

use crate::config::{Config, RelayMode, Upstream};
use crate::relay::Shared;
use crate::relay::route::DeliveryRoute;
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

/// In a row; then the built-in relay takes over.
const FAILURES: u32 = 5;
const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// A Relay that was ready for so long starts a new row.
const STABLE: Duration = Duration::from_mins(1);
/// It takes 57 MB idle; more than this, and no small function has room for it and for its own work.
const LEAST_MEMORY: usize = 96 << 20;

/// How far Relay is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SentryRelayStage {
    /// For the first `/next`.
    Waiting,
    /// It is being run.
    Begun,
    /// It has to have ended by then.
    Ending(Instant),
    /// It is not run any more, or never was.
    Ended,
}

/// Whether Relay is to do the work, as far as a look at one file can tell.
pub(crate) fn is_wanted(config: &Config) -> bool {
    // Without a way past it, a Relay that is missing is one that fails.
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

/// Runs Relay from `SentryRelayStage::Begun` on.
pub(crate) fn supervise(shared: &Arc<Shared>, config: &Config) {
    let supervisor = Arc::new(Supervisor {
        shared: Arc::clone(shared),
        config: config.clone(),
        lives: AtomicU32::new(0),
        failures: AtomicU32::new(0),
    });
    task::supervise("relay", move || Arc::clone(&supervisor).run());
}

/// What outlives a panic of the supervision.
struct Supervisor {
    shared: Arc<Shared>,
    config: Config,
    /// So far.
    lives: AtomicU32,
    /// In a row, the present life counted as one until it has proved itself.
    failures: AtomicU32,
}

impl Supervisor {
    async fn run(self: Arc<Self>) {
        let mut stage = self.shared.stage.subscribe();
        // The sender ends with the process.
        let _ = stage.wait_for(|stage| *stage != SentryRelayStage::Waiting).await;
        self.look_at_settings();
        loop {
            let failures = self.failures.fetch_add(1, Ordering::Relaxed);
            if failures > 0 {
                self.enter(DeliveryRoute::Held { troubled: true });
                let pause = FIRST_PAUSE.saturating_mul(1 << failures.min(8));
                let ending = stage.wait_for(|stage| *stage != SentryRelayStage::Begun);
                let _ = tokio::time::timeout(pause, ending).await;
            }
            if *stage.borrow() != SentryRelayStage::Begun {
                break;
            }
            let failure = self.live().await;
            let Some(failure) = failure else {
                // SHUTDOWN: what is left by now goes nowhere.
                return self.over();
            };
            let lost = self.shared.state().abandon_unconfirmed();
            let draining = self.shared.state().draining();
            let failures = self.failures.load(Ordering::Relaxed);
            let only = self.shared.only_sentry_relay;
            let over = draining || failure.is_final();
            if over || failures == FAILURES {
                let fields: [log::Field<'_>; 3] =
                    [("why", &failure), ("failures", &failures), ("lost", &lost)];
                let instead = if only { "nothing is sent past it" } else { "the built-in relay takes over" };
                log::warn(&format!("Sentry's Relay has failed: {instead}"), &fields);
            }
            if over || failures >= FAILURES && !only {
                break;
            }
            log::info(
                "Sentry's Relay has failed and is started again",
                &[("why", &failure), ("lost", &lost)],
            );
        }
        self.enter(DeliveryRoute::Direct);
        self.over();
    }

    /// Relay is not run any more.
    fn over(&self) {
        self.shared.stage.send_replace(SentryRelayStage::Ended);
        self.shared.changed.notify_waiters();
    }

    /// One life of Relay; `None`: it was ended.
    async fn live(&self) -> Option<RelayFailure> {
        let (mut child, relay) = match self.start() {
            Ok(started) => started,
            Err(failure) => return Some(failure),
        };
        let begun = Instant::now();
        let shared = &*self.shared;
        let process = child.id();
        let most = LEAST_MEMORY.max(self.config.memory / 2);
        let mut stage = shared.stage.subscribe();
        let serving = async {
            if !health::ready(shared, &relay).await {
                return RelayFailure::NeverReady;
            }
            log::debug("Sentry's Relay is ready", &[("ms", &begun.elapsed().as_millis())]);
            let life = self.lives.fetch_add(1, Ordering::Relaxed).wrapping_add(1);
            shared.state().unconfirmed.begin(life);
            self.enter(DeliveryRoute::SentryRelay { upstream: Arc::clone(&relay), life });
            let proving = async {
                tokio::time::sleep(STABLE).await;
                self.failures.store(1, Ordering::Relaxed);
                std::future::pending::<()>().await;
            };
            tokio::select! {
                () = health::lost(shared, &relay) => {}
                () = flush_barrier::keep(shared, &relay) => {}
                () = proving => {}
            }
            RelayFailure::Hangs
        };
        let outcome = tokio::select! {
            failure = serving => Err(failure),
            status = child.ended() => return Some(RelayFailure::of(status)),
            taken = health::over_memory(process, most) => Err(RelayFailure::Memory(taken)),
            ending = stage.wait_for(|stage| matches!(stage, SentryRelayStage::Ending(_))) => match ending.as_deref() {
                Ok(SentryRelayStage::Ending(by)) => Ok(*by),
                _ => Ok(Instant::now()),
            },
        };
        match outcome {
            Ok(by) => {
                child.end(by).await;
                None
            }
            Err(failure) => {
                child.kill().await;
                Some(failure)
            }
        }
    }

    fn start(&self) -> Result<(Child, Arc<Upstream>), RelayFailure> {
        let port = free_port().map_err(RelayFailure::Start)?;
        let layers = Some(Path::new(CONFIG)).filter(|file| file.exists());
        let file = self.config.relay_config.as_deref().or(layers);
        let var = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        let own_mode = self.own().is_some_and(|text| config_probe::value(&text, "mode").is_some());
        let plan = SentryRelayCommand::new(&self.config, file, own_mode, port, var)
            .map_err(RelayFailure::CommandError)?;
        let relay = Upstream::parse(&format!("http://127.0.0.1:{port}"));
        let relay = relay.map_err(|why| RelayFailure::Start(io::Error::other(why)))?;
        Ok((Child::start(&plan).map_err(RelayFailure::Start)?, Arc::new(relay)))
    }

    /// The configuration of the user's own. One that cannot be read is Relay's to complain about.
    fn own(&self) -> Option<String> {
        std::fs::read_to_string(command::file(self.config.relay_config.as_deref()?)).ok()
    }

    /// Warns of a configuration with which the extension cannot know when Relay has delivered.
    fn look_at_settings(&self) {
        let Some(text) = self.own() else { return };
        if config_probe::value(&text, "max_concurrent_requests") != Some("1") {
            log::warn(
                "SENTRY_EXTENSION_RELAY_CONFIG has no `max_concurrent_requests: 1`: what Sentry's Relay has not delivered yet may count as delivered",
                &[],
            );
        }
    }

    /// Sends envelopes another way from now on.
    fn enter(&self, route: DeliveryRoute) {
        self.shared.state().outages.clear();
        self.shared.route.send_replace(route);
        self.shared.wake.notify_one();
        self.shared.changed.notify_waiters();
    }
}

/// A port that nobody has. Relay would share one that somebody has, and get half of its requests; so each life
/// looks for another.
fn free_port() -> io::Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}
