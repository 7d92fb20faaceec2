//! How many faults an environment may tell of: one that fails at each invocation must not flood Sentry. Pure.

use std::collections::VecDeque;
use std::time::{Duration, SystemTime};

/// Of one environment, within `WINDOW`.
const MOST: usize = 10;
const WINDOW: Duration = Duration::from_mins(1);

/// The latest times at which a fault was told.
#[derive(Debug, Default)]
pub(super) struct RateLimit(VecDeque<SystemTime>);

impl RateLimit {
    /// Whether there is room for one more at this time.
    pub(super) fn admits(&mut self, now: SystemTime) -> bool {
        // A clock that went back must not close the door for longer than the window.
        let is_recent = |then: &SystemTime| now.duration_since(*then).is_ok_and(|age| age < WINDOW);
        self.0.retain(is_recent);
        let admits = self.0.len() < MOST;
        if admits {
            self.0.push_back(now);
        }
        admits
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ten_a_minute() {
        let mut rate = RateLimit::default();
        let start = SystemTime::UNIX_EPOCH + Duration::from_hours(1);
        let admitted = |rate: &mut RateLimit, at| (0..20).filter(|_| rate.admits(start + at)).count();
        assert_eq!(admitted(&mut rate, Duration::ZERO), MOST);
        assert_eq!(admitted(&mut rate, Duration::from_secs(59)), 0);
        assert_eq!(admitted(&mut rate, Duration::from_mins(1)), MOST);
        assert_eq!(RateLimit(rate.0).0.len(), MOST);
    }

    #[test]
    fn a_clock_that_goes_back_opens_it() {
        let mut rate = RateLimit::default();
        let later = SystemTime::UNIX_EPOCH + Duration::from_hours(2);
        assert!((0..MOST).all(|_| rate.admits(later)));
        assert!(rate.admits(later - Duration::from_hours(1)));
    }
}
