//! The pauses after failed calls of Lambda's API. Every failed call is repeated, and the pause grows so that repeated
//! failures do not cause a busy loop.

use super::api::ApiError;
use crate::log;
use std::time::Duration;

/// The first pause if the API did not answer. It is short, because Lambda gives ten seconds to an init.
const FIRST_AFTER_NO_ANSWER: Duration = Duration::from_millis(20);
/// The first pause if Lambda refused the call. It is longer, because Lambda will hardly accept the same call a moment
/// later.
const FIRST_AFTER_REFUSAL: Duration = Duration::from_millis(100);
/// The longest pause.
const LONGEST: Duration = Duration::from_secs(10);

/// Counts consecutive failures. Each failure doubles the pause, and only the first one is logged as a warning.
#[derive(Debug, Default)]
pub(super) struct Retry {
    failures: u32,
}

impl Retry {
    /// Logs the failure of the call that `what` names, and waits before the next attempt.
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
            ApiError::Refused(..) | ApiError::Malformed(_) | ApiError::Request(_) => FIRST_AFTER_REFUSAL,
            ApiError::Connect(_) | ApiError::Http(_) | ApiError::TimedOut => FIRST_AFTER_NO_ANSWER,
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
    fn pauses_double_up_to_the_longest_after_every_kind_of_failure() {
        for (error, first) in [
            (ApiError::TimedOut, FIRST_AFTER_NO_ANSWER),
            (ApiError::Refused(403, String::new()), FIRST_AFTER_REFUSAL),
        ] {
            let mut retry = Retry::default();
            let all: Vec<_> = (0..50).map(|_| retry.next(&error)).collect();
            assert_eq!((all[0], all[1], all[49]), (first, first * 2, LONGEST));
        }
    }
}
