//! From an accepted envelope to upstream: queue, delivery, and the books over both.

mod backoff;
pub(crate) mod client;
mod client_reports;
pub(crate) mod core;
mod drain;
mod envelope;
mod ledger;
mod outages;
mod pending;
mod pump;
mod queue;
mod rate_limits;
pub(crate) mod route;
mod state;
mod unconfirmed;
mod verdict;

pub use envelope::Envelope;
pub use ledger::{DropReason, Ledger, Reasons};
pub use rate_limits::{RateLimitCheck, RateLimits};

pub use core::Backlog;

use crate::config::{Config, Upstream};
use crate::{log, task};
use bytes::Bytes;
use client::SendError;
use core::{Core, Waiting};
use hyper::{Request, Response};
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

/// How long a request that is no envelope waits for Sentry's Relay.
const DECISION: Duration = Duration::from_secs(2);

/// The relay's handle: gateway and lifecycle hold clones of it.
#[derive(Clone, Debug)]
pub struct Relay {
    core: Arc<Core>,
}

/// What became of an envelope at the door, and what the SDK should be told of upstream's rate limits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Acceptance {
    /// All of it was taken.
    Taken {
        /// `X-Sentry-Rate-Limits` that are in force for other categories.
        limits: Option<String>,
    },
    /// Some or all items were removed because upstream does not take their category now; the rest was taken.
    Limited {
        /// `X-Sentry-Rate-Limits`.
        limits: String,
        /// `Retry-After`, seconds.
        retry_after: u64,
    },
}

/// Upstream did not answer a forwarded request; without more to say, because Sentry's Relay, which it has to go
/// through, does not run.
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

impl Relay {
    /// Starts the pump. Neither network nor files are touched until the first envelope.
    pub fn start(config: &Config) -> Self {
        Self::start_pump(Core::new(config, false))
    }

    /// The same, but everything waits until Sentry's Relay is ready, which is not started before `begin`.
    pub fn start_behind_sentry_relay(config: &Config) -> Self {
        Self::start_pump(Core::new(config, true))
    }

    fn start_pump(core: Core) -> Self {
        let core = Arc::new(core);
        let pumped = Arc::clone(&core);
        task::supervise("delivery", move || pump::run(Arc::clone(&pumped)));
        Self { core }
    }

    pub(crate) fn core(&self) -> &Arc<Core> {
        &self.core
    }

    /// Lambda waits for nothing any more: this is the time for what would have been cold start.
    pub fn begin(&self) {
        self.core.routing().begin();
    }

    /// An event came from Lambda: the environment may have been frozen until now, and clocks with it.
    pub fn awake(&self) {
        self.core.state().catch_up(SystemTime::now());
        self.core.wake_pump();
    }

    /// What is still to be delivered; for the decision when to hold `/next`.
    pub fn backlog(&self) -> Backlog {
        self.core.backlog()
    }

    /// Waits until nothing is left to deliver, or until upstream has failed: then waiting is of no use.
    /// It does not bound the time.
    pub async fn settled(&self) {
        let _waiting = Waiting::new(&self.core);
        let is_settled = |backlog: Backlog| backlog.envelopes == 0 || backlog.outage;
        self.core.wait_until(|core| is_settled(core.backlog())).await;
    }

    /// Takes an envelope over: from here on it is delivered, rejected by upstream, or counted as dropped.
    /// Items of a category that upstream's rate limits forbid are taken out before, and not accepted.
    pub fn accept(&self, envelope: Envelope) -> Acceptance {
        let now = SystemTime::now();
        let key = envelope.key.clone();
        let mut state = self.core.state();
        let waits = state.waits_out_a_pause(&envelope.upstream, Instant::now());
        let (admitted, retry_after) = state.admit(envelope, now);
        let evicted = admitted.map_or(0, |envelope| state.accept(envelope, now));
        let rate_limits = state.rate_limit_header(&key, now);
        drop(state);
        if evicted > 0 {
            log::debug("the buffer is full", &[("evicted", &evicted)]);
        }
        if !waits {
            self.core.wake_pump();
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
        let destination = self.core.routing().decided_within(DECISION).await.ok_or(ForwardError(None))?;
        let response = self.core.client().forward(destination.to(upstream), request).await;
        response.map_err(|error| ForwardError(Some(error)))
    }

    /// Delivers what can be delivered in `within`, books the rest as lost, and closes.
    pub async fn drain(&self, within: Duration) {
        drain::drain(&self.core, within).await;
    }

    /// The counts as they are now.
    pub fn ledger(&self) -> Ledger {
        self.core.state().ledger()
    }

    /// One line on what became of everything.
    pub fn log_ledger(&self) {
        let state = self.core.state();
        let (ledger, pending) = (state.ledger(), state.pending());
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
