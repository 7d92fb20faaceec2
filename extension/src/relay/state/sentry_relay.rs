//! The part of the state about envelopes that Sentry's Relay has taken.

use super::State;
use crate::relay::ledger::DropReason;
use crate::relay::pending::Pending;
use std::time::{Duration, Instant, SystemTime};

impl State {
    /// Records that Sentry's Relay has taken an envelope in flight, but has not delivered it yet. `life` is the number
    /// of the start in which it took the envelope. If that life has ended, the envelope is lost, except a fault, which
    /// is tried again.
    pub(in crate::relay) fn hand_over(&mut self, pending: Pending, life: u32, now: SystemTime) {
        if !self.remove_in_flight(&pending) {
            return;
        }
        self.queue.release(&pending);
        match (self.unconfirmed.take(life, now), pending.is_fault()) {
            (true, true) => self.unconfirmed_faults.push(pending),
            (true, false) => {}
            (false, true) => self.queue_again(pending),
            (false, false) => self.ledger.lose(DropReason::SentryRelay, 1),
        }
    }

    /// Records that Sentry's Relay was started and is ready. `life` is the number of this start.
    pub(in crate::relay) fn begin_life(&mut self, life: u32) {
        self.unconfirmed.begin(life);
    }

    /// Returns how many envelopes Sentry's Relay has taken and may not have delivered yet.
    pub(in crate::relay) fn unconfirmed(&self) -> u64 {
        self.unconfirmed.held()
    }

    /// Returns the time until the next flush barrier. `None` means that none is needed. `wanted` says that a task
    /// waits.
    pub(in crate::relay) fn next_barrier(
        &self,
        wanted: bool,
        clock: Instant,
        now: SystemTime,
    ) -> Option<Duration> {
        self.unconfirmed.due(wanted, clock, now)
    }

    /// Records that a barrier has passed, which confirms this number of envelopes. Returns whether the barrier before
    /// it had failed.
    pub(in crate::relay) fn barrier_passed(&mut self, envelopes: u64, now: SystemTime) -> bool {
        let recovered = self.unconfirmed.failing();
        self.ledger.delivered += self.unconfirmed.release(envelopes, now);
        // Of what is confirmed, the oldest comes first.
        let held = usize::try_from(self.unconfirmed.held()).unwrap_or(usize::MAX);
        let confirmed = self.unconfirmed_faults.len().saturating_sub(held);
        self.unconfirmed_faults.drain(..confirmed);
        recovered
    }

    /// Records that a barrier has failed. Returns whether it is the first failure since one passed.
    pub(in crate::relay) fn barrier_failed(&mut self, clock: Instant) -> bool {
        let is_first = !self.unconfirmed.failing();
        self.unconfirmed.failed(clock);
        is_first
    }

    /// Counts the unconfirmed envelopes as dropped, and returns their number. Sentry's Relay has ended or will not be
    /// asked again, so nothing can confirm them. Faults are queued again instead: Sentry recognizes an event that it
    /// has already.
    pub(in crate::relay) fn abandon_unconfirmed(&mut self) -> u64 {
        let held = self.unconfirmed.abandon();
        let again = std::mem::take(&mut self.unconfirmed_faults);
        let lost = held.saturating_sub(again.len() as u64);
        self.ledger.lose(DropReason::SentryRelay, lost);
        for fault in again {
            self.queue_again(fault);
        }
        lost
    }

    /// Queues a fault that Sentry's Relay had taken.
    fn queue_again(&mut self, mut fault: Pending) {
        fault.reason = DropReason::SentryRelay;
        for dropped in self.queue.push(fault) {
            self.lose(&dropped.envelope, DropReason::SentryRelay);
        }
    }
}
