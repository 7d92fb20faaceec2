//! Computes how long to pause after an upstream failure: exponential with jitter, and bounded. It is pure: the caller
//! passes the clock.

use std::time::{Duration, Instant};

const FIRST_PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// The longest `Retry-After` that is followed. A longer one makes no sense for an environment that lives for hours.
const LONGEST_RETRY_AFTER: Duration = Duration::from_mins(10);

/// The pause after one or more failures in a row.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Backoff {
    failures: u32,
    until: Option<Instant>,
    /// The time from the failure to `until`.
    length: Duration,
}

impl Backoff {
    /// Records a failure. `jitter` is between 0 and 1; `at_least` is the pause that upstream asked for.
    pub(super) fn failed(&mut self, now: Instant, jitter: f64, at_least: Option<Duration>) {
        let at_least = at_least.map(|retry_after| retry_after.min(LONGEST_RETRY_AFTER));
        if let Some(left) = self.pause(now) {
            // This try was under way when another one failed. Both show the same outage, so it counts as one failure.
            self.length = left.max(at_least.unwrap_or_default());
            self.until = now.checked_add(self.length);
            return;
        }
        let doubled = FIRST_PAUSE.saturating_mul(1 << self.failures.min(16)).min(LONGEST_PAUSE);
        let pause = doubled.mul_f64(0.5 + jitter.clamp(0.0, 1.0) / 2.0).max(at_least.unwrap_or_default());
        self.failed_for(now, pause);
    }

    /// Records a failure and pauses for exactly this time.
    pub(super) fn failed_for(&mut self, now: Instant, pause: Duration) {
        self.failures = self.failures.saturating_add(1);
        self.length = pause;
        self.until = now.checked_add(pause);
    }

    /// Ends the pause if it is over by the wall clock. `passed` is the wall-clock time since the failure. The pause
    /// runs by the monotonic clock, which may stand still in a freeze.
    pub(super) fn catch_up(&mut self, passed: Duration) {
        if passed >= self.length {
            self.end_pause();
        }
    }

    /// Returns the rest of the pause, if it is not over.
    pub(super) fn pause(&self, now: Instant) -> Option<Duration> {
        self.until?.checked_duration_since(now).filter(|left| !left.is_zero())
    }

    /// Ends the pause early, as SHUTDOWN does.
    pub(super) fn end_pause(&mut self) {
        self.until = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_longest() {
        let now = Instant::now();
        let mut backoff = Backoff::default();
        let mut pauses = Vec::new();
        let mut now = now;
        for _ in 0..40 {
            backoff.failed(now, 1.0, None);
            pauses.push(backoff.pause(now).unwrap());
            now += LONGEST_PAUSE;
        }
        backoff.failed(now, 1.0, None);
        assert_eq!(pauses[0], FIRST_PAUSE);
        assert_eq!(pauses[1], FIRST_PAUSE * 2);
        assert_eq!(pauses[39], LONGEST_PAUSE);
        backoff.end_pause();
        assert_eq!(backoff.pause(now), None);
    }

    #[test]
    fn jitter_halves_a_pause_at_most_and_retry_after_is_followed() {
        let now = Instant::now();
        let mut backoff = Backoff::default();
        backoff.failed(now, 0.0, None);
        assert_eq!(backoff.pause(now), Some(FIRST_PAUSE / 2));
        assert_eq!(backoff.pause(now + FIRST_PAUSE), None);
        backoff.failed(now, 0.0, Some(Duration::from_mins(1)));
        assert_eq!(backoff.pause(now), Some(Duration::from_mins(1)));
        backoff.failed(now, 0.0, Some(Duration::from_secs(u64::MAX)));
        assert_eq!(backoff.pause(now), Some(LONGEST_RETRY_AFTER), "Retry-After has an upper bound");
    }

    #[test]
    fn either_clock_ends_a_pause() {
        let now = Instant::now();
        let mut backoff = Backoff::default();
        backoff.failed(now, 1.0, None);
        backoff.catch_up(FIRST_PAUSE / 2);
        assert_eq!(backoff.pause(now), Some(FIRST_PAUSE));
        backoff.catch_up(FIRST_PAUSE);
        assert_eq!(backoff.pause(now), None);
    }

    #[test]
    fn concurrent_failures_count_as_one() {
        let now = Instant::now();
        let mut backoff = Backoff::default();
        for _ in 0..4 {
            backoff.failed(now, 1.0, None);
        }
        assert_eq!(backoff.pause(now), Some(FIRST_PAUSE));
        backoff.failed(now + FIRST_PAUSE, 1.0, None);
        assert_eq!(backoff.pause(now + FIRST_PAUSE), Some(FIRST_PAUSE * 2));
    }
}
