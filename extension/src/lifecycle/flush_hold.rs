//! Keeps the environment awake. It delays the call of `/next` until the condition that the flush policy chose is met,
//! or until the time is up.

use super::flush_policy;
use crate::log;
use crate::relay::Relay;
use crate::telemetry::{FunctionEnd, RequestId, Telemetry};
use std::time::Duration;
use tokio::time::{Instant, timeout};

/// The delay of `/next` for one invocation.
#[derive(Debug)]
pub(super) struct FlushHold<'a> {
    pub(super) wait_for: flush_policy::Hold,
    pub(super) request: RequestId,
    /// The longest time that the hold may last.
    pub(super) within: Duration,
    pub(super) telemetry: Option<&'a Telemetry>,
}

impl FlushHold<'_> {
    /// Waits until the hold ends. The environment cannot freeze during the wait, so the monotonic clock is reliable
    /// here.
    pub(super) async fn until_released(self, relay: &Relay) {
        let start = Instant::now();
        let remaining = || self.within.saturating_sub(start.elapsed());
        match (self.wait_for, self.telemetry) {
            (flush_policy::Hold::Done(most), Some(telemetry)) => {
                if telemetry.done(&self.request, remaining()).await == FunctionEnd::Done {
                    let _ = timeout(remaining().min(most), relay.settled()).await;
                }
            }
            (flush_policy::Hold::Delivered(most), _) => {
                let _ = timeout(remaining().min(most), relay.settled()).await;
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

#[cfg(test)]
mod tests;
