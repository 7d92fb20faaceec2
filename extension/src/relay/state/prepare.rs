//! What happens to an envelope before it leaves: limited items are removed, and after a long wait `sent_at` is moved.

use super::State;
use crate::relay::envelope::Envelope;
use crate::relay::ledger::DropReason;
use crate::relay::pending::Pending;
use crate::relay::rate_limits::RateLimitCheck;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// Sentry shifts the times in an envelope whose `sent_at` is 55 minutes off. An envelope that has waited for half of
/// that gets a later `sent_at`; all others stay byte for byte as the SDK wrote them.
const LONG_WAIT: Duration = Duration::from_secs(55 * 60 / 2);

impl State {
    /// Makes an envelope that was taken out of the queue ready to be sent. `None` means that nothing of it remains, and
    /// that this is counted.
    pub(super) fn prepare(&mut self, pending: Pending, now: SystemTime) -> Option<Pending> {
        let check = self.rate_limits.check(&pending.envelope.key, &pending.envelope.items, now);
        let pending = if check.keeps_all() { pending } else { self.within_limits(pending, &check)? };
        // After the clock was set back, nothing is known of the wait.
        match now.duration_since(pending.dated) {
            Ok(wait) if wait >= LONG_WAIT => Some(self.redated(pending, wait, now)),
            _ => Some(pending),
        }
    }

    /// Removes items that upstream would refuse. The envelope was accepted before the limit was known.
    fn within_limits(&mut self, mut pending: Pending, check: &RateLimitCheck) -> Option<Pending> {
        self.queue.release_bytes(pending.envelope.size());
        let Some(rest) = self.remove_limited(&pending.envelope, check) else {
            self.ledger.lose(DropReason::RateLimit, 1);
            self.queue.forget(&pending);
            return None;
        };
        let envelope = rest.without_spare_capacity();
        // The rest is not compressed, so it may be much larger and not fit any more.
        let Some(evicted) = self.queue.reserve(envelope.size(), envelope.priority()) else {
            self.lose(&envelope, DropReason::QueueOverflow);
            self.queue.forget(&pending);
            return None;
        };
        for victim in evicted {
            self.lose(&victim.envelope, DropReason::QueueOverflow);
        }
        pending.envelope = Arc::new(envelope);
        Some(pending)
    }

    /// Moves the `sent_at` of an envelope by its wait. An envelope that grows too much by it leaves as it is: a shifted
    /// time is better than a loss.
    fn redated(&mut self, mut pending: Pending, wait: Duration, now: SystemTime) -> Pending {
        pending.dated = now;
        if let Some(envelope) = pending.envelope.delayed(wait, self.max_body) {
            let envelope = envelope.without_spare_capacity();
            if self.queue.resize(pending.envelope.size(), envelope.size()) {
                pending.envelope = Arc::new(envelope);
            }
        }
        pending
    }
}

impl Envelope {
    /// Returns the envelope with a `sent_at` that is this much later, or `None` if the envelope has none or cannot be
    /// read.
    fn delayed(&self, by: Duration, limit: usize) -> Option<Self> {
        if !self.path.ends_with("/envelope/") {
            return None;
        }
        let body = crate::protocol::sent_at::delayed(self.encoding, &self.body, limit, by)?;
        Some(self.decoded(body))
    }
}

#[cfg(test)]
mod tests;
