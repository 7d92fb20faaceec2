//! What the relay knows at a moment; every transition books itself in the ledger.

use super::backoff::Backoff;
use super::envelope::Envelope;
use super::ledger::{Ledger, Loss};
use super::queue::Queue;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

/// An accepted envelope that is neither delivered nor lost.
#[derive(Clone, Debug)]
pub(super) struct Pending {
    pub(super) envelope: Arc<Envelope>,
    /// How often upstream answered that it could not take it.
    pub(super) attempts: u8,
    /// When it was accepted.
    pub(super) since: SystemTime,
    /// Why it would be lost if this were the end.
    pub(super) loss: Loss,
}

/// The state behind the relay's lock.
#[derive(Debug)]
pub(super) struct State {
    pub(super) ledger: Ledger,
    pub(super) backoff: Backoff,
    queue: Queue,
    in_flight: Vec<Pending>,
    draining: bool,
    closed: bool,
}

impl State {
    pub(super) fn new(bound: usize) -> Self {
        Self {
            ledger: Ledger::default(),
            backoff: Backoff::default(),
            queue: Queue::new(bound),
            in_flight: Vec::new(),
            draining: false,
            closed: false,
        }
    }

    /// Queues an envelope; gives back how many went for it.
    pub(super) fn accept(&mut self, envelope: Envelope) -> u64 {
        self.ledger.accepted += 1;
        if self.closed {
            self.ledger.lose(Loss::Shutdown, 1);
            return 0;
        }
        let pending = Pending {
            envelope: Arc::new(envelope),
            attempts: 0,
            since: SystemTime::now(),
            loss: Loss::Shutdown,
        };
        let evicted = self.queue.push(pending).len() as u64;
        self.ledger.lose(Loss::QueueOverflow, evicted);
        evicted
    }

    /// The next envelope to try, now in flight.
    pub(super) fn check_out(&mut self) -> Option<Pending> {
        let pending = self.queue.pop()?;
        self.in_flight.push(pending.clone());
        Some(pending)
    }

    /// The fate of an envelope in flight is known: `book` enters it.
    pub(super) fn check_in(&mut self, pending: &Pending, book: impl FnOnce(&mut Ledger)) {
        if self.land(pending) {
            self.queue.release(pending.envelope.size());
            book(&mut self.ledger);
        }
    }

    /// An envelope in flight has to wait for another try.
    pub(super) fn put_back(&mut self, mut pending: Pending, loss: Loss) {
        if self.land(&pending) {
            pending.loss = loss;
            pending.attempts = pending.attempts.saturating_add(u8::from(loss == Loss::Upstream));
            self.queue.put_back(pending);
        }
    }

    /// Puts everything in flight back: whoever carried it has come to grief.
    pub(super) fn reclaim_in_flight(&mut self) {
        for mut pending in std::mem::take(&mut self.in_flight) {
            pending.loss = Loss::Internal;
            // Counted like an answer of upstream's, so that what breaks the carrier cannot do so for ever.
            pending.attempts = pending.attempts.saturating_add(1);
            self.queue.put_back(pending);
        }
    }

    /// There will be no later: pauses end, and failures are tried again at short intervals.
    pub(super) fn start_draining(&mut self) {
        self.draining = true;
        self.backoff.end_pause();
    }

    /// Books what is left as lost, and takes nothing more.
    pub(super) fn close(&mut self) {
        self.closed = true;
        let in_flight = std::mem::take(&mut self.in_flight);
        let waiting = std::iter::from_fn(|| self.queue.pop());
        for pending in in_flight.into_iter().chain(waiting) {
            self.ledger.lose(pending.loss, 1);
        }
    }

    pub(super) fn draining(&self) -> bool {
        self.draining
    }

    pub(super) fn has_waiting(&self) -> bool {
        !self.queue.is_empty()
    }

    /// Whether nothing is queued or in flight.
    pub(super) fn is_idle(&self) -> bool {
        self.queue.is_empty() && self.in_flight.is_empty()
    }

    /// How many are queued or in flight.
    pub(super) fn pending(&self) -> u64 {
        (self.queue.len() + self.in_flight.len()) as u64
    }

    /// When the envelope that waits longest was accepted.
    pub(super) fn oldest(&self) -> Option<SystemTime> {
        self.in_flight.iter().chain(self.queue.iter()).map(|pending| pending.since).min()
    }

    /// What is left of the pause after a failure.
    pub(super) fn pause(&self, now: Instant) -> Option<Duration> {
        self.backoff.pause(now)
    }

    /// Takes an envelope off the list of those in flight; `false` after `close`, which has booked it.
    fn land(&mut self, pending: &Pending) -> bool {
        let at = self.in_flight.iter().position(|p| Arc::ptr_eq(&p.envelope, &pending.envelope));
        at.map(|at| self.in_flight.swap_remove(at)).is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::relay::envelope::sample;
    use crate::wire::ItemKind;

    #[test]
    fn the_books_balance_at_every_step() {
        let mut state = State::new(4 * 1024);
        for _ in 0..6 {
            state.accept(sample(ItemKind::Event, 0));
            assert!(state.ledger.balances(state.pending()));
        }
        assert_eq!(state.ledger.dropped_for(Loss::QueueOverflow), 2);
        let first = state.check_out().unwrap();
        let second = state.check_out().unwrap();
        assert!(state.ledger.balances(state.pending()));
        state.check_in(&first, |ledger| ledger.delivered += 1);
        state.put_back(second, Loss::Network);
        assert!(state.ledger.balances(state.pending()));
        let late = state.check_out().unwrap();
        state.close();
        assert!(state.ledger.balances(0));
        assert_eq!(state.ledger.dropped_for(Loss::Network), 1);
        assert_eq!(state.ledger.dropped_for(Loss::Shutdown), 2);
        state.check_in(&late, |ledger| ledger.delivered += 1);
        state.accept(sample(ItemKind::Event, 1));
        assert!(state.ledger.balances(0), "nothing is booked twice");
    }

    #[test]
    fn what_was_in_flight_when_the_carrier_fell_is_tried_again() {
        let mut state = State::new(4000);
        state.accept(sample(ItemKind::Event, 10));
        let _ = state.check_out();
        state.reclaim_in_flight();
        let again = state.check_out().unwrap();
        assert_eq!((again.attempts, again.loss), (1, Loss::Internal));
    }
}
