//! What Relay has answered with 200 and may not have delivered yet. Pure: the clocks are handed in.
//!
//! Its 200 is not Sentry's: an envelope counts as delivered once a flush barrier behind it has passed, and as lost
//! where Relay ends before that.

use std::time::{Duration, Instant, SystemTime};

/// Nobody waits: a barrier so long after the oldest is soon enough. It also wakes what Relay has to try again, for
/// which it has no timer.
const LAZY: Duration = Duration::from_secs(1);
/// Relay tries nothing again before a second is over.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// The envelopes in Relay's hands.
#[derive(Debug, Default)]
pub(crate) struct Unconfirmed {
    life: u32,
    held: u64,
    /// When the oldest was handed over.
    since: Option<SystemTime>,
    failures: u32,
    /// No barrier before this.
    paused: Option<Instant>,
}

impl Unconfirmed {
    /// Another life of Relay has begun.
    pub(crate) fn begin(&mut self, life: u32) {
        *self = Self { life, ..Self::default() };
    }

    /// Relay has taken another. `false`: that Relay has ended since.
    pub(crate) fn take(&mut self, life: u32, now: SystemTime) -> bool {
        if life != self.life {
            return false;
        }
        self.held += 1;
        self.since.get_or_insert(now);
        true
    }

    /// A barrier has passed behind so many; gives back how many of them were here.
    pub(crate) fn release(&mut self, envelopes: u64, now: SystemTime) -> u64 {
        let released = envelopes.min(self.held);
        self.held -= released;
        self.since = (self.held > 0).then_some(now);
        (self.failures, self.paused) = (0, None);
        released
    }

    /// Nothing more will be heard of what is here; gives back how many.
    pub(crate) fn abandon(&mut self) -> u64 {
        let held = self.held;
        *self = Self::default();
        held
    }

    /// A barrier has not passed.
    pub(crate) fn failed(&mut self, clock: Instant) {
        let pause = FIRST_PAUSE.saturating_mul(1 << self.failures.min(16)).min(LONGEST_PAUSE);
        self.failures = self.failures.saturating_add(1);
        self.paused = clock.checked_add(pause);
    }

    /// Until the next barrier; `None`: there is no need of one.
    pub(crate) fn due(&self, wanted: bool, clock: Instant, now: SystemTime) -> Option<Duration> {
        let since = self.since?;
        if let Some(paused) = self.paused {
            return Some(paused.saturating_duration_since(clock));
        }
        // A clock that was set back says nothing.
        let age = now.duration_since(since).unwrap_or(LAZY);
        Some(if wanted { Duration::ZERO } else { LAZY.saturating_sub(age) })
    }

    pub(crate) fn held(&self) -> u64 {
        self.held
    }

    pub(crate) fn since(&self) -> Option<SystemTime> {
        self.since
    }

    /// Whether the last barrier did not pass.
    pub(crate) fn failing(&self) -> bool {
        self.failures > 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::UNIX_EPOCH;

    #[test]
    fn what_came_after_the_barrier_began_stays() {
        let mut unconfirmed = Unconfirmed::default();
        unconfirmed.begin(1);
        assert!(unconfirmed.take(1, UNIX_EPOCH) && unconfirmed.take(1, UNIX_EPOCH));
        assert!(!unconfirmed.take(0, UNIX_EPOCH), "of a Relay that has ended");
        let covered = unconfirmed.held();
        assert!(unconfirmed.take(1, UNIX_EPOCH));
        assert_eq!(unconfirmed.release(covered, UNIX_EPOCH), 2);
        assert_eq!((unconfirmed.held(), unconfirmed.abandon(), unconfirmed.held()), (1, 1, 0));
        assert_eq!(unconfirmed.release(5, UNIX_EPOCH), 0, "nothing is booked twice");
    }

    #[test]
    fn barriers_are_prompt_where_wanted_lazy_where_not_and_rare_in_trouble() {
        let clock = Instant::now();
        let mut unconfirmed = Unconfirmed::default();
        assert_eq!(unconfirmed.due(true, clock, UNIX_EPOCH), None);
        unconfirmed.take(0, UNIX_EPOCH);
        assert_eq!(unconfirmed.due(true, clock, UNIX_EPOCH), Some(Duration::ZERO));
        assert_eq!(unconfirmed.due(false, clock, UNIX_EPOCH), Some(LAZY));
        assert_eq!(unconfirmed.due(false, clock, UNIX_EPOCH + LAZY), Some(Duration::ZERO));
        unconfirmed.failed(clock);
        assert_eq!(unconfirmed.due(true, clock, UNIX_EPOCH), Some(FIRST_PAUSE));
        unconfirmed.failed(clock);
        assert_eq!(unconfirmed.due(true, clock, UNIX_EPOCH), Some(FIRST_PAUSE * 2));
        unconfirmed.release(0, UNIX_EPOCH);
        assert!(!unconfirmed.failing());
    }
}
