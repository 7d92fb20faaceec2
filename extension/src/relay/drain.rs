//! Drains the relay at SHUTDOWN. It divides the time that Lambda allows among the deliveries, the last flush barrier,
//! and the end of Sentry's Relay.

use super::core::{Core, Waiting};
use super::ledger::DropReason;
use std::time::Duration;
use tokio::time::{Instant, timeout_at};

/// The time that is kept for killing Sentry's Relay if it does not end by itself.
const KILL_TIME: Duration = Duration::from_millis(50);

/// Divides the whole time of the drain into deadlines.
#[derive(Debug)]
struct DrainBudget {
    start: Instant,
    within: Duration,
}

impl DrainBudget {
    /// Returns when Sentry's Relay has to be ready.
    fn decision(&self) -> Instant {
        self.start + self.within / 3
    }

    /// Returns when everything has to be delivered. With Sentry's Relay, time is left for a barrier after that.
    fn deliveries(&self, through_sentry_relay: bool) -> Instant {
        self.start + if through_sentry_relay { self.within * 2 / 3 } else { self.within }
    }

    /// Returns when the last barrier has to pass. After that, Sentry's Relay is told to end.
    fn barrier(&self) -> Instant {
        self.start + self.within * 9 / 10
    }

    fn end(&self) -> Instant {
        self.start + self.within.saturating_sub(KILL_TIME)
    }
}

/// Delivers what can be delivered in the time `within`, counts the rest as dropped, and closes the state.
pub(super) async fn drain(core: &Core, within: Duration) {
    let budget = DrainBudget { start: Instant::now(), within };
    core.state().start_draining((budget.start + within).into_std());
    core.wake_pump();
    // If Sentry's Relay is not ready soon, queued envelopes go directly to upstream where the settings allow it: this
    // is their last chance.
    if core.routing().decide_by(budget.decision()).await {
        core.wake_pump();
    }
    let drained = core.wait_until(|core| core.routing().is_blocked() || core.state().is_drained());
    let deadline = budget.deliveries(core.routing().is_through_sentry_relay());
    let _ = timeout_at(deadline, drained).await;
    end_sentry_relay(core, &budget).await;
    // The envelopes that remain had to go through Sentry's Relay, which did not run.
    let unavailable = core.routing().is_blocked().then_some(DropReason::SentryRelayUnavailable);
    core.state().close(unavailable, |fault| core.fault_keeper().keep(fault));
}

/// Waits until a last barrier confirms everything that Sentry's Relay has taken, and then ends Sentry's Relay.
async fn end_sentry_relay(core: &Core, budget: &DrainBudget) {
    let waiting = Waiting::new(core);
    let _ = timeout_at(budget.barrier(), core.wait_until(|core| core.unconfirmed() == 0)).await;
    drop(waiting);
    core.routing().end_by(budget.end());
    let ended = core.routing().wait_for_stage(|stage| *stage == super::route::Stage::Ended);
    let _ = timeout_at(budget.end() + KILL_TIME, ended).await;
}
