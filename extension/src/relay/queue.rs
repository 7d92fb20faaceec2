//! The queue of envelopes that wait for upstream, bounded in bytes. When it is full, a newcomer evicts envelopes of a
//! lower priority: the lowest priority first, and the oldest first within one priority. A newcomer that would not fit
//! even then is refused, and evicts nothing.
//!
//! No operation searches the queue, because a queue that an outage has filled may hold 100,000 envelopes: each costs
//! O(log n), times the number of priorities and lanes, which are few.

use super::ages::Ages;
use super::lanes::LaneId;
use super::order::Chains;
use super::pending::Pending;
use crate::protocol::Priority;
use std::collections::{BTreeMap, BTreeSet};

/// What faults may take beyond the bound, so that one finds room even while large envelopes are in flight, which cannot
/// be evicted. They are few and small.
const FAULT_RESERVE: usize = 256 * 1024;
/// What an envelope may take beyond the bound if it grows just before it leaves.
const GROWTH_RESERVE: usize = 1 << 20;

/// Envelopes by priority. The bytes of envelopes in flight count too, because those may be put back.
#[derive(Debug)]
pub(super) struct Queue {
    waiting: [Class; Priority::COUNT],
    /// The number of waiting envelopes in each lane.
    in_lane: [usize; LaneId::COUNT],
    /// The envelopes that belong together, with those in flight.
    chains: Chains,
    /// The ages of all envelopes, with those in flight.
    ages: Ages,
    /// The bytes of waiting envelopes and of those in flight.
    held_bytes: usize,
    max_bytes: usize,
    next_number: u64,
}

/// The waiting envelopes of one priority.
#[derive(Debug, Default)]
struct Class {
    /// By number, so the first is the oldest.
    envelopes: BTreeMap<u64, Pending>,
    /// Lane, place and number of those that wait for no other envelope.
    ready: BTreeSet<(LaneId, u64, u64)>,
    bytes: usize,
}

impl Class {
    /// Returns place and number of the first envelope of a lane that is ready.
    fn first_ready(&self, lane: LaneId) -> Option<(u64, u64)> {
        let of_lane = self.ready.range((lane, 0, 0)..=(lane, u64::MAX, u64::MAX));
        of_lane.map(|(_, place, number)| (*place, *number)).next()
    }
}

impl Queue {
    pub(super) fn new(max_bytes: usize) -> Self {
        Self {
            waiting: Default::default(),
            in_lane: [0; LaneId::COUNT],
            chains: Chains::default(),
            ages: Ages::default(),
            held_bytes: 0,
            max_bytes,
            next_number: 0,
        }
    }

    /// Queues an envelope, and returns the envelopes that were evicted for it. If it does not fit, it returns the
    /// envelope itself.
    #[must_use]
    pub(super) fn push(&mut self, mut pending: Pending) -> Vec<Pending> {
        match self.reserve(pending.envelope.size(), pending.envelope.priority()) {
            Some(evicted) => {
                pending.number = self.number();
                self.chains.enter(&pending.keys, pending.number);
                self.ages.add(pending.since);
                pending.place = pending.number;
                self.insert(pending);
                evicted
            }
            None => vec![pending],
        }
    }

    /// Takes out the envelope with the highest priority, and the oldest within it, of those that wait for no other, in
    /// the lanes for which `is_allowed` returns true. It is told whether a fault would leave. The bytes of the envelope
    /// stay counted until `release`.
    pub(super) fn pop_where(&mut self, is_allowed: impl Fn((LaneId, bool)) -> bool) -> Option<Pending> {
        let (class, number) = self.waiting.iter().enumerate().rev().find_map(|(index, class)| {
            let is_fault = index == Priority::Fault as usize;
            let allowed = self.lanes().filter(|lane| is_allowed((*lane, is_fault)));
            let first = allowed.filter_map(|lane| class.first_ready(lane)).min();
            first.map(|(_, number)| (index, number))
        })?;
        self.remove(class, number)
    }

    /// Puts back an envelope that was taken out. It goes behind the others of its priority, so that an envelope that
    /// upstream cannot process does not delay the rest. Those that belong to it still wait for it.
    pub(super) fn put_back(&mut self, mut pending: Pending) {
        pending.place = self.number();
        self.insert(pending);
    }

    /// Counts the bytes of an envelope of this priority. The envelope is new, or it was taken out, released, and has
    /// grown. Returns the envelopes that were evicted for it. `None` means that it does not fit, and nothing has
    /// changed.
    #[must_use]
    pub(super) fn reserve(&mut self, size: usize, priority: Priority) -> Option<Vec<Pending>> {
        let reserve = if priority == Priority::Fault { FAULT_RESERVE } else { 0 };
        let excess = (self.held_bytes + size).saturating_sub(self.max_bytes + reserve);
        // Adds up first what could be evicted. Otherwise envelopes could be evicted for one that is then refused.
        let lower = self.waiting.get(..priority as usize).unwrap_or_default();
        if lower.iter().map(|class| class.bytes).sum::<usize>() < excess {
            return None;
        }
        let (mut freed, mut evicted) = (0, Vec::new());
        while freed < excess {
            let Some(victim) = self.take_lowest(priority as usize) else { break };
            freed += victim.envelope.size();
            self.forget(&victim);
            evicted.push(victim);
        }
        self.held_bytes = (self.held_bytes + size).saturating_sub(freed);
        Some(evicted)
    }

    /// Ends an envelope that was taken out and will not be put back.
    pub(super) fn release(&mut self, pending: &Pending) {
        self.release_bytes(pending.envelope.size());
        self.forget(pending);
    }

    /// Frees the bytes of an envelope that was taken out, but keeps its place before those that wait for it.
    pub(super) fn release_bytes(&mut self, size: usize) {
        self.held_bytes = self.held_bytes.saturating_sub(size);
    }

    /// Lets go on what waited for this envelope. The caller has freed its bytes.
    pub(super) fn forget(&mut self, pending: &Pending) {
        self.ages.remove(pending.since);
        for number in self.chains.leave(&pending.keys, pending.number) {
            for class in &mut self.waiting {
                let Some(next) = class.envelopes.get(&number) else { continue };
                if self.chains.is_first(&next.keys, number) {
                    class.ready.insert((next.lane, next.place, number));
                }
            }
        }
    }

    /// Takes out all waiting envelopes, and those first that would be sent first.
    pub(super) fn take_all(&mut self) -> impl Iterator<Item = Pending> + use<> {
        self.in_lane = [0; LaneId::COUNT];
        let classes = std::mem::take(&mut self.waiting);
        classes.into_iter().rev().flat_map(|class| class.envelopes.into_values())
    }

    /// Returns the number of waiting envelopes in a lane.
    pub(super) fn in_lane(&self, lane: LaneId) -> usize {
        self.in_lane.get(lane.index()).copied().unwrap_or_default()
    }

    /// Returns the lanes in which envelopes wait.
    pub(super) fn lanes(&self) -> impl Iterator<Item = LaneId> {
        LaneId::all().filter(|lane| self.in_lane(*lane) > 0)
    }

    /// Returns the numbers of waiting envelopes in all lanes, by the index of the lane.
    pub(super) fn waiting_in_lanes(&self) -> [usize; LaneId::COUNT] {
        self.in_lane
    }

    /// Whether an envelope of this lane waits for no other.
    pub(super) fn has_ready(&self, lane: LaneId) -> bool {
        self.waiting.iter().any(|class| class.first_ready(lane).is_some())
    }

    /// Moves all waiting envelopes of a lane to those that `to` returns.
    pub(super) fn change_lane(&mut self, from: LaneId, mut to: impl FnMut(&Pending) -> LaneId) {
        for class in &mut self.waiting {
            for (number, pending) in class.envelopes.iter_mut().filter(|(_, one)| one.lane == from) {
                pending.lane = to(pending);
                if class.ready.remove(&(from, pending.place, *number)) {
                    class.ready.insert((pending.lane, pending.place, *number));
                }
                if let Some(waiting) = self.in_lane.get_mut(from.index()) {
                    *waiting = waiting.saturating_sub(1);
                }
                if let Some(waiting) = self.in_lane.get_mut(pending.lane.index()) {
                    *waiting += 1;
                }
            }
        }
    }

    /// Returns when the oldest envelope was accepted, of those that wait and those in flight.
    pub(super) fn oldest(&self) -> Option<std::time::SystemTime> {
        self.ages.oldest()
    }

    /// Counts the bytes anew of an envelope that was taken out and has changed its size just before it leaves. Returns
    /// whether it fits. If it does not, nothing has changed.
    #[must_use]
    pub(super) fn resize(&mut self, before: usize, after: usize) -> bool {
        let held = self.held_bytes.saturating_sub(before) + after;
        let fits = after <= before || held <= self.max_bytes + GROWTH_RESERVE;
        if fits {
            self.held_bytes = held;
        }
        fits
    }

    /// Whether an envelope of this priority waits.
    pub(super) fn has(&self, priority: Priority) -> bool {
        self.waiting.get(priority as usize).is_some_and(|class| !class.envelopes.is_empty())
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiting.iter().all(|class| class.envelopes.is_empty())
    }

    pub(super) fn len(&self) -> usize {
        self.waiting.iter().map(|class| class.envelopes.len()).sum()
    }

    fn number(&mut self) -> u64 {
        self.next_number += 1;
        self.next_number
    }

    fn insert(&mut self, pending: Pending) {
        let Some(class) = self.waiting.get_mut(pending.envelope.priority() as usize) else { return };
        class.bytes += pending.envelope.size();
        if let Some(waiting) = self.in_lane.get_mut(pending.lane.index()) {
            *waiting += 1;
        }
        if self.chains.is_first(&pending.keys, pending.number) {
            class.ready.insert((pending.lane, pending.place, pending.number));
        }
        class.envelopes.insert(pending.number, pending);
    }

    fn remove(&mut self, class: usize, number: u64) -> Option<Pending> {
        let class = self.waiting.get_mut(class)?;
        let pending = class.envelopes.remove(&number)?;
        class.ready.remove(&(pending.lane, pending.place, number));
        class.bytes = class.bytes.saturating_sub(pending.envelope.size());
        if let Some(waiting) = self.in_lane.get_mut(pending.lane.index()) {
            *waiting = waiting.saturating_sub(1);
        }
        Some(pending)
    }

    /// Takes out the envelope that is evicted first, of the classes below `limit`.
    fn take_lowest(&mut self, limit: usize) -> Option<Pending> {
        let mut lower = self.waiting.iter().enumerate().take(limit);
        let first = |(index, class): (usize, &Class)| Some((index, *class.envelopes.first_key_value()?.0));
        let (class, number) = lower.find_map(first)?;
        self.remove(class, number)
    }

    /// Returns the waiting envelopes, without those in flight.
    #[cfg(test)]
    pub(super) fn iter(&self) -> impl Iterator<Item = &Pending> {
        self.waiting.iter().flat_map(|class| class.envelopes.values())
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

    /// Makes an envelope of 1 KiB. Its tag is stored in `attempts`, which the queue does not read.
    fn envelope(kind: ItemKind, tag: u8) -> Pending {
        Pending {
            envelope: Arc::new(sample(kind, 0)),
            lane: lane(),
            number: 0,
            place: 0,
            keys: Box::default(),
            attempts: tag,
            since: UNIX_EPOCH,
            dated: UNIX_EPOCH,
            reason: DropReason::Shutdown,
            unanswered: Arc::default(),
        }
    }

    fn lane() -> LaneId {
        LaneId::all().next().unwrap()
    }

    fn tags(envelopes: &[Pending]) -> Vec<u8> {
        envelopes.iter().map(|e| e.attempts).collect()
    }

    /// Makes a queue with room for four envelopes of 1 KiB.
    fn queue() -> Queue {
        Queue::new(4 * 1024)
    }

    #[test]
    fn lowest_priority_and_then_oldest_is_evicted() {
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
        assert_eq!(tags(&queue.push(envelope(ItemKind::Span, 7))), [7], "it has the lowest priority itself");
        assert_eq!(
            tags(&queue.push(envelope(ItemKind::Transaction, 8))),
            [8],
            "others of its priority came first"
        );
        let order: Vec<u8> = std::iter::from_fn(|| queue.pop_where(|_| true)).map(|e| e.attempts).collect();
        assert_eq!(order, [2, 6, 4, 5], "errors come first, and each priority keeps its order");
    }

    #[test]
    fn fault_leaves_first_and_is_never_evicted() {
        let mut queue = queue();
        for tag in 0..4 {
            assert!(queue.push(envelope(ItemKind::Event, tag)).is_empty());
        }
        assert!(
            queue.push(envelope(ItemKind::Fault, 5)).is_empty(),
            "there is room for faults in a full queue"
        );
        let large = Pending {
            envelope: Arc::new(sample(ItemKind::Fault, FAULT_RESERVE)),
            ..envelope(ItemKind::Fault, 6)
        };
        assert_eq!(tags(&queue.push(large)), [0, 1], "beyond that, errors are evicted for a fault");
        assert_eq!(tags(&queue.push(envelope(ItemKind::Event, 7))), [7], "no fault is evicted for an error");
        let order: Vec<u8> = std::iter::from_fn(|| queue.pop_where(|_| true)).map(|e| e.attempts).collect();
        assert_eq!(order, [5, 6, 2, 3]);
    }

    #[test]
    fn envelope_that_grows_as_it_leaves_may_exceed_the_bound_by_the_reserve() {
        let mut queue = queue();
        for tag in 0..4 {
            let _ = queue.push(envelope(ItemKind::Event, tag));
        }
        assert!(queue.resize(1024, 1024 + GROWTH_RESERVE));
        assert!(!queue.resize(1024, 1025));
        assert!(queue.resize(1024 + GROWTH_RESERVE, 1024));
        assert_eq!((queue.held_bytes, queue.len()), (4 * 1024, 4));
    }

    #[test]
    fn envelopes_in_flight_still_take_room() {
        let mut queue = queue();
        for tag in 0..4 {
            assert!(queue.push(envelope(ItemKind::Event, tag)).is_empty());
        }
        let in_flight = queue.pop_where(|_| true).unwrap();
        assert_eq!(tags(&queue.push(envelope(ItemKind::Event, 9))), [9]);
        queue.release(&in_flight);
        assert_eq!(queue.held_bytes, 3 * 1024);
        assert!(queue.push(envelope(ItemKind::Event, 10)).is_empty());
    }

    #[test]
    fn envelope_that_grows_in_flight_evicts_lower_priorities_only() {
        let mut queue = queue();
        for (kind, tag) in [(ItemKind::Event, 1), (ItemKind::Event, 2), (ItemKind::Span, 3)] {
            let _ = queue.push(envelope(kind, tag));
        }
        let in_flight = queue.pop_where(|_| true).unwrap();
        queue.release_bytes(in_flight.envelope.size());
        assert!(queue.reserve(4 * 1024, Priority::Error).is_none(), "the other event has the same priority");
        assert_eq!(queue.held_bytes, 2 * 1024);
        assert_eq!(tags(&queue.reserve(3 * 1024, Priority::Error).unwrap()), [3]);
        assert_eq!(queue.held_bytes, 4 * 1024);
    }

    #[test]
    fn envelope_that_is_put_back_waits_behind_its_priority() {
        let mut queue = queue();
        let _ = queue.push(envelope(ItemKind::Event, 1));
        let _ = queue.push(envelope(ItemKind::Event, 2));
        let first = queue.pop_where(|_| true).unwrap();
        queue.put_back(first);
        assert_eq!(queue.pop_where(|_| true).unwrap().attempts, 2);
        assert_eq!(queue.held_bytes, 2 * 1024);
    }

    #[test]
    fn envelope_that_is_put_back_is_still_the_oldest_to_evict() {
        let mut queue = queue();
        for tag in 0..4 {
            let _ = queue.push(envelope(ItemKind::Profile, tag));
        }
        let first = queue.pop_where(|_| true).unwrap();
        queue.put_back(first);
        assert_eq!(tags(&queue.push(envelope(ItemKind::Event, 9))), [0]);
    }

    fn with_keys(tag: u8, keys: &[u64]) -> Pending {
        Pending { keys: keys.into(), ..envelope(ItemKind::CheckIn, tag) }
    }

    #[test]
    fn envelopes_that_belong_together_leave_one_after_the_other() {
        let mut queue = Queue::new(1 << 20);
        for (tag, keys) in [(1, &[7_u64][..]), (2, &[7, 8]), (3, &[8]), (4, &[9]), (5, &[])] {
            assert!(queue.push(with_keys(tag, keys)).is_empty());
        }
        let first = queue.pop_where(|_| true).unwrap();
        let others: Vec<Pending> = std::iter::from_fn(|| queue.pop_where(|_| true)).collect();
        assert_eq!((first.attempts, tags(&others)), (1, vec![4, 5]));
        queue.put_back(first);
        let again = queue.pop_where(|_| true).unwrap();
        assert_eq!(again.attempts, 1, "it was put back, and the others still wait for it");
        queue.release(&again);
        let second = queue.pop_where(|_| true).unwrap();
        assert_eq!((second.attempts, queue.pop_where(|_| true).is_none()), (2, true));
        queue.release(&second);
        assert_eq!(queue.pop_where(|_| true).unwrap().attempts, 3);
    }

    #[test]
    fn evicted_envelope_lets_go_what_waited_for_it() {
        let mut queue = queue();
        let session = Pending { keys: [7].into(), ..envelope(ItemKind::Session, 1) };
        let _ = queue.push(session.clone());
        let _ = queue.push(Pending { attempts: 2, ..session });
        for tag in [3, 4] {
            let _ = queue.push(envelope(ItemKind::Event, tag));
        }
        assert_eq!(tags(&queue.push(envelope(ItemKind::Event, 5))), [1]);
        let order: Vec<u8> = std::iter::from_fn(|| queue.pop_where(|_| true)).map(|e| e.attempts).collect();
        assert_eq!(order, [3, 4, 5, 2]);
    }

    #[test]
    fn envelope_larger_than_the_queue_is_refused() {
        let mut queue = Queue::new(1023);
        assert_eq!(queue.push(envelope(ItemKind::Event, 1)).len(), 1);
        assert_eq!(queue.held_bytes, 0);
    }

    /// An operation on a queue. The index chooses an envelope that was taken out; it is taken modulo their number.
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

    fn total_size<'a>(envelopes: impl IntoIterator<Item = &'a Pending>) -> usize {
        envelopes.into_iter().map(|pending| pending.envelope.size()).sum()
    }

    /// Makes room for `newcomer` by `insert`, and checks three things. Evicted envelopes have a lower priority than
    /// the newcomer, and are no more than needed. The newcomer is refused only if it cannot fit. If it is refused,
    /// nothing is evicted. Returns whether it was taken.
    fn insert_and_check(
        queue: &mut Queue,
        newcomer: &Pending,
        insert: impl FnOnce(&mut Queue) -> Option<Vec<Pending>>,
    ) -> bool {
        let (priority, size) = (newcomer.envelope.priority(), newcomer.envelope.size());
        let (held, waiting) = (queue.held_bytes, queue.len());
        let lower = total_size(queue.iter().filter(|pending| pending.envelope.priority() < priority));
        let Some(evicted) = insert(queue) else {
            assert_eq!(
                (queue.held_bytes, queue.len()),
                (held, waiting),
                "a refused newcomer evicted something"
            );
            assert!(held - lower + size > queue.max_bytes, "the refused newcomer would have fitted");
            return false;
        };
        assert!(
            evicted.iter().all(|victim| victim.envelope.priority() < priority),
            "{evicted:?} for {newcomer:?}"
        );
        let needed = total_size(evicted.iter().rev().skip(1));
        assert!(evicted.is_empty() || held - needed + size > queue.max_bytes, "more was evicted than needed");
        true
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn only_lower_priorities_are_evicted_and_only_for_envelopes_that_fit(
            steps in prop::collection::vec(step(), 1..100),
        ) {
            let mut queue = Queue::new(16 * 1024);
            let mut taken_out: Vec<Pending> = Vec::new();
            for step in steps {
                let at = |at: usize| at.checked_rem(taken_out.len());
                match step {
                    Step::Push(kind, length) => {
                        let newcomer = sized(kind, length);
                        insert_and_check(&mut queue, &newcomer, |queue| {
                            let evicted = queue.push(newcomer.clone());
                            let refused = evicted.iter().any(|one| Arc::ptr_eq(&one.envelope, &newcomer.envelope));
                            if refused { None } else { Some(evicted) }
                        });
                    }
                    Step::Pop => taken_out.extend(queue.pop_where(|_| true)),
                    Step::PutBack(n) => {
                        if let Some(at) = at(n) {
                            queue.put_back(taken_out.remove(at));
                        }
                    }
                    Step::Release(n) => {
                        if let Some(at) = at(n) {
                            queue.release(&taken_out.remove(at));
                        }
                    }
                    Step::Grow(n, length) => {
                        if let Some(at) = at(n) {
                            let before = taken_out.remove(at);
                            queue.release_bytes(before.envelope.size());
                            let after = sized(before.envelope.items[0].kind, length);
                            let (size, priority) = (after.envelope.size(), after.envelope.priority());
                            if insert_and_check(&mut queue, &after, |queue| queue.reserve(size, priority)) {
                                taken_out.push(Pending { number: before.number, ..after });
                            } else {
                                queue.forget(&before);
                            }
                        }
                    }
                }
                prop_assert_eq!(queue.held_bytes, total_size(queue.iter().chain(&taken_out)));
                prop_assert!(queue.held_bytes <= queue.max_bytes);
                prop_assert_eq!(queue.in_lane(lane()), queue.len());
            }
        }
    }
}
