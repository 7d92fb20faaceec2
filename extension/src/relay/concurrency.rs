//! Computes how many requests may be on their way to one upstream. It is pure.
//!
//! HTTP/1.1 carries one request at a time on a connection, so a connection delivers one envelope in each answer time.
//! To deliver a backlog within a given time takes `backlog × answer time / time` connections.

use std::time::Duration;

/// The requests that may always be in flight, before anything is known about the upstream.
pub(super) const BASE: usize = 4;
/// The most while the function runs: it needs the CPU, and nothing is lost if envelopes wait. So many are needed only
/// where hundreds wait. With half of it, 200 envelopes a second were more than an upstream takes that answers in 50 ms,
/// is slow for 5 % of the requests and fails for 1 %.
const MOST_RELAXED: usize = 32;
/// The most in any case. Each connection takes about 20 KiB here, or 40 KiB with TLS.
pub(super) const MOST: usize = 100;

/// The time in which the backlog should be delivered while the function runs, and while `/next` is held.
const RELAXED: Duration = Duration::from_secs(2);
const HELD: Duration = Duration::from_millis(250);
/// The answer time that is assumed while draining if none is known: there is no time to find out.
const ASSUMED: Duration = Duration::from_millis(100);

/// How urgent deliveries are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pace {
    /// The function runs.
    Relaxed,
    /// `/next` is held, or another task waits.
    Held,
    /// SHUTDOWN has come, and the environment ends after this time.
    Draining(Duration),
}

/// Returns how many requests may be in flight for this backlog, which includes those in flight.
pub fn limit(backlog: usize, answer_time: Option<Duration>, outage: bool, pace: Pace) -> usize {
    if outage {
        // One try finds out whether the upstream has recovered. At SHUTDOWN a few are tried, because there is no later.
        return if matches!(pace, Pace::Draining(_)) { BASE } else { 1 };
    }
    let (within, most, answer_time) = match pace {
        Pace::Relaxed => (RELAXED, MOST_RELAXED, answer_time),
        Pace::Held => (HELD, MOST, answer_time),
        // New connections take a few round trips before the first answer, so less than the whole time is counted on.
        Pace::Draining(left) => (left * 2 / 5, MOST, answer_time.or(Some(ASSUMED))),
    };
    let Some(answer_time) = answer_time else { return BASE };
    let backlog = u32::try_from(backlog).unwrap_or(u32::MAX);
    let wanted = answer_time.saturating_mul(backlog).as_millis().div_ceil(within.as_millis().max(1));
    usize::try_from(wanted).unwrap_or(usize::MAX).clamp(BASE, most)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEFT: Pace = Pace::Draining(Duration::from_millis(1900));

    fn at(milliseconds: u64, backlog: usize, pace: Pace) -> usize {
        limit(backlog, Some(Duration::from_millis(milliseconds)), false, pace)
    }

    #[test]
    fn limit_is_latency_times_backlog() {
        assert_eq!(at(50, 10, Pace::Held), BASE, "a small backlog needs no more connections");
        assert_eq!(at(50, 100, Pace::Held), 20);
        assert_eq!(at(50, 1000, Pace::Relaxed), 25);
        assert_eq!(at(50, 2000, Pace::Relaxed), MOST_RELAXED);
        assert_eq!(at(50, 1000, LEFT), 66);
        assert_eq!(at(150, 1000, LEFT), MOST);
        assert_eq!(at(u64::MAX, usize::MAX, Pace::Draining(Duration::ZERO)), MOST);
    }

    #[test]
    fn unknown_or_failing_upstream_gets_few() {
        assert_eq!(limit(1000, None, false, Pace::Held), BASE);
        assert_eq!(limit(1000, None, false, LEFT), MOST, "at SHUTDOWN there is no time to measure");
        assert_eq!(limit(1000, Some(ASSUMED), true, Pace::Held), 1);
        assert_eq!(limit(1000, Some(ASSUMED), true, LEFT), BASE);
    }
}
