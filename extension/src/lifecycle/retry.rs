//! Pauses between failed calls of Lambda's API: no failure is final, and none makes a busy loop.

use super::api::ApiError;
use crate::log;
use std::time::Duration;

/// Quick at first where nobody answered, for an init has ten seconds.
const BROKEN: Duration = Duration::from_millis(20);
/// What Lambda refuses once it hardly takes a moment later.
const REFUSED: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_secs(10);

/// Ever longer pauses after failures in a row, with one warning in each row.
#[derive(Debug, Default)]
pub(super) struct Retry {
    failures: u32,
}

impl Retry {
    /// Waits before the next try.
    pub(super) async fn after(&mut self, what: &str, error: &ApiError) {
        if self.failures == 0 {
            log::warn(what, &[("error", error), ("next", &"keeps trying")]);
        } else {
            log::debug(what, &[("error", error)]);
        }
        tokio::time::sleep(self.next(error)).await;
    }

    fn next(&mut self, error: &ApiError) -> Duration {
        let first = match error {
            ApiError::Refused(..) | ApiError::Malformed(_) | ApiError::Request(_) => REFUSED,
            ApiError::Connect(_) | ApiError::Http(_) | ApiError::TimedOut => BROKEN,
        };
        let pause = first.saturating_mul(1 << self.failures.min(16)).min(LONGEST);
        self.failures = self.failures.saturating_add(1);
        pause
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn they_grow_to_a_bound_whatever_fails() {
        for (error, first) in [(ApiError::TimedOut, BROKEN), (ApiError::Refused(403, String::new()), REFUSED)]
        {
            let mut retry = Retry::default();
            let all: Vec<_> = (0..50).map(|_| retry.next(&error)).collect();
            assert_eq!((all[0], all[1], all[49]), (first, first * 2, LONGEST));
        }
    }
}
