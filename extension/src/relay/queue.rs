//! What waits for upstream, bounded in bytes. When it is full, the least valuable and then the oldest goes.

use super::item::Value;
use super::state::Pending;
use std::collections::VecDeque;

/// Envelopes by value. Bytes of envelopes in flight count too: they may come back.
#[derive(Debug)]
pub(super) struct Queue {
    waiting: [VecDeque<Pending>; Value::COUNT],
    /// Of waiting envelopes and of those in flight.
    held: usize,
    bound: usize,
}

impl Queue {
    /// A queue that holds at most `bound` bytes.
    pub(super) fn new(bound: usize) -> Self {
        Self { waiting: Default::default(), held: 0, bound }
    }

    /// Takes an envelope in, and gives back what had to go for it: perhaps the envelope itself.
    #[must_use]
    pub(super) fn push(&mut self, pending: Pending) -> Vec<Pending> {
        let size = pending.envelope.size();
        let mut evicted = Vec::new();
        while self.held + size > self.bound {
            let Some(victim) = self.least_valuable(pending.envelope.value) else {
                evicted.push(pending);
                return evicted;
            };
            self.held -= victim.envelope.size();
            evicted.push(victim);
        }
        self.held += size;
        self.back(pending);
        evicted
    }

    /// Gives out the most valuable and then oldest envelope. Its bytes stay accounted for until `release`.
    pub(super) fn pop(&mut self) -> Option<Pending> {
        self.waiting.iter_mut().rev().find_map(VecDeque::pop_front)
    }

    /// Takes an envelope back that `pop` gave out: behind its equals, so that one which upstream
    /// cannot digest does not hold up the rest.
    pub(super) fn put_back(&mut self, pending: Pending) {
        self.back(pending);
    }

    /// An envelope that `pop` gave out is gone for good.
    pub(super) fn release(&mut self, size: usize) {
        self.held = self.held.saturating_sub(size);
    }

    /// Whether nothing waits.
    pub(super) fn is_empty(&self) -> bool {
        self.waiting.iter().all(VecDeque::is_empty)
    }

    /// How many wait.
    pub(super) fn len(&self) -> usize {
        self.waiting.iter().map(VecDeque::len).sum()
    }

    fn back(&mut self, pending: Pending) {
        if let Some(class) = self.waiting.get_mut(pending.envelope.value as usize) {
            class.push_back(pending);
        }
    }

    /// The oldest of the least valuable, if it is worth no more than `value`.
    fn least_valuable(&mut self, value: Value) -> Option<Pending> {
        let up_to = self.waiting.get_mut(..=value as usize).unwrap_or_default();
        up_to.iter_mut().find_map(VecDeque::pop_front)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::relay::envelope::sample;
    use crate::relay::ledger::Loss;
    use std::sync::Arc;

    /// Of 1,000 bytes; the tag is kept where no test here looks otherwise.
    fn envelope(value: Value, tag: u8) -> Pending {
        Pending { envelope: Arc::new(sample(value, 488)), attempts: tag, loss: Loss::Shutdown }
    }

    fn tags(envelopes: &[Pending]) -> Vec<u8> {
        envelopes.iter().map(|e| e.attempts).collect()
    }

    /// Room for four.
    fn queue() -> Queue {
        Queue::new(4000)
    }

    #[test]
    fn the_least_valuable_and_then_the_oldest_goes() {
        let mut queue = queue();
        for (value, tag) in
            [(Value::Transaction, 1), (Value::Error, 2), (Value::Profile, 3), (Value::Transaction, 4)]
        {
            assert!(queue.push(envelope(value, tag)).is_empty());
        }
        assert_eq!(tags(&queue.push(envelope(Value::Transaction, 5))), [3]);
        assert_eq!(tags(&queue.push(envelope(Value::Error, 6))), [1]);
        assert_eq!(tags(&queue.push(envelope(Value::Span, 7))), [7], "it is itself the least valuable");
        assert_eq!(tags(&queue.push(envelope(Value::Transaction, 8))), [4]);
        let order: Vec<u8> = std::iter::from_fn(|| queue.pop()).map(|e| e.attempts).collect();
        assert_eq!(order, [2, 6, 5, 8], "errors first, each in the order they came");
    }

    #[test]
    fn what_is_in_flight_still_takes_room() {
        let mut queue = queue();
        for tag in 0..4 {
            assert!(queue.push(envelope(Value::Error, tag)).is_empty());
        }
        let in_flight = queue.pop().unwrap();
        assert_eq!(tags(&queue.push(envelope(Value::Error, 9))), [1]);
        queue.release(in_flight.envelope.size());
        assert_eq!(queue.held, 3000);
        assert!(queue.push(envelope(Value::Error, 10)).is_empty());
    }

    #[test]
    fn what_comes_back_waits_behind_its_equals() {
        let mut queue = queue();
        let _ = queue.push(envelope(Value::Error, 1));
        let _ = queue.push(envelope(Value::Error, 2));
        let first = queue.pop().unwrap();
        queue.put_back(first);
        assert_eq!(queue.pop().unwrap().attempts, 2);
        assert_eq!(queue.held, 2000);
    }

    #[test]
    fn what_can_never_fit_goes_at_once() {
        let mut queue = Queue::new(999);
        assert_eq!(queue.push(envelope(Value::Error, 1)).len(), 1);
        assert_eq!(queue.held, 0);
    }
}
