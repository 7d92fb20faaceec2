//! Drains the relay at SHUTDOWN. It divides the time that Lambda allows between Sentry's Relay and the deliveries.

use super::core::Core;
use super::filter_control::Stage;
use std::time::Duration;
use tokio::time::{Instant, sleep_until, timeout_at};

/// How long Sentry's Relay may take to end by itself. It takes 8 ms on a whole core.
const END_TIME: Duration = Duration::from_millis(250);
/// The time that is kept for killing it if it does not.
const KILL_TIME: Duration = Duration::from_millis(50);

/// Delivers what can be delivered in the time `within`, counts the rest as dropped, and closes the state.
pub(super) async fn drain(core: &Core, within: Duration) {
    let (start, filter) = (Instant::now(), core.filter());
    core.state().start_draining((start + within).into_std());
    core.wake_pump();
    let runs = filter.stage() != Stage::Ended;
    let deliveries = start + if runs { within.saturating_sub(KILL_TIME) } else { within };
    let drained = core.wait_until(|core| {
        let state = core.state();
        state.is_blocked() || state.is_drained()
    });
    tokio::select! {
        _ = timeout_at(deliveries, drained) => {}
        () = give_up_late(core, start + within / 2), if runs => {}
    }
    filter.end_by(deliveries.min(Instant::now() + END_TIME));
    let _ = timeout_at(start + within, filter.wait_for_stage(|stage| *stage == Stage::Ended)).await;
    core.state().close();
}

/// Gives Sentry's Relay up if it still has envelopes at this time, because a later try to send them without it would be
/// too late. It never returns.
async fn give_up_late(core: &Core, late: Instant) {
    sleep_until(late).await;
    if !core.filter().is_required() && !core.state().is_filtered() {
        core.filter().give_up();
    }
    std::future::pending::<()>().await;
}
