//! How long to leave upstream alone after a failure: exponential with jitter, bounded. Pure: the clock is handed in.

use std::time::{Duration, Instant};

const FIRST: Duration = Duration::from_millis(250);
const LONGEST: Duration = Duration::from_secs(30);
/// Upstream's wishes beyond this are nonsense, or nobody's plan for an environment that lives for hours.
const LONGEST_WISH: Duration = Duration::from_mins(10);

/// The pause after failures in a row.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Backoff {
    failures: u32,
    until: Option<Instant>,
    /// From the failure to `until`.
    length: Duration,
}

impl Backoff {
    /// Another failure. `jitter` is between 0 and 1; `at_least` is what upstream asked for.
    pub(crate) fn failed(&mut self, now: Instant, jitter: f64, at_least: Option<Duration>) {
        let at_least = at_least.map(|wish| wish.min(LONGEST_WISH));
        if let Some(left) = self.pause(now) {
            // It was under way when another failed: the same trouble, seen twice.
            self.length = left.max(at_least.unwrap_or_default());
            self.until = now.checked_add(self.length);
            return;
        }
        let doubled = FIRST.saturating_mul(1 << self.failures.min(16)).min(LONGEST);
        let pause = doubled.mul_f64(0.5 + jitter.clamp(0.0, 1.0) / 2.0).max(at_least.unwrap_or_default());
        self.failed_for(now, pause);
    }

    /// Another failure, with the pause given.
    pub(crate) fn failed_for(&mut self, now: Instant, pause: Duration) {
        self.failures = self.failures.saturating_add(1);
        self.length = pause;
        self.until = now.checked_add(pause);
    }

    /// Ends the pause if it is over by another clock than the one it runs by, which stands still in a freeze:
    /// `passed` since the failure.
    pub(crate) fn catch_up(&mut self, passed: Duration) {
        if passed >= self.length {
            self.end_pause();
        }
    }

    /// What is left of the pause, if there is one.
    pub(crate) fn pause(&self, now: Instant) -> Option<Duration> {
        self.until?.checked_duration_since(now).filter(|left| !left.is_zero())
    }

    /// Ends the pause, for there will be no later: SHUTDOWN.
    pub(crate) fn end_pause(&mut self) {
        self.until = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_a_bound() {
        let now = Instant::now();
        let mut backoff = Backoff::default();
        let mut pauses = Vec::new();
        let mut now = now;
        for _ in 0..40 {
            backoff.failed(now, 1.0, None);
            pauses.push(backoff.pause(now).unwrap());
            now += LONGEST;
        }
        backoff.failed(now, 1.0, None);
        assert_eq!(pauses[0], FIRST);
        assert_eq!(pauses[1], FIRST * 2);
        assert_eq!(pauses[39], LONGEST);
        backoff.end_pause();
        assert_eq!(backoff.pause(now), None);
    }

    #[test]
    fn jitter_halves_at_the_most_and_upstreams_wish_counts() {
        let now = Instant::now();
        let mut backoff = Backoff::default();
        backoff.failed(now, 0.0, None);
        assert_eq!(backoff.pause(now), Some(FIRST / 2));
        assert_eq!(backoff.pause(now + FIRST), None);
        backoff.failed(now, 0.0, Some(Duration::from_mins(1)));
        assert_eq!(backoff.pause(now), Some(Duration::from_mins(1)));
        backoff.failed(now, 0.0, Some(Duration::from_secs(u64::MAX)));
        assert_eq!(backoff.pause(now), Some(LONGEST_WISH), "no wish ends the pause or lasts for ever");
    }

    #[test]
    fn a_pause_is_over_by_either_clock() {
        let now = Instant::now();
        let mut backoff = Backoff::default();
        backoff.failed(now, 1.0, None);
        backoff.catch_up(FIRST / 2);
        assert_eq!(backoff.pause(now), Some(FIRST));
        backoff.catch_up(FIRST);
        assert_eq!(backoff.pause(now), None);
    }

    #[test]
    fn what_fails_at_the_same_time_is_one_failure() {
        let now = Instant::now();
        let mut backoff = Backoff::default();
        for _ in 0..4 {
            backoff.failed(now, 1.0, None);
        }
        assert_eq!(backoff.pause(now), Some(FIRST));
        backoff.failed(now + FIRST, 1.0, None);
        assert_eq!(backoff.pause(now + FIRST), Some(FIRST * 2));
    }
}
