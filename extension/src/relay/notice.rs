//! Decides which lines about an upstream's outages are logged: one when a state changes, and at most one such change a
//! minute. An upstream that fails every second request would otherwise write two lines for each envelope.

use std::time::{Duration, SystemTime};

/// The shortest time between two lines about the beginning of an outage.
const INTERVAL: Duration = Duration::from_mins(1);

/// What was logged about the outages of one lane.
#[derive(Debug, Default)]
pub(super) struct OutageNotice {
    /// When the beginning of an outage was last logged, by the wall clock.
    last: Option<SystemTime>,
    /// Whether the last line says that there is an outage.
    is_open: bool,
    /// The outages that began after that line and were not logged.
    unsaid: u64,
}

impl OutageNotice {
    /// Records a failed try. Returns whether it has to be logged, and then how many outages were not.
    pub(super) fn failed(&mut self, begins_outage: bool, now: SystemTime) -> Option<u64> {
        if self.is_open || !self.is_quiet(now) {
            self.unsaid += u64::from(begins_outage && !self.is_open);
            return None;
        }
        (self.is_open, self.last) = (true, Some(now));
        Some(std::mem::take(&mut self.unsaid))
    }

    /// Records that the outage has ended. Returns whether it has to be logged.
    pub(super) fn recovered(&mut self) -> bool {
        std::mem::take(&mut self.is_open)
    }

    /// Whether the next outage would be logged.
    pub(super) fn is_quiet(&self, now: SystemTime) -> bool {
        // If the clock was set back, the time since the last line is unknown, and the next one may be logged.
        self.last.is_none_or(|last| now.duration_since(last).map_or(true, |passed| passed >= INTERVAL))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::UNIX_EPOCH;

    #[test]
    fn one_outage_a_minute_is_said_and_the_others_are_counted() {
        let at = |seconds| UNIX_EPOCH + Duration::from_secs(seconds);
        let mut notice = OutageNotice::default();
        assert_eq!(notice.failed(true, at(0)), Some(0));
        assert_eq!(notice.failed(false, at(1)), None, "it is the same outage");
        assert!(notice.recovered());
        for second in 2..10 {
            assert_eq!(notice.failed(true, at(second)), None);
            assert!(!notice.recovered(), "its beginning was not said");
        }
        assert_eq!(notice.failed(true, at(59)), None);
        assert_eq!(notice.failed(false, at(60)), Some(9), "an outage that lasts is said, although late");
        assert!(notice.recovered());
        assert_eq!(notice.failed(true, at(30)), Some(0), "the clock was set back");
    }
}
