//! What the relay knows at a moment; every transition books itself in the ledger.

use super::client_reports::{ClientReport, ClientReports};
use super::envelope::Envelope;
use super::ledger::{DropReason, Ledger};
use super::outages::Outages;
use super::queue::Queue;
use super::rate_limits::{RateLimitCheck, RateLimits};
use super::unconfirmed::Unconfirmed;
use crate::config::Upstream;
use crate::protocol::{Encoding, without};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::{Duration, Instant, SystemTime};

/// An accepted envelope that is neither delivered nor lost.
#[derive(Clone, Debug)]
pub(crate) struct Pending {
    pub(crate) envelope: Arc<Envelope>,
    /// How often it failed in a way that may be its own fault.
    pub(crate) attempts: u8,
    /// When it was accepted.
    pub(crate) since: SystemTime,
    /// Why it would be lost if this were the end.
    pub(crate) reason: DropReason,
    /// Requests of the present try that went out and have no answer.
    pub(crate) unanswered: Arc<AtomicU8>,
}

/// What upstream falls over so often is itself the trouble.
const MAX_ATTEMPTS: u8 = 10;

impl Pending {
    /// Whether it was tried so often that it is itself the trouble.
    pub(crate) fn is_hopeless(&self) -> bool {
        self.attempts >= MAX_ATTEMPTS
    }
}

/// Enough to hide a round trip of 100 ms at 40 envelopes a second; each connection costs memory.
pub(crate) const IN_FLIGHT_TO_ONE: usize = 4;

/// The state behind the relay's lock.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) ledger: Ledger,
    pub(crate) outages: Outages,
    pub(crate) rate_limits: RateLimits,
    pub(crate) client_reports: ClientReports,
    pub(crate) unconfirmed: Unconfirmed,
    queue: Queue,
    in_flight: Vec<Pending>,
    reports_in_flight: usize,
    max_body: usize,
    draining: bool,
    closed: bool,
}

impl State {
    /// `buffer` bounds the queue and `max_body` what an envelope decodes to, both in bytes.
    pub(crate) fn new(buffer: usize, max_body: usize) -> Self {
        Self {
            ledger: Ledger::default(),
            outages: Outages::default(),
            rate_limits: RateLimits::default(),
            client_reports: ClientReports::default(),
            unconfirmed: Unconfirmed::default(),
            queue: Queue::new(buffer),
            in_flight: Vec::new(),
            reports_in_flight: 0,
            max_body,
            draining: false,
            closed: false,
        }
    }

    /// Takes out of an envelope what rate limits forbid. Gives back what is left to accept, and, where
    /// something was removed, the seconds until a try makes sense.
    pub(crate) fn admit(&mut self, envelope: Envelope, now: SystemTime) -> (Option<Envelope>, Option<u64>) {
        let check = self.rate_limits.check(&envelope.key, &envelope.items, now);
        if check.keeps_all() {
            return (Some(envelope), None);
        }
        let retry_after = check.retry_after;
        (self.strip(envelope, &check), Some(retry_after))
    }

    /// Queues an envelope; gives back how many went for it.
    pub(crate) fn accept(&mut self, envelope: Envelope, now: SystemTime) -> u64 {
        self.ledger.accepted += 1;
        if self.closed {
            self.ledger.lose(DropReason::Shutdown, 1);
            return 0;
        }
        let pending = Pending {
            envelope: Arc::new(envelope.fitted()),
            attempts: 0,
            since: now,
            reason: DropReason::Shutdown,
            unanswered: Arc::default(),
        };
        let evicted = self.queue.push(pending);
        for victim in &evicted {
            self.lose(&victim.envelope, DropReason::QueueOverflow);
        }
        evicted.len() as u64
    }

    /// The next envelope that may be tried, now in flight. While an upstream is in trouble, one try at a
    /// time is enough for it, after each pause.
    pub(crate) fn check_out(&mut self, clock: Instant, now: SystemTime) -> Option<Pending> {
        loop {
            let (outages, in_flight, draining) = (&self.outages, &self.in_flight, self.draining);
            let pending = self.queue.pop_where(|pending| {
                let upstream = &pending.envelope.upstream;
                let others = in_flight.iter().filter(|p| p.envelope.upstream == *upstream).count();
                let paused = || outages.pause(upstream, clock).is_some();
                let most = if draining || !outages.has(upstream) { IN_FLIGHT_TO_ONE } else { 1 };
                others < most && !paused()
            })?;
            let check = self.rate_limits.check(&pending.envelope.key, &pending.envelope.items, now);
            if check.keeps_all() {
                self.in_flight.push(pending.clone());
                return Some(pending);
            }
            // Accepted before the limit was known: what it forbids need not be carried to upstream.
            self.queue.release(pending.envelope.size());
            let Pending { envelope, attempts, since, reason, unanswered } = pending;
            match self.strip(Arc::unwrap_or_clone(envelope), &check) {
                Some(rest) => {
                    let envelope = Arc::new(rest.fitted());
                    // Without its compression it may be larger by far, and then not fit any more.
                    let Some(evicted) = self.queue.hold(envelope.size(), envelope.priority()) else {
                        self.lose(&envelope, DropReason::QueueOverflow);
                        continue;
                    };
                    for victim in evicted {
                        self.lose(&victim.envelope, DropReason::QueueOverflow);
                    }
                    let pending = Pending { envelope, attempts, since, reason, unanswered };
                    self.in_flight.push(pending.clone());
                    return Some(pending);
                }
                None => self.ledger.lose(DropReason::RateLimit, 1),
            }
        }
    }

    /// The fate of an envelope in flight is known: `book` enters it.
    pub(crate) fn check_in(&mut self, pending: &Pending, book: impl FnOnce(&mut Ledger)) {
        if self.land(pending) {
            self.queue.release(pending.envelope.size());
            book(&mut self.ledger);
        }
    }

    /// Relay has taken an envelope in flight, in the life of that number; not yet delivered.
    pub(crate) fn hand_over(&mut self, pending: &Pending, life: u32, now: SystemTime) {
        if self.land(pending) {
            self.queue.release(pending.envelope.size());
            if !self.unconfirmed.take(life, now) {
                self.ledger.lose(DropReason::SentryRelay, 1);
            }
        }
    }

    /// A barrier has passed behind so many envelopes.
    pub(crate) fn passed(&mut self, envelopes: u64, now: SystemTime) {
        self.ledger.delivered += self.unconfirmed.release(envelopes, now);
    }

    /// Relay has ended, or will not be asked any more: what it has is lost, as far as anyone can tell.
    pub(crate) fn abandon_unconfirmed(&mut self) -> u64 {
        let lost = self.unconfirmed.abandon();
        self.ledger.lose(DropReason::SentryRelay, lost);
        lost
    }

    /// An envelope in flight is lost.
    pub(crate) fn give_up(&mut self, pending: &Pending, reason: DropReason) {
        if self.land(pending) {
            self.queue.release(pending.envelope.size());
            self.lose(&pending.envelope, reason);
        }
    }

    /// An envelope in flight has to wait for another try.
    pub(crate) fn put_back(&mut self, mut pending: Pending, reason: DropReason) {
        if self.land(&pending) {
            pending.reason = reason;
            self.queue.put_back(pending);
        }
    }

    /// Puts everything in flight back: the task that carried it has panicked.
    pub(crate) fn reclaim_in_flight(&mut self) {
        self.reports_in_flight = 0;
        for mut pending in std::mem::take(&mut self.in_flight) {
            self.doubt(&pending);
            if pending.is_hopeless() {
                // What breaks its carrier each time cannot do so for ever.
                self.queue.release(pending.envelope.size());
                self.lose(&pending.envelope, DropReason::Internal);
                continue;
            }
            pending.reason = DropReason::Internal;
            pending.attempts = pending.attempts.saturating_add(1);
            self.queue.put_back(pending);
        }
    }

    /// The next client report that may go, now in flight.
    pub(crate) fn check_out_report(&mut self, now: SystemTime) -> Option<ClientReport> {
        // At the end a report waits for the last envelope to its upstream, which may still be lost.
        let awaited = |upstream: &Arc<Upstream>| {
            let mut left = self.in_flight.iter().chain(self.queue.iter());
            self.draining && left.any(|pending| pending.envelope.upstream == *upstream)
        };
        let ready = |upstream: &Arc<Upstream>| !self.outages.has(upstream) && !awaited(upstream);
        let report = self.client_reports.take(now, self.draining, ready)?;
        self.reports_in_flight += 1;
        Some(report)
    }

    /// The fate of a report is known; one that did not arrive is kept for later, if there is a later.
    pub(crate) fn check_in_report(&mut self, report: ClientReport, arrived: bool) {
        self.reports_in_flight = self.reports_in_flight.saturating_sub(1);
        if !arrived && !self.draining {
            self.client_reports.give_back(report);
        }
    }

    /// There will be no later: pauses end, and failures are tried again at short intervals.
    pub(crate) fn start_draining(&mut self) {
        self.draining = true;
        self.outages.end_pauses();
    }

    /// Books what is left as lost, and takes nothing more. `why` counts for more than what is known of each.
    pub(crate) fn close(&mut self, why: Option<DropReason>) {
        self.closed = true;
        let mut in_flight = std::mem::take(&mut self.in_flight);
        for pending in &mut in_flight {
            self.doubt(pending);
            if pending.reason == DropReason::Shutdown {
                // There was a try, and upstream did not answer in time.
                pending.reason = DropReason::Network;
            }
        }
        let waiting = std::iter::from_fn(|| self.queue.pop_where(|_| true));
        for pending in in_flight.into_iter().chain(waiting) {
            self.ledger.lose(why.unwrap_or(pending.reason), 1);
        }
        self.abandon_unconfirmed();
    }

    pub(crate) fn draining(&self) -> bool {
        self.draining
    }

    /// Whether nothing is queued or in flight.
    pub(crate) fn is_idle(&self) -> bool {
        self.queue.is_empty() && self.in_flight.is_empty()
    }

    /// Whether there is nothing left to do: no envelope, and no report that could be sent.
    pub(crate) fn is_drained(&self) -> bool {
        let outages = &self.outages;
        self.is_idle()
            && self.reports_in_flight == 0
            && !self.client_reports.any(|upstream| !outages.has(upstream))
    }

    /// Whether each upstream that something waits for is in trouble; where nothing waits, any that is.
    pub(crate) fn is_troubled(&self) -> bool {
        let mut waiting = self.in_flight.iter().chain(self.queue.iter());
        if self.is_idle() && self.unconfirmed.held() > 0 {
            return self.unconfirmed.failing();
        }
        self.outages.any() && waiting.all(|pending| self.outages.has(&pending.envelope.upstream))
    }

    /// How many are queued, in flight or with Relay.
    pub(crate) fn pending(&self) -> u64 {
        (self.queue.len() + self.in_flight.len()) as u64 + self.unconfirmed.held()
    }

    /// When the envelope that waits longest was accepted.
    pub(crate) fn oldest(&self) -> Option<SystemTime> {
        let waiting = self.in_flight.iter().chain(self.queue.iter()).map(|pending| pending.since);
        waiting.chain(self.unconfirmed.since()).min()
    }

    /// Whether an envelope to this upstream changes nothing for the pump, which has to look through all that wait: it
    /// is up to the end of a pause, and the pump, since something waits, knows when that is.
    pub(crate) fn waits_out_a_pause(&self, upstream: &Arc<Upstream>, clock: Instant) -> bool {
        !self.queue.is_empty() && self.outages.pause(upstream, clock).is_some()
    }

    /// How long until a pause ends that something waits for.
    pub(crate) fn pause(&self, clock: Instant) -> Option<Duration> {
        if self.queue.is_empty() { None } else { self.outages.shortest_pause(clock) }
    }

    fn lose(&mut self, envelope: &Envelope, reason: DropReason) {
        self.ledger.lose(reason, 1);
        self.client_reports.lose(envelope, &envelope.items, reason);
    }

    /// Takes the forbidden items out of an envelope and reports them; `None`: nothing is left.
    fn strip(&mut self, envelope: Envelope, check: &RateLimitCheck) -> Option<Envelope> {
        let rest = if check.keeps_none() {
            None
        } else {
            without(envelope.encoding, &envelope.body, self.max_body, &check.keep)
        };
        let kept = |keep: bool| rest.is_some() && keep;
        let items = || envelope.items.iter().zip(&check.keep);
        let removed = items().filter(|(_, keep)| !kept(**keep)).map(|(item, _)| item);
        self.client_reports.lose(&envelope, removed, DropReason::RateLimit);
        let items = items().filter(|(_, keep)| kept(**keep)).map(|(item, _)| *item).collect();
        let is_encoding = |name| name == hyper::header::CONTENT_ENCODING;
        let headers = envelope.headers.iter().filter(|(name, _)| !is_encoding(name)).cloned().collect();
        let body = rest?.into();
        Some(Envelope { headers, items, body, encoding: Encoding::Identity, ..envelope })
    }

    /// Takes an envelope off the list of those in flight; `false` after `close`, which has booked it.
    fn land(&mut self, pending: &Pending) -> bool {
        let at = self.in_flight.iter().position(|p| Arc::ptr_eq(&p.envelope, &pending.envelope));
        let landed = at.map(|at| self.in_flight.swap_remove(at));
        if let Some(pending) = &landed {
            self.doubt(pending);
        }
        landed.is_some()
    }

    /// Books what a try that is over leaves without an answer.
    fn doubt(&mut self, pending: &Pending) {
        self.ledger.unanswered += u64::from(pending.unanswered.swap(0, Ordering::Relaxed));
    }
}

#[cfg(test)]
mod tests;
