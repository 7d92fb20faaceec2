//! The state of the relay. Every change of an envelope's state is also counted in the ledger.

mod prepare;
mod sentry_relay;
mod upstreams;

use super::client_reports::{ClientReport, ClientReports};
use super::envelope::Envelope;
use super::ledger::{DropReason, Ledger};
use super::outages::Outages;
use super::pending::Pending;
use super::queue::Queue;
use super::rate_limits::RateLimits;
use super::unconfirmed::Unconfirmed;
use crate::config::Upstream;
use crate::protocol::Priority;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant, SystemTime};

/// The most envelopes in flight to one upstream. Four are enough for 40 envelopes a second at a round trip of 100 ms;
/// more connections would cost memory.
pub(super) const IN_FLIGHT_TO_ONE: usize = 4;

#[derive(Debug)]
pub(super) struct State {
    ledger: Ledger,
    outages: Outages,
    rate_limits: RateLimits,
    client_reports: ClientReports,
    unconfirmed: Unconfirmed,
    /// The faults among the unconfirmed envelopes, of which nothing else is kept.
    unconfirmed_faults: Vec<Pending>,
    queue: Queue,
    in_flight: Vec<Pending>,
    reports_in_flight: usize,
    max_body: usize,
    draining: bool,
    closed: bool,
}

impl State {
    /// `buffer` is the bound of the queue and `max_body` that of a decompressed envelope, both in bytes.
    pub(super) fn new(buffer: usize, max_body: usize) -> Self {
        Self {
            ledger: Ledger::default(),
            outages: Outages::default(),
            rate_limits: RateLimits::default(),
            client_reports: ClientReports::default(),
            unconfirmed: Unconfirmed::default(),
            unconfirmed_faults: Vec::new(),
            queue: Queue::new(buffer),
            in_flight: Vec::new(),
            reports_in_flight: 0,
            max_body,
            draining: false,
            closed: false,
        }
    }

    /// Removes the items that rate limits forbid. Returns the rest of the envelope, if there is any, and, if an item
    /// was removed, the seconds until the SDK may try again.
    pub(super) fn admit(&mut self, envelope: Envelope, now: SystemTime) -> (Option<Envelope>, Option<u64>) {
        let check = self.rate_limits.check(&envelope.key, &envelope.items, now);
        if check.keeps_all() {
            return (Some(envelope), None);
        }
        let retry_after = check.retry_after;
        (self.remove_limited(&envelope, &check), Some(retry_after))
    }

    /// Queues an envelope. Returns how many envelopes were dropped because the buffer is full.
    pub(super) fn accept(&mut self, envelope: Envelope, now: SystemTime) -> u64 {
        self.ledger.accepted += 1;
        if self.closed {
            self.ledger.lose(DropReason::Shutdown, 1);
            return 0;
        }
        let pending = Pending {
            envelope: Arc::new(envelope.without_spare_capacity()),
            attempts: 0,
            since: now,
            dated: now,
            reason: DropReason::Shutdown,
            unanswered: Arc::default(),
        };
        let evicted = self.queue.push(pending);
        for victim in &evicted {
            self.lose(&victim.envelope, DropReason::QueueOverflow);
        }
        evicted.len() as u64
    }

    /// Takes out the next envelope that may be tried and marks it as in flight. If the last try of an upstream failed,
    /// it gets only one try at a time, after each pause.
    pub(super) fn check_out(&mut self, clock: Instant, now: SystemTime) -> Option<Pending> {
        loop {
            let pending = self.queue.pop_where(|pending| {
                let upstream = &pending.envelope.upstream;
                let is_fault = pending.is_fault();
                // Faults and other envelopes do not wait for each other: a fault has no time, and if upstream cannot
                // process a fault, that does not delay the rest.
                let is_other = |p: &&Pending| p.envelope.upstream == *upstream && p.is_fault() == is_fault;
                let others = self.in_flight.iter().filter(is_other).count();
                let most = if self.draining || !self.outages.has(upstream) { IN_FLIGHT_TO_ONE } else { 1 };
                others < most && self.outages.pause(upstream, clock).is_none()
            })?;
            if let Some(pending) = self.prepare(pending, now) {
                self.in_flight.push(pending.clone());
                return Some(pending);
            }
        }
    }

    /// Ends the delivery of an envelope in flight. `count` records the result in the ledger.
    pub(super) fn check_in(&mut self, pending: &Pending, count: impl FnOnce(&mut Ledger)) {
        if self.remove_in_flight(pending) {
            self.queue.release(pending.envelope.size());
            count(&mut self.ledger);
        }
    }

    /// Drops an envelope in flight. If it is a fault that `keep` stores, it is counted as spooled instead.
    pub(super) fn give_up(
        &mut self,
        pending: &Pending,
        reason: DropReason,
        keep: impl FnOnce(&Envelope) -> bool,
    ) {
        if !self.remove_in_flight(pending) {
            return;
        }
        self.queue.release(pending.envelope.size());
        if pending.is_fault() && keep(&pending.envelope) {
            self.ledger.spooled += 1;
        } else {
            self.lose(&pending.envelope, reason);
        }
    }

    /// Queues an envelope in flight again, for another try.
    pub(super) fn put_back(&mut self, mut pending: Pending, reason: DropReason) {
        if self.remove_in_flight(&pending) {
            pending.reason = reason;
            self.queue.put_back(pending);
        }
    }

    /// Queues everything in flight again, because the task that delivered it has panicked.
    pub(super) fn reclaim_in_flight(&mut self) {
        self.reports_in_flight = 0;
        for mut pending in std::mem::take(&mut self.in_flight) {
            self.count_unanswered(&pending);
            if pending.is_hopeless() {
                // The task panics on each try of this envelope, so more tries are of no use.
                self.queue.release(pending.envelope.size());
                self.lose(&pending.envelope, DropReason::Internal);
                continue;
            }
            pending.reason = DropReason::Internal;
            pending.attempts = pending.attempts.saturating_add(1);
            self.queue.put_back(pending);
        }
    }

    /// Takes out the next client report that may be sent and marks it as in flight.
    pub(super) fn check_out_report(&mut self, now: SystemTime) -> Option<ClientReport> {
        // While draining, a report waits until no envelope to its upstream remains: such an envelope may still be lost,
        // and the report has to count it.
        let awaited = |upstream: &Arc<Upstream>| {
            let mut left = self.in_flight.iter().chain(self.queue.iter());
            self.draining && left.any(|pending| pending.envelope.upstream == *upstream)
        };
        let ready = |upstream: &Arc<Upstream>| !self.outages.has(upstream) && !awaited(upstream);
        let report = self.client_reports.take(now, self.draining, ready)?;
        self.reports_in_flight += 1;
        Some(report)
    }

    /// Ends the delivery of a report. If it did not arrive, its losses are reported later, except while draining.
    pub(super) fn check_in_report(&mut self, report: ClientReport, arrived: bool) {
        self.reports_in_flight = self.reports_in_flight.saturating_sub(1);
        if !arrived && !self.draining {
            self.client_reports.give_back(report);
        }
    }

    /// Starts the drain at SHUTDOWN: all pauses end, and failed tries are repeated at short intervals.
    pub(super) fn start_draining(&mut self) {
        self.draining = true;
        self.outages.end_pauses();
    }

    /// Counts all remaining envelopes as dropped, and accepts nothing more. `why` replaces the reason of each envelope.
    /// `keep` stores a fault and returns whether it could: then the fault is counted as spooled instead.
    pub(super) fn close(&mut self, why: Option<DropReason>, keep: impl Fn(&Envelope) -> bool) {
        self.closed = true;
        // Before the rest, because it queues faults again.
        self.abandon_unconfirmed();
        let mut in_flight = std::mem::take(&mut self.in_flight);
        for pending in &mut in_flight {
            self.count_unanswered(pending);
            if pending.reason == DropReason::Shutdown {
                // The envelope was tried, and upstream did not answer in time.
                pending.reason = DropReason::Network;
            }
        }
        let waiting = std::iter::from_fn(|| self.queue.pop_where(|_| true));
        for pending in in_flight.into_iter().chain(waiting) {
            if pending.is_fault() && keep(&pending.envelope) {
                self.ledger.spooled += 1;
            } else {
                self.ledger.lose(why.unwrap_or(pending.reason), 1);
            }
        }
    }

    pub(super) fn ledger(&self) -> Ledger {
        self.ledger
    }

    pub(super) fn draining(&self) -> bool {
        self.draining
    }

    /// Whether a fault waits in the queue.
    pub(super) fn has_waiting_fault(&self) -> bool {
        self.queue.has(Priority::Fault)
    }

    /// Whether nothing is queued or in flight.
    pub(super) fn is_idle(&self) -> bool {
        self.queue.is_empty() && self.in_flight.is_empty()
    }

    /// Whether the drain is finished: no envelope and no report that could be sent remains.
    pub(super) fn is_drained(&self) -> bool {
        let outages = &self.outages;
        self.is_idle()
            && self.reports_in_flight == 0
            && !self.client_reports.any(|upstream| !outages.has(upstream))
    }

    /// Whether the last try failed for each upstream that has envelopes waiting. If nothing waits, whether it failed
    /// for any upstream.
    pub(super) fn is_troubled(&self) -> bool {
        let mut waiting = self.in_flight.iter().chain(self.queue.iter());
        if self.is_idle() && self.unconfirmed.held() > 0 {
            return self.unconfirmed.failing();
        }
        self.outages.any() && waiting.all(|pending| self.outages.has(&pending.envelope.upstream))
    }

    /// Returns how many envelopes are queued, in flight, or taken by Sentry's Relay and not confirmed.
    pub(super) fn pending(&self) -> u64 {
        (self.queue.len() + self.in_flight.len()) as u64 + self.unconfirmed.held()
    }

    /// Returns when the oldest pending envelope was accepted.
    pub(super) fn oldest(&self) -> Option<SystemTime> {
        let waiting = self.in_flight.iter().chain(self.queue.iter()).map(|pending| pending.since);
        waiting.chain(self.unconfirmed.since()).min()
    }

    /// Whether a new envelope for this upstream need not wake the pump. The upstream is paused, and other envelopes
    /// wait, so the pump already has a timer. Each wake-up would make the pump search the whole queue for nothing.
    pub(super) fn is_waiting_for_pause(&self, upstream: &Arc<Upstream>, clock: Instant) -> bool {
        !self.queue.is_empty() && self.outages.pause(upstream, clock).is_some()
    }

    /// Returns the time until the first pause ends, if an envelope waits.
    pub(super) fn pause(&self, clock: Instant) -> Option<Duration> {
        if self.queue.is_empty() { None } else { self.outages.shortest_pause(clock) }
    }

    fn lose(&mut self, envelope: &Envelope, reason: DropReason) {
        self.ledger.lose(reason, 1);
        self.client_reports.lose(envelope, &envelope.items, reason);
    }

    /// Removes an envelope from the list of those in flight. Returns `false` after `close`, which has already counted
    /// it.
    fn remove_in_flight(&mut self, pending: &Pending) -> bool {
        let at = self.in_flight.iter().position(|p| Arc::ptr_eq(&p.envelope, &pending.envelope));
        let removed = at.map(|at| self.in_flight.swap_remove(at));
        if let Some(pending) = &removed {
            self.count_unanswered(pending);
        }
        removed.is_some()
    }

    /// Counts the requests of a finished try that got no response.
    fn count_unanswered(&mut self, pending: &Pending) {
        self.ledger.unanswered += u64::from(pending.unanswered.swap(0, Ordering::Relaxed));
    }
}

#[cfg(test)]
mod tests;
