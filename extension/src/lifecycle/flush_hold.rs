//! Keeps the environment awake: `/next` is not called before what the policy decided on has come, or time is up.

use super::event::RequestId;
use super::flush_policy;
use crate::log;
use crate::relay::Relay;
use crate::telemetry::{FunctionEnd, Telemetry};
use std::time::{Duration, Instant};
use tokio::time::timeout;

/// A hold of one invocation.
#[derive(Debug)]
pub(super) struct FlushHold<'a> {
    pub(super) wait_for: flush_policy::Hold,
    pub(super) request: RequestId,
    /// The budget.
    pub(super) within: Duration,
    pub(super) telemetry: Option<&'a Telemetry>,
}

impl FlushHold<'_> {
    /// Waits. The environment cannot freeze meanwhile, so the monotonic clock is good here.
    pub(super) async fn until_released(self, relay: &Relay) {
        let start = Instant::now();
        let left = || self.within.saturating_sub(start.elapsed());
        match (self.wait_for, self.telemetry) {
            (flush_policy::Hold::Done(most), Some(telemetry)) => {
                if telemetry.done(&self.request, left()).await == FunctionEnd::Done {
                    let _ = timeout(left().min(most), relay.settled()).await;
                }
            }
            (flush_policy::Hold::Delivered(most), _) => {
                let _ = timeout(left().min(most), relay.settled()).await;
            }
            (flush_policy::Hold::No, _) | (flush_policy::Hold::Done(_), None) => {}
        }
        if log::enabled(log::Level::Debug) {
            let (ledger, backlog) = (relay.ledger(), relay.backlog());
            log::debug(
                "flush",
                &[
                    ("request", &self.request),
                    ("waited_for", &self.wait_for),
                    ("ms", &start.elapsed().as_millis()),
                    ("accepted", &ledger.accepted),
                    ("delivered", &ledger.delivered),
                    ("rejected", &ledger.rejected),
                    ("dropped", &ledger.dropped()),
                    ("pending", &backlog.envelopes),
                    ("outage", &backlog.outage),
                ],
            );
        }
    }
}
