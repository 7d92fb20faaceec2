//! From an accepted envelope to upstream: queue, delivery, and the books over both.

mod backoff;
pub(crate) mod client;
mod client_reports;
pub(crate) mod drain;
mod envelope;
mod ledger;
pub(crate) mod outages;
mod pump;
mod queue;
mod rate_limits;
pub(crate) mod route;
pub(crate) mod state;
pub(crate) mod unconfirmed;
mod verdict;

pub use envelope::Envelope;
pub use ledger::{DropReason, Ledger, Reasons};
pub use rate_limits::{RateLimitCheck, RateLimits};

use crate::config::{Config, RelayMode, Upstream};
use crate::sentry_relay::SentryRelayStage;
use crate::{log, sentry_relay, task};
use bytes::Bytes;
use client::{Client, SendError};
use hyper::{Request, Response};
use route::{DeliveryRoute, Destination};
use state::State;
use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};
use tokio::sync::{Notify, watch};
use tokio::time::Instant;

/// The relay's handle: gateway and lifecycle hold clones of it.
#[derive(Clone, Debug)]
pub struct Relay {
    shared: Arc<Shared>,
}

/// What became of an envelope at the door, and what the SDK should be told of upstream's rate limits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Acceptance {
    /// All of it was taken.
    Taken {
        /// `X-Sentry-Rate-RateLimits` that are in force for other categories.
        limits: Option<String>,
    },
    /// Some or all items were removed because upstream does not take their category now; the rest was taken.
    Limited {
        /// `X-Sentry-Rate-RateLimits`.
        limits: String,
        /// `Retry-After`, seconds.
        retry_after: u64,
    },
}

/// Upstream did not answer a forwarded request; without more to say, because Relay, which it has to go through, does not run.
#[derive(Debug)]
pub struct ForwardError(Option<SendError>);

impl ForwardError {
    /// Whether upstream may be well and only did not answer in time.
    pub fn is_late(&self) -> bool {
        matches!(self.0, Some(SendError::Timeout(_)))
    }
}

impl fmt::Display for ForwardError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Some(error) => error.fmt(f),
            None => f.write_str("Sentry's Relay does not run, and nothing goes past it"),
        }
    }
}

impl std::error::Error for ForwardError {}

/// What waits for delivery or is on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backlog {
    /// How many.
    pub envelopes: u64,
    /// When the one that waits longest was accepted, by the wall clock.
    pub oldest: Option<SystemTime>,
    /// Nothing can be delivered now: the last that was heard of each upstream that matters was a failure.
    pub outage: bool,
}

#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) state: Mutex<State>,
    pub(crate) client: Client,
    /// Something to do for the pump.
    pub(crate) wake: Notify,
    /// The fate of an envelope was decided, or upstream has failed.
    pub(crate) changed: Notify,
    /// Which way envelopes go.
    pub(crate) route: watch::Sender<DeliveryRoute>,
    /// How far Sentry's own Relay is in its life.
    pub(crate) stage: watch::Sender<SentryRelayStage>,
    /// Relay did not answer.
    pub(crate) doubt: Notify,
    /// How many wait for everything to be delivered.
    pub(crate) waiting: AtomicUsize,
    /// Nothing may be sent but by way of Sentry's own Relay.
    pub(crate) only_sentry_relay: bool,
}

impl Shared {
    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        // No section leaves the state half-changed where it could panic.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The way for an envelope now; `None`: it has to wait.
    pub(crate) fn destination(&self) -> Option<Destination> {
        // The one place that lets anything out.
        self.route
            .borrow()
            .destination()
            .filter(|destination| !self.only_sentry_relay || *destination != Destination::Direct)
    }

    /// Somebody waits for deliveries: the function is done, or this is the end.
    pub(crate) fn hurries(&self) -> bool {
        self.waiting.load(Ordering::Relaxed) > 0 || self.state().draining()
    }

    /// Nothing can go out, as far as anyone can tell for good.
    pub(crate) fn is_barred(&self) -> bool {
        self.only_sentry_relay && *self.route.borrow() == DeliveryRoute::Direct
    }
}

impl Relay {
    /// Starts the pump. Neither network nor files are touched until the first envelope.
    /// Where the layer has Sentry's own Relay, all waits until `begin`, and until that is ready.
    pub fn start(config: &Config) -> Self {
        let supervised = sentry_relay::is_wanted(config);
        let (route, stage) = if supervised {
            (DeliveryRoute::Held { troubled: false }, SentryRelayStage::Waiting)
        } else {
            (DeliveryRoute::Direct, SentryRelayStage::Ended)
        };
        let shared = Arc::new(Shared {
            state: Mutex::new(State::new(config.buffer, config.max_body)),
            client: Client::new(config),
            wake: Notify::new(),
            changed: Notify::new(),
            route: watch::Sender::new(route),
            stage: watch::Sender::new(stage),
            doubt: Notify::new(),
            waiting: AtomicUsize::new(0),
            only_sentry_relay: config.relay == RelayMode::Only,
        });
        if supervised {
            sentry_relay::supervise(&shared, config);
        }
        let pumped = Arc::clone(&shared);
        task::supervise("delivery", move || pump::run(Arc::clone(&pumped)));
        Self { shared }
    }

    /// Lambda waits for nothing any more: time for what would have been cold start.
    pub fn begin(&self) {
        self.shared.stage.send_if_modified(|stage| {
            let waits = *stage == SentryRelayStage::Waiting;
            if waits {
                *stage = SentryRelayStage::Begun;
            }
            waits
        });
    }

    /// An event came from Lambda: the environment may have been frozen until now, and clocks with it.
    pub fn awake(&self) {
        self.shared.state().outages.catch_up(SystemTime::now());
        self.shared.wake.notify_one();
    }

    /// What is still to be delivered; for the decision when to hold `/next`.
    pub fn backlog(&self) -> Backlog {
        let troubled = matches!(*self.shared.route.borrow(), DeliveryRoute::Held { troubled: true });
        let state = self.shared.state();
        Backlog {
            envelopes: state.pending(),
            oldest: state.oldest(),
            outage: troubled || self.shared.is_barred() || state.is_troubled(),
        }
    }

    /// Waits until nothing is left to deliver, or until upstream has failed: then waiting is of no use.
    /// It does not bound the time.
    pub async fn settled(&self) {
        let _waiting = sentry_relay::Waiting::new(&self.shared);
        loop {
            let changed = self.shared.changed.notified();
            tokio::pin!(changed);
            // From here on no notification is missed.
            changed.as_mut().enable();
            let backlog = self.backlog();
            if backlog.envelopes == 0 || backlog.outage {
                return;
            }
            changed.await;
        }
    }

    /// Takes an envelope over: from here on it is delivered, rejected by upstream, or counted as dropped.
    /// Items of a category that upstream's rate limits forbid are taken out before, and not accepted.
    pub fn accept(&self, envelope: Envelope) -> Acceptance {
        let now = SystemTime::now();
        let key = envelope.key.clone();
        let mut state = self.shared.state();
        let waits = state.waits_out_a_pause(&envelope.upstream, Instant::now().into());
        let (admitted, retry_after) = state.admit(envelope, now);
        let evicted = admitted.map_or(0, |envelope| state.accept(envelope, now));
        let rate_limits = state.rate_limits.header(&key, now);
        drop(state);
        if evicted > 0 {
            log::debug("the buffer is full", &[("evicted", &evicted)]);
        }
        if !waits {
            self.shared.wake.notify_one();
        }
        match retry_after {
            Some(retry_after) => Acceptance::Limited { limits: rate_limits.unwrap_or_default(), retry_after },
            None => Acceptance::Taken { limits: rate_limits },
        }
    }

    /// Sends a request that is no envelope to upstream as it is, and gives back upstream's answer.
    ///
    /// The URI holds path and query; hop-by-hop headers and `Host` are the caller's to remove.
    pub async fn forward(
        &self,
        upstream: &Arc<Upstream>,
        request: Request<Bytes>,
    ) -> Result<Response<Bytes>, ForwardError> {
        let destination = drain::decided(&self.shared).await.ok_or(ForwardError(None))?;
        let answer = self.shared.client.forward(destination.to(upstream), request).await;
        answer.map_err(|error| ForwardError(Some(error)))
    }

    /// Delivers what can be delivered in `within`, books the rest as lost, and closes.
    pub async fn drain(&self, within: Duration) {
        let budget = drain::DrainBudget::of(within, Instant::now());
        self.shared.state().start_draining();
        self.shared.wake.notify_one();
        drain::decide(&self.shared, &budget).await;
        let emptied = async {
            loop {
                let changed = self.shared.changed.notified();
                tokio::pin!(changed);
                // From here on no notification is missed.
                changed.as_mut().enable();
                if self.shared.is_barred() || self.shared.state().is_drained() {
                    return;
                }
                changed.await;
            }
        };
        let _ = tokio::time::timeout_at(budget.deliveries(&self.shared), emptied).await;
        drain::end(&self.shared, &budget).await;
        // What Relay should have taken, and was not there to take.
        let unavailable = self.shared.is_barred().then_some(DropReason::SentryRelayUnavailable);
        self.shared.state().close(unavailable);
    }

    /// The counts as they are now.
    pub fn ledger(&self) -> Ledger {
        self.shared.state().ledger
    }

    /// One line on what became of everything.
    pub fn log_ledger(&self) {
        let state = self.shared.state();
        let (ledger, pending) = (state.ledger, state.pending());
        drop(state);
        let fields: [log::Field<'_>; 7] = [
            ("accepted", &ledger.accepted),
            ("delivered", &ledger.delivered),
            ("rejected", &ledger.rejected),
            ("dropped", &ledger.dropped()),
            ("pending", &pending),
            ("reasons", &Reasons(&ledger)),
            ("unanswered", &ledger.unanswered),
        ];
        if ledger.dropped() > 0 || !ledger.balances(pending) {
            log::warn("envelopes", &fields);
        } else {
            log::info("envelopes", &fields);
        }
    }
}
