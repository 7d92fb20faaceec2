//! Limits how many faults an environment reports, so that a function that fails at each invocation does not flood
//! Sentry. It is pure.

use std::collections::VecDeque;
use std::time::{Duration, SystemTime};

/// The most faults that one environment reports within `WINDOW`.
const MOST: usize = 10;
const WINDOW: Duration = Duration::from_mins(1);

/// The times of the latest reported faults.
#[derive(Debug, Default)]
pub(super) struct RateLimit(VecDeque<SystemTime>);

impl RateLimit {
    /// Whether a fault may be reported at this time. If so, it is counted.
    pub(super) fn admits(&mut self, now: SystemTime) -> bool {
        // After the clock was set back, times in the future must not block faults for longer than the window.
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
