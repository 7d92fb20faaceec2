//! How long the extension may take before it is in the way. Pure: one function, used by every wait
//! between an event and the next `/next`.
//!
//! Deadlines are read by the wall clock at the moment the event arrives, and turned into a duration there and then:
//! nothing of it outlives the next `/next`, in which the environment may freeze and clocks jump or stand still.

use std::time::{Duration, SystemTime};

/// Lambda kills what has not ended by its deadline; this much before it, the extension is through.
const MARGIN: Duration = Duration::from_millis(150);
/// No invocation lasts longer, whatever its deadline says.
pub(super) const INVOCATION: Duration = Duration::from_mins(15);
/// What SHUTDOWN gives to all.
pub(super) const SHUTDOWN: Duration = Duration::from_secs(2);
/// At SHUTDOWN without a deadline, or with one in the past, there is nothing to lose by trying.
pub(super) const LAST_TRY: Duration = Duration::from_millis(100);

/// The time there is for work until `deadline`, seen from `now`, and never more than `most`.
/// Without a deadline there is none.
pub(super) fn until(deadline: Option<SystemTime>, now: SystemTime, most: Duration) -> Duration {
    let left = deadline.and_then(|deadline| deadline.duration_since(now).ok()).unwrap_or_default();
    left.saturating_sub(MARGIN).min(most)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::UNIX_EPOCH;

    #[test]
    fn bounded_from_both_sides() {
        let now = UNIX_EPOCH + Duration::from_secs(1_700_000_000);
        let until_in = |ms| until(Some(now + Duration::from_millis(ms)), now, SHUTDOWN);
        assert_eq!(until_in(2000), Duration::from_millis(1850));
        assert_eq!(until_in(700), Duration::from_millis(550));
        assert_eq!(until_in(150), Duration::ZERO);
        assert_eq!(until_in(0), Duration::ZERO);
        assert_eq!(until_in(1_000_000), SHUTDOWN);
        assert_eq!(until(None, now, SHUTDOWN), Duration::ZERO);
        assert_eq!(until(Some(now - Duration::from_secs(9)), now, SHUTDOWN), Duration::ZERO);
    }

    #[test]
    fn a_clock_that_jumped_gives_too_little_or_the_bound() {
        let now = UNIX_EPOCH + Duration::from_secs(1_700_000_000);
        let deadline = Some(now + Duration::from_secs(3));
        let hour = Duration::from_hours(1);
        assert_eq!(until(deadline, now + hour, INVOCATION), Duration::ZERO);
        assert_eq!(until(deadline, now - hour, INVOCATION), INVOCATION);
        assert_eq!(until(deadline, UNIX_EPOCH, Duration::MAX), Duration::from_millis(1_700_000_002_850));
    }
}
