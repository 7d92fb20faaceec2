//! What waits for upstream, bounded in bytes. When it is full, what is worth less goes for what is worth more: the least
//! valuable and then the oldest first. What would not fit even then is refused, and evicts nothing.

use super::pending::Pending;
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
        match self.hold(pending.envelope.size(), pending.envelope.priority()) {
            Some(evicted) => {
                self.back(pending);
                evicted
            }
            None => vec![pending],
        }
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

    /// Accounts for an envelope of this size and value, one that comes or one that was given out, released and has grown.
    /// Gives back what had to go for it. `None`: it does not fit even so, and nothing has changed.
    #[must_use]
    pub(super) fn hold(&mut self, size: usize, priority: Priority) -> Option<Vec<Pending>> {
        let excess = (self.held + size).saturating_sub(self.bound);
        let worth_less = self.waiting.get_mut(..priority as usize).unwrap_or_default();
        // First the sum: what goes for an envelope that is then lost as well would be lost for nothing.
        let (mut freed, mut victims) = (0, 0);
        for pending in worth_less.iter().flatten() {
            if freed >= excess {
                break;
            }
            freed += pending.envelope.size();
            victims += 1;
        }
        if freed < excess {
            return None;
        }
        self.held = self.held - freed + size;
        Some((0..victims).filter_map(|_| worth_less.iter_mut().find_map(VecDeque::pop_front)).collect())
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
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::ItemKind;
    use crate::relay::envelope::sample;
    use crate::relay::ledger::DropReason;
    use proptest::prelude::*;
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
        assert_eq!(tags(&queue.push(envelope(ItemKind::Transaction, 8))), [8], "its equals came first");
        let order: Vec<u8> = std::iter::from_fn(|| queue.pop_where(|_| true)).map(|e| e.attempts).collect();
        assert_eq!(order, [2, 6, 4, 5], "errors first, each in the order they came");
    }

    #[test]
    fn a_fault_goes_before_everything_and_nothing_evicts_it() {
        let mut queue = queue();
        for (kind, tag) in
            [(ItemKind::Event, 1), (ItemKind::Event, 2), (ItemKind::Fault, 3), (ItemKind::Event, 4)]
        {
            assert!(queue.push(envelope(kind, tag)).is_empty());
        }
        assert_eq!(tags(&queue.push(envelope(ItemKind::Fault, 5))), [1], "an error goes for a fault");
        assert_eq!(tags(&queue.push(envelope(ItemKind::Event, 6))), [6], "but no fault for an error");
        let order: Vec<u8> = std::iter::from_fn(|| queue.pop_where(|_| true)).map(|e| e.attempts).collect();
        assert_eq!(order, [3, 5, 2, 4]);
    }

    #[test]
    fn what_is_in_flight_still_takes_room() {
        let mut queue = queue();
        for tag in 0..4 {
            assert!(queue.push(envelope(ItemKind::Event, tag)).is_empty());
        }
        let in_flight = queue.pop_where(|_| true).unwrap();
        assert_eq!(tags(&queue.push(envelope(ItemKind::Event, 9))), [9]);
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
        assert!(queue.hold(4 * 1024, Priority::Error).is_none(), "the other event is worth as much");
        assert_eq!(queue.held, 2 * 1024);
        assert_eq!(tags(&queue.hold(3 * 1024, Priority::Error).unwrap()), [3]);
        assert_eq!(queue.held, 4 * 1024);
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

    /// What is done to a queue. Envelopes that were given out are chosen by an index that is taken modulo their number.
    #[derive(Clone, Copy, Debug)]
    enum Step {
        Push(ItemKind, usize),
        Pop,
        PutBack(usize),
        Release(usize),
        Grow(usize, usize),
    }

    fn step() -> impl Strategy<Value = Step> {
        let kinds =
            [ItemKind::Profile, ItemKind::Replay, ItemKind::Span, ItemKind::Transaction, ItemKind::Log];
        let kind = prop::sample::select([&kinds[..], &[ItemKind::Event]].concat());
        prop_oneof![
            5 => (kind, 0..6000_usize).prop_map(|(kind, length)| Step::Push(kind, length)),
            2 => Just(Step::Pop),
            1 => any::<usize>().prop_map(Step::PutBack),
            1 => any::<usize>().prop_map(Step::Release),
            1 => (any::<usize>(), 0..6000_usize).prop_map(|(at, length)| Step::Grow(at, length)),
        ]
    }

    fn sized(kind: ItemKind, length: usize) -> Pending {
        Pending { envelope: Arc::new(sample(kind, length)), ..envelope(kind, 0) }
    }

    fn total<'a>(envelopes: impl IntoIterator<Item = &'a Pending>) -> usize {
        envelopes.into_iter().map(|pending| pending.envelope.size()).sum()
    }

    /// Makes room by `act`, and checks that what goes is worth less than `newcomer`, no more than is needed, and nothing
    /// where the newcomer, and only a newcomer for which there cannot be room, is refused.
    fn checked(
        queue: &mut Queue,
        newcomer: &Pending,
        act: impl FnOnce(&mut Queue) -> Option<Vec<Pending>>,
    ) -> bool {
        let (value, size) = (newcomer.envelope.priority(), newcomer.envelope.size());
        let (held, waiting) = (queue.held, queue.len());
        let worth_less = total(queue.iter().filter(|pending| pending.envelope.priority() < value));
        let Some(gone) = act(queue) else {
            assert_eq!((queue.held, queue.len()), (held, waiting), "something went for what is refused");
            assert!(held - worth_less + size > queue.bound, "it would have fitted");
            return false;
        };
        assert!(gone.iter().all(|victim| victim.envelope.priority() < value), "{gone:?} for {newcomer:?}");
        let needed = total(gone.iter().rev().skip(1));
        assert!(gone.is_empty() || held - needed + size > queue.bound, "more went than had to");
        true
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn only_what_is_worth_less_goes_and_only_for_what_fits(steps in prop::collection::vec(step(), 1..100)) {
            let mut queue = Queue::new(16 * 1024);
            let mut given_out: Vec<Pending> = Vec::new();
            for step in steps {
                let at = |at: usize| at.checked_rem(given_out.len());
                match step {
                    Step::Push(kind, length) => {
                        let newcomer = sized(kind, length);
                        checked(&mut queue, &newcomer, |queue| {
                            let gone = queue.push(newcomer.clone());
                            let refused = gone.iter().any(|one| Arc::ptr_eq(&one.envelope, &newcomer.envelope));
                            if refused { None } else { Some(gone) }
                        });
                    }
                    Step::Pop => given_out.extend(queue.pop_where(|_| true)),
                    Step::PutBack(n) => {
                        if let Some(at) = at(n) {
                            queue.put_back(given_out.remove(at));
                        }
                    }
                    Step::Release(n) => {
                        if let Some(at) = at(n) {
                            queue.release(given_out.remove(at).envelope.size());
                        }
                    }
                    Step::Grow(n, length) => {
                        if let Some(at) = at(n) {
                            let before = given_out.remove(at);
                            queue.release(before.envelope.size());
                            let after = sized(before.envelope.items[0].kind, length);
                            let (size, value) = (after.envelope.size(), after.envelope.priority());
                            if checked(&mut queue, &after, |queue| queue.hold(size, value)) {
                                given_out.push(after);
                            }
                        }
                    }
                }
                prop_assert_eq!(queue.held, total(queue.iter().chain(&given_out)));
                prop_assert!(queue.held <= queue.bound);
            }
        }
    }
}
