//! What the relay knows at a moment; every transition books itself in the ledger.

use super::envelope::Envelope;
use super::ledger::{Ledger, Loss};
use super::limits::{Check, Limits};
use super::outages::Outages;
use super::process::Custody;
use super::queue::Queue;
use super::reports::{Report, Reports};
use crate::config::Upstream;
use crate::wire::{Encoding, without};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::{Duration, Instant, SystemTime};

/// An accepted envelope that is neither delivered nor lost.
#[derive(Clone, Debug)]
pub(super) struct Pending {
    pub(super) envelope: Arc<Envelope>,
    /// How often it failed in a way that may be its own fault.
    pub(super) attempts: u8,
    /// When it was accepted.
    pub(super) since: SystemTime,
    /// Why it would be lost if this were the end.
    pub(super) loss: Loss,
    /// Requests of the present try that went out and have no answer.
    pub(super) unanswered: Arc<AtomicU8>,
}

/// What upstream falls over so often is itself the trouble.
const MAX_ATTEMPTS: u8 = 10;

impl Pending {
    /// Whether it was tried so often that it is itself the trouble.
    pub(super) fn is_hopeless(&self) -> bool {
        self.attempts >= MAX_ATTEMPTS
    }
}

/// Enough to hide a round trip of 100 ms at 40 envelopes a second; each connection costs memory.
pub(super) const IN_FLIGHT_TO_ONE: usize = 4;

/// The state behind the relay's lock.
#[derive(Debug)]
pub(super) struct State {
    pub(super) ledger: Ledger,
    pub(super) outages: Outages,
    pub(super) limits: Limits,
    pub(super) reports: Reports,
    pub(super) custody: Custody,
    queue: Queue,
    in_flight: Vec<Pending>,
    reports_in_flight: usize,
    max_body: usize,
    draining: bool,
    closed: bool,
}

impl State {
    /// `buffer` bounds the queue and `max_body` what an envelope decodes to, both in bytes.
    pub(super) fn new(buffer: usize, max_body: usize) -> Self {
        Self {
            ledger: Ledger::default(),
            outages: Outages::default(),
            limits: Limits::default(),
            reports: Reports::default(),
            custody: Custody::default(),
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
    pub(super) fn admit(&mut self, envelope: Envelope, now: SystemTime) -> (Option<Envelope>, Option<u64>) {
        let check = self.limits.check(&envelope.key, &envelope.items, now);
        if check.keeps_all() {
            return (Some(envelope), None);
        }
        let retry_after = check.retry_after;
        (self.strip(envelope, &check), Some(retry_after))
    }

    /// Queues an envelope; gives back how many went for it.
    pub(super) fn accept(&mut self, envelope: Envelope, now: SystemTime) -> u64 {
        self.ledger.accepted += 1;
        if self.closed {
            self.ledger.lose(Loss::Shutdown, 1);
            return 0;
        }
        let pending = Pending {
            envelope: Arc::new(envelope.fitted()),
            attempts: 0,
            since: now,
            loss: Loss::Shutdown,
            unanswered: Arc::default(),
        };
        let evicted = self.queue.push(pending);
        for victim in &evicted {
            self.lose(&victim.envelope, Loss::QueueOverflow);
        }
        evicted.len() as u64
    }

    /// The next envelope that may be tried, now in flight. While an upstream is in trouble, one try at a
    /// time is enough for it, after each pause.
    pub(super) fn check_out(&mut self, clock: Instant, now: SystemTime) -> Option<Pending> {
        loop {
            let (outages, in_flight, draining) = (&self.outages, &self.in_flight, self.draining);
            let pending = self.queue.pop_where(|pending| {
                let upstream = &pending.envelope.upstream;
                let others = in_flight.iter().filter(|p| p.envelope.upstream == *upstream).count();
                let paused = || outages.pause(upstream, clock).is_some();
                let most = if draining || !outages.has(upstream) { IN_FLIGHT_TO_ONE } else { 1 };
                others < most && !paused()
            })?;
            let check = self.limits.check(&pending.envelope.key, &pending.envelope.items, now);
            if check.keeps_all() {
                self.in_flight.push(pending.clone());
                return Some(pending);
            }
            // Accepted before the limit was known: what it forbids need not be carried to upstream.
            self.queue.release(pending.envelope.size());
            let Pending { envelope, attempts, since, loss, unanswered } = pending;
            match self.strip(Arc::unwrap_or_clone(envelope), &check) {
                Some(rest) => {
                    let envelope = Arc::new(rest.fitted());
                    // Without its compression it may be larger by far, and then not fit any more.
                    let Some(evicted) = self.queue.hold(envelope.size(), envelope.value()) else {
                        self.lose(&envelope, Loss::QueueOverflow);
                        continue;
                    };
                    for victim in evicted {
                        self.lose(&victim.envelope, Loss::QueueOverflow);
                    }
                    let pending = Pending { envelope, attempts, since, loss, unanswered };
                    self.in_flight.push(pending.clone());
                    return Some(pending);
                }
                None => self.ledger.lose(Loss::RateLimit, 1),
            }
        }
    }

    /// The fate of an envelope in flight is known: `book` enters it.
    pub(super) fn check_in(&mut self, pending: &Pending, book: impl FnOnce(&mut Ledger)) {
        if self.land(pending) {
            self.queue.release(pending.envelope.size());
            book(&mut self.ledger);
        }
    }

    /// Relay has taken an envelope in flight, in the life of that number; not yet delivered.
    pub(super) fn hand_over(&mut self, pending: &Pending, life: u32, now: SystemTime) {
        if self.land(pending) {
            self.queue.release(pending.envelope.size());
            if !self.custody.take(life, now) {
                self.ledger.lose(Loss::Relay, 1);
            }
        }
    }

    /// A barrier has passed behind so many envelopes.
    pub(super) fn passed(&mut self, envelopes: u64, now: SystemTime) {
        self.ledger.delivered += self.custody.release(envelopes, now);
    }

    /// Relay has ended, or will not be asked any more: what it has is lost, as far as anyone can tell.
    pub(super) fn abandon_custody(&mut self) -> u64 {
        let lost = self.custody.abandon();
        self.ledger.lose(Loss::Relay, lost);
        lost
    }

    /// An envelope in flight is lost.
    pub(super) fn give_up(&mut self, pending: &Pending, loss: Loss) {
        if self.land(pending) {
            self.queue.release(pending.envelope.size());
            self.lose(&pending.envelope, loss);
        }
    }

    /// An envelope in flight has to wait for another try.
    pub(super) fn put_back(&mut self, mut pending: Pending, loss: Loss) {
        if self.land(&pending) {
            pending.loss = loss;
            self.queue.put_back(pending);
        }
    }

    /// Puts everything in flight back: whoever carried it has come to grief.
    pub(super) fn reclaim_in_flight(&mut self) {
        self.reports_in_flight = 0;
        for mut pending in std::mem::take(&mut self.in_flight) {
            self.doubt(&pending);
            if pending.is_hopeless() {
                // What breaks its carrier each time cannot do so for ever.
                self.queue.release(pending.envelope.size());
                self.lose(&pending.envelope, Loss::Internal);
                continue;
            }
            pending.loss = Loss::Internal;
            pending.attempts = pending.attempts.saturating_add(1);
            self.queue.put_back(pending);
        }
    }

    /// The next client report that may go, now in flight.
    pub(super) fn check_out_report(&mut self, now: SystemTime) -> Option<Report> {
        // At the end a report waits for the last envelope to its upstream, which may still be lost.
        let awaited = |upstream: &Arc<Upstream>| {
            let mut left = self.in_flight.iter().chain(self.queue.iter());
            self.draining && left.any(|pending| pending.envelope.upstream == *upstream)
        };
        let ready = |upstream: &Arc<Upstream>| !self.outages.has(upstream) && !awaited(upstream);
        let report = self.reports.take(now, self.draining, ready)?;
        self.reports_in_flight += 1;
        Some(report)
    }

    /// The fate of a report is known; one that did not arrive is kept for later, if there is a later.
    pub(super) fn check_in_report(&mut self, report: Report, arrived: bool) {
        self.reports_in_flight = self.reports_in_flight.saturating_sub(1);
        if !arrived && !self.draining {
            self.reports.give_back(report);
        }
    }

    /// There will be no later: pauses end, and failures are tried again at short intervals.
    pub(super) fn start_draining(&mut self) {
        self.draining = true;
        self.outages.end_pauses();
    }

    /// Books what is left as lost, and takes nothing more. `why` counts for more than what is known of each.
    pub(super) fn close(&mut self, why: Option<Loss>) {
        self.closed = true;
        let mut in_flight = std::mem::take(&mut self.in_flight);
        for pending in &mut in_flight {
            self.doubt(pending);
            if pending.loss == Loss::Shutdown {
                // There was a try, and upstream did not answer in time.
                pending.loss = Loss::Network;
            }
        }
        let waiting = std::iter::from_fn(|| self.queue.pop_where(|_| true));
        for pending in in_flight.into_iter().chain(waiting) {
            self.ledger.lose(why.unwrap_or(pending.loss), 1);
        }
        self.abandon_custody();
    }

    pub(super) fn draining(&self) -> bool {
        self.draining
    }

    /// Whether nothing is queued or in flight.
    pub(super) fn is_idle(&self) -> bool {
        self.queue.is_empty() && self.in_flight.is_empty()
    }

    /// Whether there is nothing left to do: no envelope, and no report that could be sent.
    pub(super) fn is_drained(&self) -> bool {
        let outages = &self.outages;
        self.is_idle() && self.reports_in_flight == 0 && !self.reports.any(|upstream| !outages.has(upstream))
    }

    /// Whether each upstream that something waits for is in trouble; where nothing waits, any that is.
    pub(super) fn is_troubled(&self) -> bool {
        let mut waiting = self.in_flight.iter().chain(self.queue.iter());
        if self.is_idle() && self.custody.held() > 0 {
            return self.custody.failing();
        }
        self.outages.any() && waiting.all(|pending| self.outages.has(&pending.envelope.upstream))
    }

    /// How many are queued, in flight or with Relay.
    pub(super) fn pending(&self) -> u64 {
        (self.queue.len() + self.in_flight.len()) as u64 + self.custody.held()
    }

    /// When the envelope that waits longest was accepted.
    pub(super) fn oldest(&self) -> Option<SystemTime> {
        let waiting = self.in_flight.iter().chain(self.queue.iter()).map(|pending| pending.since);
        waiting.chain(self.custody.since()).min()
    }

    /// Whether an envelope to this upstream changes nothing for the pump, which has to look through all that wait: it
    /// is up to the end of a pause, and the pump, since something waits, knows when that is.
    pub(super) fn waits_out_a_pause(&self, upstream: &Arc<Upstream>, clock: Instant) -> bool {
        !self.queue.is_empty() && self.outages.pause(upstream, clock).is_some()
    }

    /// How long until a pause ends that something waits for.
    pub(super) fn pause(&self, clock: Instant) -> Option<Duration> {
        if self.queue.is_empty() { None } else { self.outages.shortest_pause(clock) }
    }

    fn lose(&mut self, envelope: &Envelope, loss: Loss) {
        self.ledger.lose(loss, 1);
        self.reports.lose(envelope, &envelope.items, loss);
    }

    /// Takes the forbidden items out of an envelope and reports them; `None`: nothing is left.
    fn strip(&mut self, envelope: Envelope, check: &Check) -> Option<Envelope> {
        let rest = if check.keeps_none() {
            None
        } else {
            without(envelope.encoding, &envelope.body, self.max_body, &check.keep)
        };
        let kept = |keep: bool| rest.is_some() && keep;
        let items = || envelope.items.iter().zip(&check.keep);
        let removed = items().filter(|(_, keep)| !kept(**keep)).map(|(item, _)| item);
        self.reports.lose(&envelope, removed, Loss::RateLimit);
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
