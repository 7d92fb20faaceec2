//! The end: who gets how much of the time that Lambda gives, and Relay's orderly death in it.

use super::Shared;
use super::route::{DeliveryRoute, Destination};
use crate::sentry_relay::SentryRelayStage;
use crate::sentry_relay::flush_barrier::Waiting;
use std::time::Duration;
use tokio::time::{Instant, timeout, timeout_at};

/// What a request that is no envelope waits for Relay.
const DECISION: Duration = Duration::from_secs(2);
/// For killing what did not end by itself.
const LAST: Duration = Duration::from_millis(50);

/// The time until the end, shared out.
#[derive(Debug)]
pub(crate) struct DrainBudget {
    start: Instant,
    within: Duration,
}

impl DrainBudget {
    pub(crate) fn of(within: Duration, start: Instant) -> Self {
        Self { start, within }
    }

    /// Relay has to be ready by then.
    fn decision(&self) -> Instant {
        self.start + self.within / 3
    }

    /// All has to be delivered by then. Where Relay is behind it, that has a barrier left to pass.
    pub(crate) fn deliveries(&self, shared: &Shared) -> Instant {
        let relayed = matches!(*shared.route.borrow(), DeliveryRoute::SentryRelay { .. });
        self.start + if relayed { self.within * 2 / 3 } else { self.within }
    }

    /// Then Relay is told to end; at the earliest when all is delivered.
    fn barrier(&self) -> Instant {
        self.start + self.within * 9 / 10
    }

    fn end(&self) -> Instant {
        self.start + self.within.saturating_sub(LAST)
    }
}

/// The way of a request that cannot be queued, if there is one.
pub(crate) async fn decided(shared: &Shared) -> Option<Destination> {
    if let Some(destination) = shared.destination() {
        return Some(destination);
    }
    let mut route = shared.route.subscribe();
    // The sender ends with the process.
    let _ = timeout(DECISION, route.wait_for(|route| route.destination().is_some())).await;
    shared.destination().or((!shared.only_sentry_relay).then_some(Destination::Direct))
}

/// What is queued goes through Relay if that is ready soon, else past it where it may: there is no later.
pub(crate) async fn decide(shared: &Shared, budget: &DrainBudget) {
    let mut route = shared.route.subscribe();
    let _ = timeout_at(budget.decision(), route.wait_for(|route| route.destination().is_some())).await;
    let held = |route: &mut DeliveryRoute| {
        let held = matches!(route, DeliveryRoute::Held { .. });
        if held {
            *route = DeliveryRoute::Direct;
        }
        held
    };
    if shared.route.send_if_modified(held) {
        shared.stage.send_replace(SentryRelayStage::Ending(Instant::now()));
        shared.wake.notify_one();
    }
}

/// Waits for a last barrier behind all that Relay has, and ends it.
pub(crate) async fn end(shared: &Shared, budget: &DrainBudget) {
    let waiting = Waiting::new(shared);
    let passed = async {
        loop {
            let changed = shared.changed.notified();
            tokio::pin!(changed);
            // From here on no notification is missed.
            changed.as_mut().enable();
            if shared.state().unconfirmed.held() == 0 {
                return;
            }
            changed.await;
        }
    };
    let _ = timeout_at(budget.barrier(), passed).await;
    drop(waiting);
    shared.stage.send_if_modified(|stage| {
        let runs = matches!(stage, SentryRelayStage::Waiting | SentryRelayStage::Begun);
        if runs {
            *stage = SentryRelayStage::Ending(budget.end());
        }
        runs
    });
    let mut stage = shared.stage.subscribe();
    let _ = timeout_at(budget.end() + LAST, stage.wait_for(|stage| *stage == SentryRelayStage::Ended)).await;
}
