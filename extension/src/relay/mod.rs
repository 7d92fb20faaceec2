//! Takes accepted envelopes, queues them, delivers them to upstream, and counts what became of each.

mod ages;
mod allocation;
mod backoff;
mod blocks;
pub(crate) mod client;
mod client_reports;
mod clock;
pub mod concurrency;
pub(crate) mod core;
mod drain;
mod envelope;
mod fault_keeper;
pub(crate) mod filter;
pub(crate) mod filter_control;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;
mod headers;
mod index;
mod lanes;
mod ledger;
mod notice;
mod observer;
mod order;
mod pending;
mod pump;
mod queue;
mod rate_limits;
mod refusal_reason;
mod refusals;
mod state;
mod verdict;

pub use envelope::Envelope;
pub(crate) use envelope::OVERHEAD;
#[cfg(test)]
pub(crate) use envelope::sample;
pub use fault_keeper::FaultKeeper;
pub use headers::Headers;
pub use ledger::{DropReason, Ledger, Reasons};
pub use observer::{Observed, Step};
pub use rate_limits::{RateLimitCheck, RateLimits};
pub use refusal_reason::RefusalReason;

pub(crate) use client_reports::ReportTarget;
pub use core::Backlog;

use crate::config::{Config, Upstream};
use crate::protocol::Item;
use crate::{log, task};
use bytes::Bytes;
pub use client::ForwardedBody;
use client::SendError;
use core::{Core, Waiting};
use fault_keeper::OptionalKeeper;
use hyper::{Request, Response};
use observer::Observer;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

/// A handle to the relay. It is cheap to clone; gateway and lifecycle each have clones.
#[derive(Clone, Debug)]
pub struct Relay {
    core: Arc<Core>,
}

/// The result of accepting an envelope, with the rate limits of upstream that the SDK should know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Acceptance {
    /// The whole envelope was taken.
    Taken {
        /// The value of `X-Sentry-Rate-Limits`, if limits for other categories are in force.
        limits: Option<String>,
    },
    /// Some or all items were removed because upstream's rate limits forbid their category now. The rest was taken.
    Limited {
        /// The value of `X-Sentry-Rate-Limits`.
        limits: String,
        /// The value of `Retry-After`, in seconds.
        retry_after: u64,
    },
}

/// A forwarded request got no response.
#[derive(Debug)]
pub struct ForwardError(SendError);

impl ForwardError {
    /// Whether upstream did not answer in time. It may still be healthy.
    pub fn is_late(&self) -> bool {
        matches!(self.0, SendError::Timeout(_))
    }
}

impl fmt::Display for ForwardError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl std::error::Error for ForwardError {}

impl Relay {
    /// Starts the task that delivers envelopes. It touches neither network nor files until the first envelope.
    pub fn start(config: &Config) -> Self {
        Self::start_pump(Core::new(config, false))
    }

    /// Does the same as `start`, but every envelope has to pass Sentry's Relay first.
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

    /// Sets the function that is told what becomes of each envelope. It must not wait: deliveries and responses wait
    /// for it.
    pub fn observe(&self, observe: impl Fn(Observed<'_>) + Send + Sync + 'static) {
        self.core.state().set_observer(Observer::new(observe));
    }

    /// Allows the start of Sentry's Relay, if envelopes pass it. Call this for an invocation: the function has
    /// initialised by then. The first envelope allows it too.
    pub fn begin_filter(&self) {
        self.core.filter().begin();
    }

    /// Sets what stores the faults that are not delivered before the end. What it stores is not counted as dropped.
    pub fn keep_faults(&self, keeper: impl FaultKeeper + 'static) {
        self.core.state().set_fault_keeper(OptionalKeeper::new(keeper));
    }

    /// Ends the pauses that are over by the wall clock, and lets the pump try again. Call this for each event from
    /// Lambda: the environment may have been frozen until now, and the monotonic clock with it.
    pub fn awake(&self) {
        self.core.state().catch_up(SystemTime::now());
        self.core.wake_pump();
    }

    /// Returns the envelopes that are not delivered yet. The flush policy uses it to decide whether to hold `/next`.
    pub fn backlog(&self) -> Backlog {
        self.core.backlog()
    }

    /// Waits until everything is delivered, or until upstream has failed, because then waiting is of no use.
    /// The caller bounds the time.
    pub async fn settled(&self) {
        let _waiting = Waiting::new(&self.core);
        let is_settled = |backlog: Backlog| backlog.envelopes == 0 || backlog.outage;
        self.core.wait_until(|core| is_settled(core.backlog())).await;
    }

    /// Accepts an envelope. From here on it is pending until it is delivered, rejected by upstream, or counted as
    /// dropped. Items of a category that upstream's rate limits forbid are removed first and are not accepted.
    pub fn accept(&self, envelope: Envelope) -> Acceptance {
        let now = clock::now();
        let key = envelope.key.clone();
        let mut state = self.core.state();
        let is_filtering = state.is_filtering();
        let waits_for_pause = !is_filtering && state.is_waiting_for_pause(&envelope.upstream, Instant::now());
        let (admitted, retry_after) = state.admit(envelope, now);
        let evicted = admitted.map_or(0, |envelope| state.accept(envelope, now));
        let rate_limits = state.rate_limit_header(&key, now);
        drop(state);
        if is_filtering {
            self.begin_filter();
        }
        if evicted > 0 {
            log::debug("the buffer is full", &[("evicted", &evicted)]);
        }
        if !waits_for_pause {
            self.core.wake_pump();
        }
        match retry_after {
            Some(retry_after) => Acceptance::Limited { limits: rate_limits.unwrap_or_default(), retry_after },
            None => Acceptance::Taken { limits: rate_limits },
        }
    }

    /// Tells Sentry, in the next client report, that items were lost before they became an envelope. `reason` is one of
    /// Sentry's own names.
    pub(crate) fn report_loss(&self, target: ReportTarget, item: Item, reason: &'static str) {
        self.core.state().lose_items(target, item, reason);
    }

    /// Sends a request that is not an envelope to upstream without changes, and returns upstream's response, whose body
    /// still arrives.
    ///
    /// The URI holds path and query only. The caller removes hop-by-hop headers and `Host`.
    pub async fn forward(
        &self,
        upstream: &Arc<Upstream>,
        request: Request<Bytes>,
    ) -> Result<Response<ForwardedBody>, ForwardError> {
        // Boxed, so that the requests that are not forwarded need no memory for it.
        Box::pin(self.core.client().forward(upstream, request)).await.map_err(ForwardError)
    }

    /// Counts a request that the gateway refuses. `host` is the one for which it is refused, or empty, and `why` what
    /// the client is told. Returns whether this kind of refusal is new and has to be logged.
    pub fn count_refusal(
        &self,
        reason: RefusalReason,
        status: u16,
        host: &str,
        why: fmt::Arguments<'_>,
    ) -> bool {
        let mut state = self.core.state();
        state.observer().tell(Observed::Refused { status, reason, why });
        state.refuse_request(reason, status, host)
    }

    /// Delivers what can be delivered in the time `within`, counts the rest as dropped, and accepts nothing more.
    pub async fn drain(&self, within: Duration) {
        drain::drain(&self.core, within).await;
    }

    /// Returns the current counts.
    pub fn ledger(&self) -> Ledger {
        self.core.state().ledger()
    }

    /// Logs one line with all counts. It is a warning if an envelope was lost or rejected, or a request refused, and an
    /// error if the counts do not add up, because then the extension itself has a fault.
    pub fn log_ledger(&self) {
        let state = self.core.state();
        let (ledger, pending) = (state.ledger(), state.pending());
        drop(state);
        let fields: [log::Field<'_>; 9] = [
            ("accepted", &ledger.accepted),
            ("delivered", &ledger.delivered),
            ("rejected", &ledger.rejected),
            ("spooled", &ledger.spooled),
            ("dropped", &ledger.dropped()),
            ("pending", &pending),
            ("refused", &ledger.refused()),
            ("reasons", &Reasons(&ledger)),
            ("unanswered", &ledger.unanswered),
        ];
        if !ledger.balances(pending) {
            log::error("envelopes", &fields);
        } else if ledger.lost() > 0 || ledger.rejected > 0 || ledger.refused() > 0 {
            log::warn("envelopes", &fields);
        } else {
            log::info("envelopes", &fields);
        }
    }
}

#[cfg(test)]
impl Relay {
    /// Makes a relay that accepts envelopes and never delivers any.
    pub(crate) fn without_deliveries(config: &Config) -> Self {
        Self { core: Arc::new(Core::new(config, false)) }
    }

    /// Accepts an envelope with an error.
    pub(crate) fn accept_sample(&self) {
        let _ = self.accept(envelope::sample(crate::protocol::ItemKind::Event, 10));
    }
}
