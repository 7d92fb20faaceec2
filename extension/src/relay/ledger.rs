//! Counts what became of every accepted envelope. At every moment:
//! accepted = delivered + rejected + spooled + dropped + pending.

use std::fmt;

/// The reason why an accepted envelope was dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DropReason {
    /// The queue was full of envelopes of the same or a higher priority.
    QueueOverflow,
    /// Upstream could not be reached before the time ran out.
    Network,
    /// Upstream's rate limits forbid it.
    RateLimit,
    /// Upstream answered 5xx until the tries or the time ran out.
    Upstream,
    /// The environment ended before the envelope was tried.
    Shutdown,
    /// The extension itself has a fault: the task that delivered the envelope panicked too often.
    Internal,
    /// Sentry's Relay took the envelope and ended before a flush barrier confirmed the delivery.
    SentryRelay,
    /// Sentry's Relay did not run, and nothing may be sent without it.
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

    /// Returns the name in logs. It is Sentry's own name for the reason where Sentry has one.
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

    /// Returns the reason in client reports. Sentry accepts only the reasons that it knows.
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

/// The counts of envelopes since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ledger {
    /// Envelopes that the extension took from SDKs and answered with 200.
    pub accepted: u64,
    /// Envelopes that upstream took. Sentry's Relay answers before it delivers, so an envelope that it took counts only
    /// once a later flush barrier has passed.
    pub delivered: u64,
    /// Envelopes that upstream refused for good, with a 4xx.
    pub rejected: u64,
    /// Faults that were not delivered before the end. They are kept for the environment's next process, which accepts
    /// and counts them again.
    pub spooled: u64,
    /// Requests that were sent and got no response. For each of them, upstream may have received an envelope twice.
    pub unanswered: u64,
    dropped: [u64; DropReason::ALL.len()],
}

impl Ledger {
    /// Counts this number of envelopes as dropped.
    pub fn lose(&mut self, reason: DropReason, envelopes: u64) {
        if let Some(count) = self.dropped.get_mut(reason as usize) {
            *count += envelopes;
        }
    }

    /// Returns the number of dropped envelopes, for all reasons together.
    pub fn dropped(&self) -> u64 {
        self.dropped.iter().sum()
    }

    /// Returns the number of envelopes that were dropped for one reason.
    pub fn dropped_for(&self, reason: DropReason) -> u64 {
        self.dropped.get(reason as usize).copied().unwrap_or_default()
    }

    /// Whether every accepted envelope is counted once. `pending` is the number of envelopes that are queued, in
    /// flight, or not confirmed by Sentry's Relay.
    pub fn balances(&self, pending: u64) -> bool {
        self.accepted == self.delivered + self.rejected + self.spooled + self.dropped() + pending
    }
}

/// Prints the reasons that occurred with their counts: `queue_overflow=3 network_error=1`, or `none`.
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
    fn counts_balance_and_reasons_are_listed() {
        let mut ledger = Ledger { accepted: 10, delivered: 4, rejected: 1, ..Ledger::default() };
        assert_eq!(Reasons(&ledger).to_string(), "none");
        ledger.lose(DropReason::Network, 2);
        ledger.lose(DropReason::QueueOverflow, 1);
        assert!(ledger.balances(2));
        assert!(!ledger.balances(1));
        assert_eq!(Reasons(&ledger).to_string(), "queue_overflow=1 network_error=2");
    }
}
