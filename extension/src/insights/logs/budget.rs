//! How many bytes of logs may go to Sentry in a minute. Pure.

use std::time::{Duration, SystemTime};

const WINDOW: Duration = Duration::from_mins(1);

/// The bytes that one minute has left.
#[derive(Debug)]
pub(super) struct Budget {
    most: usize,
    since: SystemTime,
    spent: usize,
}

impl Budget {
    /// `most` is the number of bytes a minute.
    pub(super) fn new(most: usize) -> Self {
        Self { most, since: SystemTime::UNIX_EPOCH, spent: 0 }
    }

    /// Spends so many bytes, if the minute has them left.
    pub(super) fn spends(&mut self, bytes: usize, now: SystemTime) -> bool {
        // A clock that went back must not close the budget for longer than a minute.
        if now.duration_since(self.since).is_ok_and(|passed| passed < WINDOW) {
            let fits = self.spent.saturating_add(bytes) <= self.most;
            self.spent += if fits { bytes } else { 0 };
            return fits;
        }
        (self.since, self.spent) = (now, 0);
        let fits = bytes <= self.most;
        self.spent = if fits { bytes } else { 0 };
        fits
    }

    /// Corrects what was spent: `actual` bytes instead of `expected` ones.
    pub(super) fn correct(&mut self, expected: usize, actual: usize) {
        self.spent = self.spent.saturating_add(actual).saturating_sub(expected);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_minute_has_its_own() {
        let mut budget = Budget::new(100);
        let start = SystemTime::UNIX_EPOCH + Duration::from_hours(1);
        let at = |seconds| start + Duration::from_secs(seconds);
        assert!(budget.spends(60, at(0)) && !budget.spends(60, at(1)) && budget.spends(40, at(59)));
        assert!(!budget.spends(1, at(59)));
        assert!(!budget.spends(101, at(60)), "more than a minute has at all");
        assert!(budget.spends(100, at(61)));
        budget.correct(100, 50);
        assert!(budget.spends(50, at(62)) && !budget.spends(1, at(62)));
        assert!(budget.spends(1, at(0)), "the clock went back");
    }
}
