//! Decides from the response, or from its absence, what happens to the envelope. It is pure.

use super::client::active_timeout::TimeoutKind;
use super::client::{Reply, SendError};
use super::ledger::DropReason;
use std::time::Duration;

/// What happens to an envelope after a try.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Upstream has taken it.
    Delivered,
    /// Upstream has refused it for good.
    Rejected,
    /// The try failed, but not because of upstream. The envelope is tried again at once, on a fresh connection.
    RetryNow,
    /// The envelope is tried again after a pause.
    RetryLater {
        /// The reason that is counted if there is no time for another try.
        reason: DropReason,
        /// The pause that upstream asked for.
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
        // Sentry has refused and counted the envelope, and says how long the limit lasts. A 429 without a time comes
        // from a proxy, so Sentry has not seen the envelope.
        429 if reply.rate_limits.is_some() || reply.retry_after.is_some() => Verdict::Rejected,
        429 => Verdict::RetryLater { reason: DropReason::RateLimit, after: None },
        // Only a proxy answers 407, so Sentry has not seen the envelope.
        407 => Verdict::RetryLater { reason: DropReason::Network, after: None },
        // The envelope has come back to the extension, and would do so again.
        508 => Verdict::Rejected,
        408 | 500..=599 => Verdict::RetryLater { reason: DropReason::Upstream, after: reply.retry_after },
        _ => Verdict::Rejected,
    }
}

/// Whether the envelope itself may have caused the failure. Only 500 can mean that. The other 5xx describe the state of
/// upstream, which will pass.
pub(super) fn is_suspect(reply: &Result<Reply, SendError>) -> bool {
    reply.as_ref().is_ok_and(|reply| reply.status == 500)
}

/// Returns the status, or the reason why there is none, for the log.
pub(super) fn describe(reply: &Result<Reply, SendError>) -> String {
    match reply {
        Ok(reply) => reply.status.to_string(),
        Err(error) => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_status_has_its_verdict() {
        let after = Some(Duration::from_secs(7));
        let verdict = |status| judge(&Ok(Reply { status, retry_after: after, ..Reply::default() }));
        for status in [200, 201, 202, 204] {
            assert_eq!(verdict(status), Verdict::Delivered, "{status}");
        }
        for status in [301, 400, 401, 403, 404, 413, 429, 508] {
            assert_eq!(verdict(status), Verdict::Rejected, "{status}");
        }
        for status in [408, 500, 502, 503, 504] {
            let reply = Ok(Reply { status, ..Reply::default() });
            assert_eq!(is_suspect(&reply), status == 500);
            assert_eq!(
                verdict(status),
                Verdict::RetryLater { reason: DropReason::Upstream, after },
                "{status}"
            );
        }
        assert_eq!(judge(&Err(SendError::Timeout(TimeoutKind::Frozen))), Verdict::RetryNow);
        for not_seen_by_sentry in [verdict(407), judge(&Err(SendError::Timeout(TimeoutKind::TimedOut)))] {
            assert_eq!(not_seen_by_sentry, Verdict::RetryLater { reason: DropReason::Network, after: None });
        }
    }

    #[test]
    fn a_429_is_final_only_if_sentry_sent_it() {
        let verdict = |rate_limits: Option<&str>| {
            judge(&Ok(Reply { status: 429, rate_limits: rate_limits.map(str::to_owned), ..Reply::default() }))
        };
        assert_eq!(verdict(Some("60:error:key")), Verdict::Rejected);
        assert_eq!(verdict(None), Verdict::RetryLater { reason: DropReason::RateLimit, after: None });
    }
}
