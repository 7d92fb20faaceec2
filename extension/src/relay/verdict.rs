//! What an answer, or the lack of one, means for the envelope. Pure.

use super::client::{Reply, SendError};
use super::ledger::Loss;
use std::time::Duration;

/// What becomes of an envelope after a try.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Upstream has it.
    Delivered,
    /// Upstream does not want it, now or ever.
    Rejected,
    /// Another try may do; if there is none, this is why it was lost.
    Again {
        loss: Loss,
        /// What upstream asked for.
        after: Option<Duration>,
    },
}

pub(super) fn judge(outcome: &Result<Reply, SendError>) -> Verdict {
    match outcome {
        Ok(reply) => match reply.status {
            200..=299 => Verdict::Delivered,
            429 => Verdict::Again { loss: Loss::RateLimit, after: reply.retry_after },
            408 | 500..=599 => Verdict::Again { loss: Loss::Upstream, after: reply.retry_after },
            _ => Verdict::Rejected,
        },
        Err(_) => Verdict::Again { loss: Loss::Network, after: None },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses() {
        let after = Some(Duration::from_secs(7));
        let verdict = |status| judge(&Ok(Reply { status, retry_after: after }));
        for status in [200, 201, 202, 204] {
            assert_eq!(verdict(status), Verdict::Delivered, "{status}");
        }
        for status in [301, 400, 401, 403, 404, 413] {
            assert_eq!(verdict(status), Verdict::Rejected, "{status}");
        }
        assert_eq!(verdict(429), Verdict::Again { loss: Loss::RateLimit, after });
        for status in [408, 500, 502, 503, 504] {
            assert_eq!(verdict(status), Verdict::Again { loss: Loss::Upstream, after }, "{status}");
        }
        let failed = judge(&Err(SendError::TimedOut));
        assert_eq!(failed, Verdict::Again { loss: Loss::Network, after: None });
    }
}
