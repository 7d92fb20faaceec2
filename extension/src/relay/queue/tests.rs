//! Tests of single operations on the queue.

mod eviction;

use super::*;
use crate::protocol::ItemKind;
use crate::relay::envelope::sample;
use crate::relay::ledger::DropReason;
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
        is_late: false,
        since: UNIX_EPOCH,
        dated: UNIX_EPOCH,
        reason: DropReason::Shutdown,
        unanswered: Arc::default(),
    }
}

impl Queue {
    /// Returns the bytes that it counts: of the envelopes that wait, and of those that were taken out.
    pub(in crate::relay) fn held_bytes(&self) -> usize {
        self.held_bytes
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
    for (kind, tag) in
        [(ItemKind::Transaction, 1), (ItemKind::Event, 2), (ItemKind::Profile, 3), (ItemKind::Transaction, 4)]
    {
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
    assert!(queue.push(envelope(ItemKind::Fault, 5)).is_empty(), "there is room for faults in a full queue");
    let large = Pending {
        envelope: Arc::new(sample(ItemKind::Fault, FAULT_RESERVE - 4096)),
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
