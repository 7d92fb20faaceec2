//! Counts what became of every accepted envelope. At every moment:
//! accepted = delivered + rejected + spooled + dropped + pending.

use super::refusal_reason::RefusalReason;
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
    /// A rule of Sentry's Relay dropped it, such as a filter of the project.
    SentryRelayFiltered,
    /// Sentry's Relay refused it or failed on it again and again, and nothing may be sent without it.
    SentryRelayRefused,
    /// Sentry's Relay did not run, and nothing may be sent without it.
    SentryRelayUnavailable,
}

impl DropReason {
    const ALL: [Self; 9] = [
        Self::QueueOverflow,
        Self::Network,
        Self::RateLimit,
        Self::Upstream,
        Self::Shutdown,
        Self::Internal,
        Self::SentryRelayFiltered,
        Self::SentryRelayRefused,
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
            Self::SentryRelayFiltered => "relay_filtered",
            Self::SentryRelayRefused => "relay_refused",
            Self::SentryRelayUnavailable => "relay_unavailable",
        }
    }

    /// Returns the reason in client reports. Sentry accepts only the reasons that it knows.
    pub(super) fn report(self) -> &'static str {
        match self {
            Self::QueueOverflow => "queue_overflow",
            Self::Network | Self::Shutdown | Self::SentryRelayUnavailable => "network_error",
            Self::RateLimit => "ratelimit_backoff",
            Self::Upstream | Self::SentryRelayRefused => "send_error",
            // Sentry's Relay itself reports what it drops, so this is never reported.
            Self::SentryRelayFiltered => "event_processor",
            Self::Internal => "internal_sdk_error",
        }
    }
}

/// The counts of envelopes since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ledger {
    /// Envelopes that the extension took from SDKs and answered with 200.
    pub accepted: u64,
    /// Envelopes that upstream took.
    pub delivered: u64,
    /// Envelopes that upstream refused for good, with a 4xx.
    pub rejected: u64,
    /// Faults that were not delivered before the end. They are kept for the environment's next process, which accepts
    /// and counts them again.
    pub spooled: u64,
    /// Requests that were sent and got no response. For each of them, upstream may have received an envelope twice.
    pub unanswered: u64,
    dropped: [u64; DropReason::ALL.len()],
    /// The statuses with which upstream refused envelopes, and their numbers. Status 0 stands for all further ones.
    statuses: [(u16, u64); MAX_STATUSES],
    refused: [u64; RefusalReason::ALL.len()],
}

/// The most statuses that are counted apart.
const MAX_STATUSES: usize = 10;

impl Ledger {
    /// Counts this number of envelopes as dropped.
    pub fn lose(&mut self, reason: DropReason, envelopes: u64) {
        if let Some(count) = self.dropped.get_mut(reason as usize) {
            *count += envelopes;
        }
    }

    /// Takes back one count of `lose`, because the envelope was not lost.
    pub(super) fn take_back(&mut self, reason: DropReason) {
        if let Some(count) = self.dropped.get_mut(reason as usize) {
            *count = count.saturating_sub(1);
        }
    }

    /// Counts an envelope that upstream has refused with this status.
    pub fn reject(&mut self, status: u16) {
        self.rejected += 1;
        let known = self.statuses.iter().position(|(known, count)| *known == status || *count == 0);
        let last = MAX_STATUSES - 1;
        let at = known.unwrap_or(last).min(last);
        if let Some((known, count)) = self.statuses.get_mut(at) {
            *known = if at == last { 0 } else { status };
            *count += 1;
        }
    }

    /// Counts a request that the gateway has refused. Nothing of it was accepted, so it is in no other count.
    pub fn refuse(&mut self, reason: RefusalReason) {
        if let Some(count) = self.refused.get_mut(reason as usize) {
            *count += 1;
        }
    }

    /// Returns the number of requests that the gateway has refused, for all reasons together.
    pub fn refused(&self) -> u64 {
        self.refused.iter().sum()
    }

    /// Returns the number of requests that the gateway has refused for one reason.
    pub fn refused_for(&self, reason: RefusalReason) -> u64 {
        self.refused.get(reason as usize).copied().unwrap_or_default()
    }

    /// Returns the number of dropped envelopes, for all reasons together.
    pub fn dropped(&self) -> u64 {
        self.dropped.iter().sum()
    }

    /// Returns the number of dropped envelopes that Sentry should have received.
    pub(super) fn lost(&self) -> u64 {
        self.dropped() - self.dropped_for(DropReason::SentryRelayFiltered)
    }

    /// Returns the number of envelopes that were dropped for one reason.
    pub fn dropped_for(&self, reason: DropReason) -> u64 {
        self.dropped.get(reason as usize).copied().unwrap_or_default()
    }

    /// Whether every accepted envelope is counted once. `pending` is the number of envelopes that are queued, in
    /// flight, or in the custody of the filter.
    pub fn balances(&self, pending: u64) -> bool {
        self.accepted == self.delivered + self.rejected + self.spooled + self.dropped() + pending
    }
}

/// Prints the reasons why envelopes were dropped or rejected, and requests refused, with their counts:
/// `queue_overflow=3 http_401=1 refused_too_large=2`, or `none`.
pub struct Reasons<'a>(pub &'a Ledger);

impl fmt::Display for Reasons<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut space = "";
        for reason in DropReason::ALL.into_iter().filter(|reason| self.0.dropped_for(*reason) > 0) {
            write!(f, "{space}{}={}", reason.name(), self.0.dropped_for(reason))?;
            space = " ";
        }
        for (status, count) in self.0.statuses.iter().filter(|(_, count)| *count > 0) {
            match status {
                0 => write!(f, "{space}http_other={count}")?,
                status => write!(f, "{space}http_{status}={count}")?,
            }
            space = " ";
        }
        for reason in RefusalReason::ALL.into_iter().filter(|reason| self.0.refused_for(*reason) > 0) {
            write!(f, "{space}refused_{}={}", reason.name(), self.0.refused_for(reason))?;
            space = " ";
        }
        if space.is_empty() { f.write_str("none") } else { Ok(()) }
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

    #[test]
    fn refused_requests_are_counted_by_reason_and_are_no_envelopes() {
        let mut ledger = Ledger::default();
        for reason in RefusalReason::ALL {
            assert_eq!(RefusalReason::ALL.get(reason as usize), Some(&reason));
            ledger.refuse(reason);
        }
        ledger.refuse(RefusalReason::TooLarge);
        assert_eq!(ledger.refused(), 17);
        assert!(ledger.balances(0));
        let reasons = Reasons(&ledger).to_string();
        assert!(
            reasons.starts_with("refused_loop=1 ") && reasons.contains(" refused_too_large=2 "),
            "{reasons}"
        );
    }

    #[test]
    fn rejections_are_counted_by_status() {
        let mut ledger = Ledger::default();
        for status in [401, 413, 401] {
            ledger.reject(status);
        }
        assert_eq!((Reasons(&ledger).to_string(), ledger.rejected), ("http_401=2 http_413=1".to_owned(), 3));
        for status in 500..600 {
            ledger.reject(status);
        }
        assert!(Reasons(&ledger).to_string().ends_with(" http_506=1 http_other=93"), "{}", Reasons(&ledger));
        assert_eq!(ledger.rejected, 103);
    }
}
