//! What an answer, or the lack of one, means for the envelope. Pure.

use super::client::active_timeout::TimeoutKind;
use super::client::{Reply, SendError};
use super::ledger::DropReason;
use std::time::Duration;

/// What becomes of an envelope after a try.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Upstream has it.
    Delivered,
    /// Upstream does not want it, now or ever.
    Rejected,
    /// The try came to nothing, and upstream had no part in it: another, at once, on a fresh connection.
    RetryNow,
    /// Another try may do; if there is none, this is why it was lost.
    RetryLater {
        reason: DropReason,
        /// What upstream asked for.
        after: Option<Duration>,
    },
}

pub(super) fn judge(reply: &Result<Reply, SendError>) -> Verdict {
    let reply = match reply {
        Ok(reply) => reply,
        Err(SendError::Timeout(TimeoutKind::Frozen)) => return Verdict::RetryNow,
        Err(_) => return Verdict::RetryLater { reason: DropReason::Network, after: None },
    };
    match reply.status {
        200..=299 => Verdict::Delivered,
        // Sentry has decided, counted it, and said for how long. A 429 that says nothing is a proxy's.
        429 if reply.rate_limits.is_some() || reply.retry_after.is_some() => Verdict::Rejected,
        429 => Verdict::RetryLater { reason: DropReason::RateLimit, after: None },
        // Only a proxy on the way says 407, and Sentry has seen nothing.
        407 => Verdict::RetryLater { reason: DropReason::Network, after: None },
        408 | 500..=599 => Verdict::RetryLater { reason: DropReason::Upstream, after: reply.retry_after },
        _ => Verdict::Rejected,
    }
}

/// Whether the envelope itself may be what upstream fell over. The other 5xx speak of upstream alone, and of a
/// time that passes, however long it takes.
pub(super) fn is_suspect(reply: &Result<Reply, SendError>) -> bool {
    reply.as_ref().is_ok_and(|reply| reply.status == 500)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses() {
        let after = Some(Duration::from_secs(7));
        let verdict = |status| judge(&Ok(Reply { status, retry_after: after, rate_limits: None }));
        for status in [200, 201, 202, 204] {
            assert_eq!(verdict(status), Verdict::Delivered, "{status}");
        }
        for status in [301, 400, 401, 403, 404, 413, 429] {
            assert_eq!(verdict(status), Verdict::Rejected, "{status}");
        }
        for status in [408, 500, 502, 503, 504] {
            let reply = Ok(Reply { status, retry_after: None, rate_limits: None });
            assert_eq!(is_suspect(&reply), status == 500);
            assert_eq!(
                verdict(status),
                Verdict::RetryLater { reason: DropReason::Upstream, after },
                "{status}"
            );
        }
        assert_eq!(judge(&Err(SendError::Timeout(TimeoutKind::Frozen))), Verdict::RetryNow);
        for unseen in [verdict(407), judge(&Err(SendError::Timeout(TimeoutKind::TimedOut)))] {
            assert_eq!(unseen, Verdict::RetryLater { reason: DropReason::Network, after: None });
        }
    }

    #[test]
    fn a_429_is_final_where_sentry_says_it() {
        let verdict = |rate_limits: Option<&str>| {
            judge(&Ok(Reply { status: 429, retry_after: None, rate_limits: rate_limits.map(str::to_owned) }))
        };
        assert_eq!(verdict(Some("60:error:key")), Verdict::Rejected);
        assert_eq!(verdict(None), Verdict::RetryLater { reason: DropReason::RateLimit, after: None });
    }
}
