//! What the supervisor of Sentry's Relay is told, and what it tells. If the layer contains that program, each envelope
//! passes it before it is queued for upstream.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use tokio::sync::watch;
use tokio::time::Instant;

/// The stages of running Sentry's Relay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// It is not started yet, because the function may still initialise and there is no envelope.
    Waiting,
    /// It is started, and started again if it fails.
    Begun,
    /// It has to be killed at once, and is not started again.
    GivenUp,
    /// It has to end before this time.
    Ending(Instant),
    /// It does not run any more, or was never wanted.
    Ended,
}

/// Tells the supervisor of Sentry's Relay what to do, and the relay how that program does.
///
/// The sender of the channel lives as long as the process, so a wait on it cannot fail.
#[derive(Debug)]
pub(crate) struct FilterControl {
    stage: watch::Sender<Stage>,
    /// Whether envelopes may leave only through Sentry's Relay.
    is_required: bool,
    /// Whether Sentry's Relay waits for project configs, without which it cannot filter.
    awaits_config: AtomicBool,
    /// How often a request for project configs has begun or ended.
    config_changes: AtomicU64,
}

impl FilterControl {
    pub(super) fn new(is_wanted: bool, is_required: bool) -> Self {
        let stage = if is_wanted { Stage::Waiting } else { Stage::Ended };
        Self {
            stage: watch::Sender::new(stage),
            is_required,
            awaits_config: AtomicBool::new(false),
            config_changes: AtomicU64::new(0),
        }
    }

    pub(crate) fn is_required(&self) -> bool {
        self.is_required
    }

    /// Allows the start of Sentry's Relay.
    pub(super) fn begin(&self) {
        self.change_stage(|stage| (stage == Stage::Waiting).then_some(Stage::Begun));
    }

    /// Has Sentry's Relay killed at once. What it holds is then queued as it is, where the settings allow that.
    pub(super) fn give_up(&self) {
        let runs = |stage| matches!(stage, Stage::Waiting | Stage::Begun);
        self.change_stage(|stage| runs(stage).then_some(Stage::GivenUp));
    }

    /// Tells Sentry's Relay to end before `deadline`, unless it was already told to end.
    pub(super) fn end_by(&self, deadline: Instant) {
        let runs = |stage| matches!(stage, Stage::Waiting | Stage::Begun);
        self.change_stage(|stage| runs(stage).then_some(Stage::Ending(deadline)));
    }

    pub(super) fn set_ended(&self) {
        self.stage.send_replace(Stage::Ended);
    }

    fn change_stage(&self, next: impl Fn(Stage) -> Option<Stage>) {
        self.stage.send_if_modified(|stage| {
            let next = next(*stage);
            *stage = next.unwrap_or(*stage);
            next.is_some()
        });
    }

    pub(crate) fn stage(&self) -> Stage {
        *self.stage.borrow()
    }

    /// Waits until `holds` returns true for the stage.
    pub(crate) async fn wait_for_stage(&self, holds: impl FnMut(&Stage) -> bool) {
        let _ = self.stage.subscribe().wait_for(holds).await;
    }

    pub(crate) fn awaits_config(&self) -> bool {
        self.awaits_config.load(Ordering::Relaxed)
    }

    pub(crate) fn config_changes(&self) -> u64 {
        self.config_changes.load(Ordering::Relaxed)
    }

    /// Records whether Sentry's Relay waits for project configs. Returns whether that is a change.
    pub(super) fn set_awaits_config(&self, awaits: bool) -> bool {
        self.config_changes.fetch_add(1, Ordering::Relaxed);
        self.awaits_config.swap(awaits, Ordering::Relaxed) != awaits
    }
}
