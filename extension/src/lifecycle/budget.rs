//! How long the extension may work between an event and the next `/next`. This is a pure function that every such
//! wait uses.
//!
//! A deadline is compared with the wall clock when the event arrives and becomes a duration at once. No duration is
//! kept beyond the next `/next`, because the environment may freeze there and clocks may jump or stand still.

use std::time::{Duration, SystemTime};

/// The extension stops this long before the deadline, because Lambda kills every process at the deadline.
const MARGIN: Duration = Duration::from_millis(150);
/// Lambda's longest invocation. A deadline that is further away is not believed.
pub(super) const MAX_INVOCATION: Duration = Duration::from_mins(15);
/// The time that Lambda gives to all extensions at SHUTDOWN.
pub(super) const MAX_SHUTDOWN: Duration = Duration::from_secs(2);
/// The time that the extension takes at SHUTDOWN without a deadline, or with a deadline in the past.
/// The environment ends anyway, so an attempt costs nothing.
pub(super) const MIN_SHUTDOWN: Duration = Duration::from_millis(100);

/// The time that is left for work from `now` until `deadline`, at most `most`. It is zero without a deadline.
pub(super) fn until(deadline: Option<SystemTime>, now: SystemTime, most: Duration) -> Duration {
    let left = deadline.and_then(|deadline| deadline.duration_since(now).ok()).unwrap_or_default();
    left.saturating_sub(MARGIN).min(most)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::UNIX_EPOCH;

    #[test]
    fn the_budget_is_never_negative_and_never_above_its_bound() {
        let now = UNIX_EPOCH + Duration::from_secs(1_700_000_000);
        let until_in = |ms| until(Some(now + Duration::from_millis(ms)), now, MAX_SHUTDOWN);
        assert_eq!(until_in(2000), Duration::from_millis(1850));
        assert_eq!(until_in(700), Duration::from_millis(550));
        assert_eq!(until_in(150), Duration::ZERO);
        assert_eq!(until_in(0), Duration::ZERO);
        assert_eq!(until_in(1_000_000), MAX_SHUTDOWN);
        assert_eq!(until(None, now, MAX_SHUTDOWN), Duration::ZERO);
        assert_eq!(until(Some(now - Duration::from_secs(9)), now, MAX_SHUTDOWN), Duration::ZERO);
    }

    #[test]
    fn after_a_clock_jump_the_budget_is_zero_or_the_bound() {
        let now = UNIX_EPOCH + Duration::from_secs(1_700_000_000);
        let deadline = Some(now + Duration::from_secs(3));
        let hour = Duration::from_hours(1);
        assert_eq!(until(deadline, now + hour, MAX_INVOCATION), Duration::ZERO);
        assert_eq!(until(deadline, now - hour, MAX_INVOCATION), MAX_INVOCATION);
        assert_eq!(until(deadline, UNIX_EPOCH, Duration::MAX), Duration::from_millis(1_700_000_002_850));
    }
}
