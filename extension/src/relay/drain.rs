//! The end: who gets how much of the time that Lambda gives, and the orderly death of Sentry's Relay in it.

use super::core::{Core, Waiting};
use super::ledger::DropReason;
use std::time::Duration;
use tokio::time::{Instant, timeout_at};

/// For killing what did not end by itself.
const LAST: Duration = Duration::from_millis(50);

/// The time until the end, shared out.
#[derive(Debug)]
struct DrainBudget {
    start: Instant,
    within: Duration,
}

impl DrainBudget {
    /// Sentry's Relay has to be ready by then.
    fn decision(&self) -> Instant {
        self.start + self.within / 3
    }

    /// Everything has to be delivered by then. Where Sentry's Relay is behind it, a barrier has to pass after that.
    fn deliveries(&self, through_sentry_relay: bool) -> Instant {
        self.start + if through_sentry_relay { self.within * 2 / 3 } else { self.within }
    }

    /// Sentry's Relay is told to end then, and not before everything is delivered.
    fn barrier(&self) -> Instant {
        self.start + self.within * 9 / 10
    }

    fn end(&self) -> Instant {
        self.start + self.within.saturating_sub(LAST)
    }
}

/// Delivers what can be delivered in `within`, books the rest as lost, and closes.
pub(super) async fn drain(core: &Core, within: Duration) {
    let budget = DrainBudget { start: Instant::now(), within };
    core.state().start_draining();
    core.wake_pump();
    // What is queued goes through Sentry's Relay if that is ready soon, else past it where it may: there is no later.
    if core.routing().settle_by(budget.decision()).await {
        core.wake_pump();
    }
    let drained = core.wait_until(|core| core.routing().is_barred() || core.state().is_drained());
    let deadline = budget.deliveries(core.routing().is_through_sentry_relay());
    let _ = timeout_at(deadline, drained).await;
    end_sentry_relay(core, &budget).await;
    // These are envelopes that Sentry's Relay should have taken, and was not there to take.
    let unavailable = core.routing().is_barred().then_some(DropReason::SentryRelayUnavailable);
    core.state().close(unavailable);
}

/// Waits for a last barrier behind everything that Sentry's Relay has, and ends it.
async fn end_sentry_relay(core: &Core, budget: &DrainBudget) {
    let waiting = Waiting::new(core);
    let _ = timeout_at(budget.barrier(), core.wait_until(|core| core.unconfirmed() == 0)).await;
    drop(waiting);
    core.routing().end_by(budget.end());
    let ended = core.routing().wait_for_stage(|stage| *stage == super::route::Stage::Ended);
    let _ = timeout_at(budget.end() + LAST, ended).await;
}
