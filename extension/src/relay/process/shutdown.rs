//! The end: who gets how much of the time that Lambda gives, and Relay's orderly death in it.

use super::Stage;
use super::barrier::Waiting;
use super::route::{Route, Way};
use crate::relay::Shared;
use std::time::Duration;
use tokio::time::{Instant, timeout, timeout_at};

/// What a request that is no envelope waits for Relay.
const DECISION: Duration = Duration::from_secs(2);
/// For killing what did not end by itself.
const LAST: Duration = Duration::from_millis(50);

/// The time until the end, shared out.
#[derive(Debug)]
pub(in crate::relay) struct Share {
    start: Instant,
    within: Duration,
}

impl Share {
    pub(in crate::relay) fn of(within: Duration, start: Instant) -> Self {
        Self { start, within }
    }

    /// Relay has to be ready by then.
    fn decision(&self) -> Instant {
        self.start + self.within / 3
    }

    /// All has to be delivered by then. Where Relay is behind it, that has a barrier left to pass.
    pub(in crate::relay) fn deliveries(&self, shared: &Shared) -> Instant {
        let relayed = matches!(*shared.route.borrow(), Route::Relay { .. });
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
pub(in crate::relay) async fn decided(shared: &Shared) -> Option<Way> {
    if let Some(way) = shared.way() {
        return Some(way);
    }
    let mut route = shared.route.subscribe();
    // The sender ends with the process.
    let _ = timeout(DECISION, route.wait_for(|route| route.way().is_some())).await;
    shared.way().or((!shared.only_relay).then_some(Way::Direct))
}

/// What is queued goes through Relay if that is ready soon, else past it where it may: there is no later.
pub(in crate::relay) async fn decide(shared: &Shared, share: &Share) {
    let mut route = shared.route.subscribe();
    let _ = timeout_at(share.decision(), route.wait_for(|route| route.way().is_some())).await;
    let held = |route: &mut Route| {
        let held = matches!(route, Route::Held { .. });
        if held {
            *route = Route::Direct;
        }
        held
    };
    if shared.route.send_if_modified(held) {
        shared.stage.send_replace(Stage::Ending(Instant::now()));
        shared.wake.notify_one();
    }
}

/// Waits for a last barrier behind all that Relay has, and ends it.
pub(in crate::relay) async fn end(shared: &Shared, share: &Share) {
    let waiting = Waiting::new(shared);
    let passed = async {
        loop {
            let changed = shared.changed.notified();
            tokio::pin!(changed);
            // From here on no notification is missed.
            changed.as_mut().enable();
            if shared.state().custody.held() == 0 {
                return;
            }
            changed.await;
        }
    };
    let _ = timeout_at(share.barrier(), passed).await;
    drop(waiting);
    shared.stage.send_if_modified(|stage| {
        let runs = matches!(stage, Stage::Waiting | Stage::Begun);
        if runs {
            *stage = Stage::Ending(share.end());
        }
        runs
    });
    let mut stage = shared.stage.subscribe();
    let _ = timeout_at(share.end() + LAST, stage.wait_for(|stage| *stage == Stage::Ended)).await;
}
