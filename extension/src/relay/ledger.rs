//! What became of every accepted envelope. At every moment: accepted = delivered + rejected + dropped + pending.

use std::fmt;

/// Why an accepted envelope will never arrive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DropReason {
    /// The queue was full of what is worth as much or more.
    QueueOverflow,
    /// Upstream could not be reached in the time there was.
    Network,
    /// Upstream's rate limits forbid it.
    RateLimit,
    /// Upstream answered 5xx until patience or time ran out.
    Upstream,
    /// The environment ended before there was a try.
    Shutdown,
    /// A fault of the extension's own.
    Internal,
    /// Sentry's own Relay took it and ended before it said that nothing is left.
    SentryRelay,
    /// Sentry's own Relay did not run, and nothing may be sent without it.
    SentryRelayUnavailable,
}

impl DropReason {
    const ALL: [Self; 8] = [
        Self::QueueOverflow,
        Self::Network,
        Self::RateLimit,
        Self::Upstream,
        Self::Shutdown,
        Self::Internal,
        Self::SentryRelay,
        Self::SentryRelayUnavailable,
    ];

    /// The name in logs: Sentry's own words for discarded events where it has them.
    pub fn name(self) -> &'static str {
        match self {
            Self::QueueOverflow => "queue_overflow",
            Self::Network => "network_error",
            Self::RateLimit => "ratelimit_backoff",
            Self::Upstream => "upstream_error",
            Self::Shutdown => "shutdown",
            Self::Internal => "internal_error",
            Self::SentryRelay => "relay_ended",
            Self::SentryRelayUnavailable => "relay_unavailable",
        }
    }

    /// The reason in client reports, which has to be one of those that Sentry knows.
    pub(super) fn report(self) -> &'static str {
        match self {
            Self::QueueOverflow => "queue_overflow",
            Self::Network | Self::Shutdown | Self::SentryRelay | Self::SentryRelayUnavailable => {
                "network_error"
            }
            Self::RateLimit => "ratelimit_backoff",
            Self::Upstream => "send_error",
            Self::Internal => "internal_sdk_error",
        }
    }
}

/// Counts of envelopes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ledger {
    /// Answered with 200.
    pub accepted: u64,
    /// Upstream took them. Sentry's own Relay answers before it delivers: what it took counts once a flush
    /// barrier behind it has passed.
    pub delivered: u64,
    /// Upstream said for good that it does not want them (4xx).
    pub rejected: u64,
    /// Tries whose answer was lost: upstream may have an envelope twice for each of these.
    pub unanswered: u64,
    dropped: [u64; DropReason::ALL.len()],
}

impl Ledger {
    /// Books losses.
    pub fn lose(&mut self, reason: DropReason, envelopes: u64) {
        if let Some(count) = self.dropped.get_mut(reason as usize) {
            *count += envelopes;
        }
    }

    /// All that was lost, whatever the reason.
    pub fn dropped(&self) -> u64 {
        self.dropped.iter().sum()
    }

    /// Lost for one reason.
    pub fn dropped_for(&self, reason: DropReason) -> u64 {
        self.dropped.get(reason as usize).copied().unwrap_or_default()
    }

    /// Whether every accepted envelope is accounted for, `pending` ones being queued or in flight.
    pub fn balances(&self, pending: u64) -> bool {
        self.accepted == self.delivered + self.rejected + self.dropped() + pending
    }
}

/// The reasons that occurred: `queue_overflow=3 network_error=1`, or `none`.
pub struct Reasons<'a>(pub &'a Ledger);

impl fmt::Display for Reasons<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.dropped() == 0 {
            return f.write_str("none");
        }
        let occurred = DropReason::ALL.into_iter().filter(|reason| self.0.dropped_for(*reason) > 0);
        for (i, reason) in occurred.enumerate() {
            let space = if i == 0 { "" } else { " " };
            write!(f, "{space}{}={}", reason.name(), self.0.dropped_for(reason))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_books() {
        let mut ledger = Ledger { accepted: 10, delivered: 4, rejected: 1, ..Ledger::default() };
        assert_eq!(Reasons(&ledger).to_string(), "none");
        ledger.lose(DropReason::Network, 2);
        ledger.lose(DropReason::QueueOverflow, 1);
        assert!(ledger.balances(2));
        assert!(!ledger.balances(1));
        assert_eq!(Reasons(&ledger).to_string(), "queue_overflow=1 network_error=2");
    }
}
