//! Envelopes that are being sent: which may start, and what became of each.

use super::State;
use crate::relay::concurrency::Pace;
use crate::relay::lanes::LaneId;
use crate::relay::ledger::{DropReason, Ledger};
use crate::relay::pending::Pending;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Instant, SystemTime};

impl State {
    /// Takes out the next envelope that may be tried and marks it as in flight. If the last try of an upstream failed,
    /// it gets only one try at a time, after each pause. `held` says whether a task waits for deliveries.
    pub(in crate::relay) fn check_out(
        &mut self,
        clock: Instant,
        now: SystemTime,
        held: bool,
    ) -> Option<Pending> {
        let pace = self.pace(clock, held);
        loop {
            let (queue, lanes) = (&mut self.queue, &self.lanes);
            // Faults and other envelopes do not wait for each other. A fault has no time, and a fault that upstream
            // cannot process does not delay the rest.
            let may_start = [false, true].map(|is_fault| {
                let of_lane = |lane: &LaneId| {
                    if is_fault {
                        lanes.may_start_fault(*lane, pace, clock)
                    } else {
                        lanes.may_start(*lane, queue.in_lane(*lane), pace, clock)
                    }
                };
                queue.lanes().filter(of_lane).collect::<Vec<_>>()
            });
            let [of_others, of_faults] = may_start;
            let pending = queue.pop_where(|(lane, is_fault)| {
                if is_fault { of_faults.contains(&lane) } else { of_others.contains(&lane) }
            })?;
            if let Some(pending) = self.prepare(pending, now) {
                self.add_in_flight(&pending);
                return Some(pending);
            }
        }
    }

    fn pace(&self, clock: Instant, held: bool) -> Pace {
        match self.drain_end {
            Some(end) => Pace::Draining(end.saturating_duration_since(clock)),
            None if held => Pace::Held,
            None => Pace::Relaxed,
        }
    }

    /// Ends the delivery of an envelope in flight. `count` records the result in the ledger.
    pub(in crate::relay) fn check_in(&mut self, pending: &Pending, count: impl FnOnce(&mut Ledger)) {
        if self.remove_in_flight(pending) {
            self.queue.release(pending);
            count(&mut self.ledger);
            self.end_fault(&pending.envelope);
        }
    }

    /// Drops an envelope in flight. If it is a fault that the keeper stores, it is counted as spooled instead.
    pub(in crate::relay) fn give_up(&mut self, pending: &Pending, reason: DropReason) {
        if !self.remove_in_flight(pending) {
            return;
        }
        self.queue.release(pending);
        if !self.spool(&pending.envelope) {
            self.lose(&pending.envelope, reason);
        }
    }

    /// Queues an envelope in flight again, for another try.
    pub(in crate::relay) fn put_back(&mut self, mut pending: Pending, reason: DropReason) {
        if self.remove_in_flight(&pending) {
            pending.reason = reason;
            self.queue.put_back(pending);
        }
    }

    /// Queues everything in flight again, because the task that delivered it has panicked.
    pub(in crate::relay) fn reclaim_in_flight(&mut self) {
        self.reports_in_flight = 0;
        for mut pending in std::mem::take(&mut self.in_flight) {
            self.lanes.ended(pending.lane, pending.envelope.size(), pending.is_fault());
            self.count_unanswered(&pending);
            if pending.is_hopeless() {
                // The task panics on each try of this envelope, so more tries are of no use.
                self.queue.release(&pending);
                self.lose(&pending.envelope, DropReason::Internal);
                continue;
            }
            pending.reason = DropReason::Internal;
            pending.attempts = pending.attempts.saturating_add(1);
            self.queue.put_back(pending);
        }
    }

    fn add_in_flight(&mut self, pending: &Pending) {
        self.lanes.started(pending.lane, pending.envelope.size(), pending.is_fault());
        self.in_flight.push(pending.clone());
    }

    /// Removes an envelope from the list of those in flight. Returns `false` after `close`, which has already counted
    /// it.
    fn remove_in_flight(&mut self, pending: &Pending) -> bool {
        let at = self.in_flight.iter().position(|p| Arc::ptr_eq(&p.envelope, &pending.envelope));
        let removed = at.map(|at| self.in_flight.swap_remove(at));
        if let Some(pending) = &removed {
            self.lanes.ended(pending.lane, pending.envelope.size(), pending.is_fault());
            self.count_unanswered(pending);
        }
        removed.is_some()
    }

    /// Counts the requests of a finished try that got no response.
    pub(super) fn count_unanswered(&mut self, pending: &Pending) {
        self.ledger.unanswered += u64::from(pending.unanswered.swap(0, Ordering::Relaxed));
    }
}
