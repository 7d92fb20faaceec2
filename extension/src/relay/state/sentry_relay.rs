//! What the state knows of envelopes that Sentry's Relay has taken.

use super::State;
use crate::relay::ledger::DropReason;
use crate::relay::pending::Pending;
use std::time::{Duration, Instant, SystemTime};

impl State {
    /// Relay has taken an envelope in flight, in the life of that number; not yet delivered.
    pub(in crate::relay) fn hand_over(&mut self, pending: &Pending, life: u32, now: SystemTime) {
        if self.land(pending) {
            self.queue.release(pending.envelope.size());
            if !self.unconfirmed.take(life, now) {
                self.ledger.lose(DropReason::SentryRelay, 1);
            }
        }
    }

    /// Another life of Sentry's Relay has begun.
    pub(in crate::relay) fn begin_life(&mut self, life: u32) {
        self.unconfirmed.begin(life);
    }

    /// How many envelopes Sentry's Relay has taken and may not have delivered yet.
    pub(in crate::relay) fn unconfirmed(&self) -> u64 {
        self.unconfirmed.held()
    }

    /// The time until the next flush barrier; `None` means that none is needed.
    pub(in crate::relay) fn next_barrier(
        &self,
        wanted: bool,
        clock: Instant,
        now: SystemTime,
    ) -> Option<Duration> {
        self.unconfirmed.due(wanted, clock, now)
    }

    /// A barrier has passed behind so many envelopes. Returns whether the one before it had failed.
    pub(in crate::relay) fn barrier_passed(&mut self, envelopes: u64, now: SystemTime) -> bool {
        let recovered = self.unconfirmed.failing();
        self.ledger.delivered += self.unconfirmed.release(envelopes, now);
        recovered
    }

    /// A barrier has not passed. Returns whether the one before it had.
    pub(in crate::relay) fn barrier_failed(&mut self, clock: Instant) -> bool {
        let is_first = !self.unconfirmed.failing();
        self.unconfirmed.failed(clock);
        is_first
    }

    /// Relay has ended, or will not be asked any more: what it has is lost, as far as anyone can tell.
    pub(in crate::relay) fn abandon_unconfirmed(&mut self) -> u64 {
        let lost = self.unconfirmed.abandon();
        self.ledger.lose(DropReason::SentryRelay, lost);
        lost
    }
}
