//! How long the extension may take before it is in the way. Pure: one function, used by every wait
//! between an event and the next `/next`.

use std::time::{Duration, SystemTime};

/// Lambda kills what has not ended by its deadline; this much before it, the extension is through.
const MARGIN: Duration = Duration::from_millis(150);
/// No event gives more than this, whatever its deadline says: clocks jump.
const MOST: Duration = Duration::from_secs(2);
/// Where an event has no deadline, or one in the past.
const LEAST: Duration = Duration::from_millis(100);

/// The time there is for work until `deadline`, seen from `now`.
pub(super) fn until(deadline: Option<SystemTime>, now: SystemTime) -> Duration {
    let Some(deadline) = deadline else { return LEAST };
    let left = deadline.duration_since(now).unwrap_or_default();
    left.saturating_sub(MARGIN).clamp(LEAST, MOST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounded_from_both_sides() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000);
        let until_in = |ms| until(Some(now + Duration::from_millis(ms)), now);
        assert_eq!(until_in(2000), Duration::from_millis(1850));
        assert_eq!(until_in(700), Duration::from_millis(550));
        assert_eq!(until_in(200), LEAST);
        assert_eq!(until_in(1_000_000), MOST);
        assert_eq!(until(None, now), LEAST);
        assert_eq!(until(Some(now - Duration::from_secs(9)), now), LEAST);
    }
}
