//! What waits for upstream, bounded in bytes. When it is full, the least valuable and then the oldest goes.

use super::state::Pending;
use crate::protocol::Priority;
use std::collections::VecDeque;

/// Envelopes by value. Bytes of envelopes in flight count too: they may come back.
#[derive(Debug)]
pub(super) struct Queue {
    waiting: [VecDeque<Pending>; Priority::COUNT],
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
            let Some(victim) = self.least_valuable(pending.envelope.priority()) else {
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

    /// Gives out the most valuable and then oldest envelope of those that `may` go. Its bytes stay
    /// accounted for until `release`.
    pub(super) fn pop_where(&mut self, may: impl Fn(&Pending) -> bool) -> Option<Pending> {
        self.waiting.iter_mut().rev().find_map(|class| {
            let at = class.iter().position(&may)?;
            class.remove(at)
        })
    }

    /// Takes an envelope back that was given out: behind its equals, so that one which upstream
    /// cannot digest does not hold up the rest.
    pub(super) fn put_back(&mut self, pending: Pending) {
        self.back(pending);
    }

    /// An envelope that was given out comes to take this much, perhaps more than before. Gives back what had to go
    /// for it.
    #[must_use]
    pub(super) fn hold(&mut self, size: usize) -> Vec<Pending> {
        self.held += size;
        let mut evicted = Vec::new();
        while self.held > self.bound {
            let Some(victim) = self.least_valuable(Priority::Error) else { break };
            self.held -= victim.envelope.size();
            evicted.push(victim);
        }
        evicted
    }

    /// An envelope that was given out is gone for good.
    pub(super) fn release(&mut self, size: usize) {
        self.held = self.held.saturating_sub(size);
    }

    /// All that wait.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Pending> {
        self.waiting.iter().flatten()
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
        if let Some(class) = self.waiting.get_mut(pending.envelope.priority() as usize) {
            class.push_back(pending);
        }
    }

    /// The oldest of the least valuable, if it is worth no more than `priority`.
    fn least_valuable(&mut self, priority: Priority) -> Option<Pending> {
        let up_to = self.waiting.get_mut(..=priority as usize).unwrap_or_default();
        up_to.iter_mut().find_map(VecDeque::pop_front)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::ItemKind;
    use crate::relay::envelope::sample;
    use crate::relay::ledger::DropReason;
    use std::sync::Arc;
    use std::time::UNIX_EPOCH;

    /// Of 1 KiB; the tag is kept where no test here looks otherwise.
    fn envelope(kind: ItemKind, tag: u8) -> Pending {
        Pending {
            envelope: Arc::new(sample(kind, 0)),
            attempts: tag,
            since: UNIX_EPOCH,
            reason: DropReason::Shutdown,
            unanswered: Arc::default(),
        }
    }

    fn tags(envelopes: &[Pending]) -> Vec<u8> {
        envelopes.iter().map(|e| e.attempts).collect()
    }

    /// Room for four.
    fn queue() -> Queue {
        Queue::new(4 * 1024)
    }

    #[test]
    fn the_least_valuable_and_then_the_oldest_goes() {
        let mut queue = queue();
        for (kind, tag) in [
            (ItemKind::Transaction, 1),
            (ItemKind::Event, 2),
            (ItemKind::Profile, 3),
            (ItemKind::Transaction, 4),
        ] {
            assert!(queue.push(envelope(kind, tag)).is_empty());
        }
        assert_eq!(tags(&queue.push(envelope(ItemKind::Transaction, 5))), [3]);
        assert_eq!(tags(&queue.push(envelope(ItemKind::Event, 6))), [1]);
        assert_eq!(tags(&queue.push(envelope(ItemKind::Span, 7))), [7], "it is itself the least valuable");
        assert_eq!(tags(&queue.push(envelope(ItemKind::Transaction, 8))), [4]);
        let order: Vec<u8> = std::iter::from_fn(|| queue.pop_where(|_| true)).map(|e| e.attempts).collect();
        assert_eq!(order, [2, 6, 5, 8], "errors first, each in the order they came");
    }

    #[test]
    fn what_is_in_flight_still_takes_room() {
        let mut queue = queue();
        for tag in 0..4 {
            assert!(queue.push(envelope(ItemKind::Event, tag)).is_empty());
        }
        let in_flight = queue.pop_where(|_| true).unwrap();
        assert_eq!(tags(&queue.push(envelope(ItemKind::Event, 9))), [1]);
        queue.release(in_flight.envelope.size());
        assert_eq!(queue.held, 3 * 1024);
        assert!(queue.push(envelope(ItemKind::Event, 10)).is_empty());
    }

    #[test]
    fn what_grows_in_flight_takes_the_room_of_others() {
        let mut queue = queue();
        for (kind, tag) in [(ItemKind::Event, 1), (ItemKind::Event, 2), (ItemKind::Span, 3)] {
            let _ = queue.push(envelope(kind, tag));
        }
        let in_flight = queue.pop_where(|_| true).unwrap();
        queue.release(in_flight.envelope.size());
        assert_eq!(tags(&queue.hold(3 * 1024)), [3]);
        assert_eq!(queue.held, 4 * 1024);
        assert_eq!(tags(&queue.hold(9 * 1024)), [2], "and no more than there is");
    }

    #[test]
    fn what_comes_back_waits_behind_its_equals() {
        let mut queue = queue();
        let _ = queue.push(envelope(ItemKind::Event, 1));
        let _ = queue.push(envelope(ItemKind::Event, 2));
        let first = queue.pop_where(|_| true).unwrap();
        queue.put_back(first);
        assert_eq!(queue.pop_where(|_| true).unwrap().attempts, 2);
        assert_eq!(queue.held, 2 * 1024);
    }

    #[test]
    fn what_can_never_fit_goes_at_once() {
        let mut queue = Queue::new(1023);
        assert_eq!(queue.push(envelope(ItemKind::Event, 1)).len(), 1);
        assert_eq!(queue.held, 0);
    }
}
