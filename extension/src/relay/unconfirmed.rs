//! Counts the envelopes that Sentry's Relay has answered with 200 and may not have delivered yet. It is pure: the
//! caller passes the clocks.
//!
//! The 200 of Sentry's Relay does not come from Sentry. An envelope counts as delivered once a later flush barrier has
//! passed, and as lost if Sentry's Relay ends before that.

use std::time::{Duration, Instant, SystemTime};

/// The time from the oldest envelope to its barrier if no task waits. The barrier also makes Sentry's Relay retry what
/// it could not send, for which it has no timer.
const RELAXED_DELAY: Duration = Duration::from_secs(1);
/// The first pause after a failed barrier. Sentry's Relay does not retry within a second.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// The envelopes that Sentry's Relay has taken in its current life.
#[derive(Debug, Default)]
pub(super) struct Unconfirmed {
    life: u32,
    held: u64,
    /// When Sentry's Relay took the oldest of them, or, after a barrier, when that barrier passed.
    since: Option<SystemTime>,
    failures: u32,
    /// No barrier is sent before this time.
    paused: Option<Instant>,
}

impl Unconfirmed {
    /// Starts to count for another life of Sentry's Relay.
    pub(super) fn begin(&mut self, life: u32) {
        *self = Self { life, ..Self::default() };
    }

    /// Counts an envelope that Sentry's Relay took in this life. Returns `false` if that life has ended.
    pub(super) fn take(&mut self, life: u32, now: SystemTime) -> bool {
        if life != self.life {
            return false;
        }
        self.held += 1;
        self.since.get_or_insert(now);
        true
    }

    /// Removes the envelopes that a barrier confirms. Returns how many of them were still counted here.
    pub(super) fn release(&mut self, envelopes: u64, now: SystemTime) -> u64 {
        let released = envelopes.min(self.held);
        self.held -= released;
        self.since = (self.held > 0).then_some(now);
        (self.failures, self.paused) = (0, None);
        released
    }

    /// Removes all envelopes, because no barrier can confirm them any more. Returns their number.
    pub(super) fn abandon(&mut self) -> u64 {
        let held = self.held;
        *self = Self::default();
        held
    }

    /// Records that a barrier has failed. The pause before the next one doubles with each failure.
    pub(super) fn failed(&mut self, clock: Instant) {
        let pause = FIRST_PAUSE.saturating_mul(1 << self.failures.min(16)).min(LONGEST_PAUSE);
        self.failures = self.failures.saturating_add(1);
        self.paused = clock.checked_add(pause);
    }

    /// Returns the time until the next barrier. `None` means that none is needed. `wanted` says that a task waits for
    /// it.
    pub(super) fn due(&self, wanted: bool, clock: Instant, now: SystemTime) -> Option<Duration> {
        let since = self.since?;
        if let Some(paused) = self.paused {
            return Some(paused.saturating_duration_since(clock));
        }
        // If the clock was set back, the age is unknown, and the barrier is sent now.
        let age = now.duration_since(since).unwrap_or(RELAXED_DELAY);
        Some(if wanted { Duration::ZERO } else { RELAXED_DELAY.saturating_sub(age) })
    }

    pub(super) fn held(&self) -> u64 {
        self.held
    }

    pub(super) fn since(&self) -> Option<SystemTime> {
        self.since
    }

    /// Whether the last barrier failed.
    pub(super) fn failing(&self) -> bool {
        self.failures > 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::UNIX_EPOCH;

    #[test]
    fn envelopes_after_the_start_of_a_barrier_stay_unconfirmed() {
        let mut unconfirmed = Unconfirmed::default();
        unconfirmed.begin(1);
        assert!(unconfirmed.take(1, UNIX_EPOCH) && unconfirmed.take(1, UNIX_EPOCH));
        assert!(!unconfirmed.take(0, UNIX_EPOCH), "that life has ended");
        let covered = unconfirmed.held();
        assert!(unconfirmed.take(1, UNIX_EPOCH));
        assert_eq!(unconfirmed.release(covered, UNIX_EPOCH), 2);
        assert_eq!((unconfirmed.held(), unconfirmed.abandon(), unconfirmed.held()), (1, 1, 0));
        assert_eq!(unconfirmed.release(5, UNIX_EPOCH), 0, "nothing is counted twice");
    }

    #[test]
    fn barriers_are_immediate_if_wanted_delayed_if_not_and_paused_after_failures() {
        let clock = Instant::now();
        let mut unconfirmed = Unconfirmed::default();
        assert_eq!(unconfirmed.due(true, clock, UNIX_EPOCH), None);
        unconfirmed.take(0, UNIX_EPOCH);
        assert_eq!(unconfirmed.due(true, clock, UNIX_EPOCH), Some(Duration::ZERO));
        assert_eq!(unconfirmed.due(false, clock, UNIX_EPOCH), Some(RELAXED_DELAY));
        assert_eq!(unconfirmed.due(false, clock, UNIX_EPOCH + RELAXED_DELAY), Some(Duration::ZERO));
        unconfirmed.failed(clock);
        assert_eq!(unconfirmed.due(true, clock, UNIX_EPOCH), Some(FIRST_PAUSE));
        unconfirmed.failed(clock);
        assert_eq!(unconfirmed.due(true, clock, UNIX_EPOCH), Some(FIRST_PAUSE * 2));
        unconfirmed.release(0, UNIX_EPOCH);
        assert!(!unconfirmed.failing());
    }
}
