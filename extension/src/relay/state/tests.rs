//! Tests of single changes of the state.

mod overflow;

use super::*;
use crate::config::PublicKey;
use crate::protocol::{Item, ItemKind};
use crate::relay::concurrency::BASE;
use crate::relay::envelope::sample;
use crate::relay::fault_keeper::{Asked, keeper};
use std::time::UNIX_EPOCH;

fn check_out(state: &mut State) -> Option<Pending> {
    state.check_out(Instant::now(), UNIX_EPOCH, false)
}

impl State {
    /// Returns all envelopes that are queued, in flight, or in custody.
    pub(in crate::relay) fn all_pending(&self) -> impl Iterator<Item = &Pending> {
        self.queue.iter().chain(&self.in_flight).chain(self.filtering.custody())
    }

    /// Returns the bytes that count in the bound of the queue.
    pub(in crate::relay) fn held_bytes(&self) -> usize {
        self.queue.held_bytes()
    }

    pub(in crate::relay) fn is_closed(&self) -> bool {
        self.closed
    }
}

fn state() -> State {
    State::new(4 * 1024, 1024)
}

#[test]
fn counts_balance_at_every_step() {
    let mut state = state();
    for _ in 0..6 {
        state.accept(sample(ItemKind::Event, 0), UNIX_EPOCH);
        assert!(state.ledger.balances(state.pending()));
    }
    assert_eq!(state.ledger.dropped_for(DropReason::QueueOverflow), 2);
    let first = check_out(&mut state).unwrap();
    let second = check_out(&mut state).unwrap();
    assert!(state.ledger.balances(state.pending()));
    state.check_in(&first, |ledger| ledger.delivered += 1);
    state.put_back(second, DropReason::Network);
    assert!(state.ledger.balances(state.pending()));
    let late = check_out(&mut state).unwrap();
    state.close();
    assert!(state.ledger.balances(0));
    assert_eq!(
        state.ledger.dropped_for(DropReason::Network),
        2,
        "one was put back, one had no response in time"
    );
    assert_eq!(state.ledger.dropped_for(DropReason::Shutdown), 1);
    state.check_in(&late, |ledger| ledger.delivered += 1);
    state.accept(sample(ItemKind::Event, 1), UNIX_EPOCH);
    assert!(state.ledger.balances(0), "nothing is counted twice");
}

#[test]
fn fault_does_not_wait_for_envelopes_that_upstream_does_not_answer() {
    let mut state = State::new(1 << 20, 1024);
    for _ in 0..BASE + 2 {
        state.accept(sample(ItemKind::Event, 0), UNIX_EPOCH);
    }
    while check_out(&mut state).is_some() {}
    assert_eq!(state.in_flight.len(), BASE);
    state.accept(sample(ItemKind::Fault, 0), UNIX_EPOCH);
    assert!(state.has_waiting_fault());
    assert!(check_out(&mut state).unwrap().is_fault());
    assert!(check_out(&mut state).is_none() && !state.has_waiting_fault());
    // And the other way round.
    state.reclaim_in_flight();
    let order = std::iter::from_fn(|| check_out(&mut state)).map(|pending| pending.is_fault());
    assert_eq!(order.collect::<Vec<_>>(), [true, false, false, false, false]);
    // While the upstream is in trouble, it gets one fault at a time beside the one envelope.
    let lane = state.lanes.of(&sample(ItemKind::Event, 0).upstream);
    state.upstream_failed(lane, UNIX_EPOCH, |_| {});
    state.accept(sample(ItemKind::Fault, 0), UNIX_EPOCH);
    assert!(check_out(&mut state).is_none());
}

#[test]
fn faults_that_remain_at_the_end_are_spooled_or_dropped_and_nothing_else_is_spooled() {
    for (kept, counts) in [(true, (2, 2)), (false, (0, 4))] {
        let mut state = State::new(1 << 20, 1024);
        for kind in [ItemKind::Event, ItemKind::Fault, ItemKind::Fault, ItemKind::Transaction] {
            state.accept(sample(kind, 0), UNIX_EPOCH);
        }
        let in_flight = check_out(&mut state).unwrap();
        let (keeper, asked) = keeper(kept);
        state.set_fault_keeper(keeper);
        state.close();
        assert_eq!(*asked.lock().unwrap(), Asked { to_keep: 2, ended: if kept { 0 } else { 2 } });
        assert_eq!((state.ledger.spooled, state.ledger.dropped()), counts);
        state.check_in(&in_flight, |ledger| ledger.delivered += 1);
        assert!(state.ledger.balances(0) && state.pending() == 0);
    }
}

#[test]
fn fault_that_is_given_up_is_spooled() {
    for (kind, kept, counts) in
        [(ItemKind::Fault, true, (1, 0)), (ItemKind::Fault, false, (0, 1)), (ItemKind::Event, true, (0, 1))]
    {
        let mut state = state();
        state.accept(sample(kind, 0), UNIX_EPOCH);
        let pending = check_out(&mut state).unwrap();
        state.set_fault_keeper(keeper(kept).0);
        state.give_up(&pending, DropReason::Upstream);
        assert_eq!((state.ledger.spooled, state.ledger.dropped_for(DropReason::Upstream)), counts);
        assert!(state.ledger.balances(0));
    }
}

#[test]
fn envelopes_of_a_panicked_task_are_tried_again() {
    let mut state = state();
    state.accept(sample(ItemKind::Event, 10), UNIX_EPOCH);
    let _ = check_out(&mut state);
    state.reclaim_in_flight();
    let again = check_out(&mut state).unwrap();
    assert_eq!((again.attempts, again.reason), (1, DropReason::Internal));
    // The panicked task may still own a clone of the envelope when a rate limit removes its items.
    state.reclaim_in_flight();
    state.rate_limits.update(&key(), "60:error:key", UNIX_EPOCH);
    assert!(check_out(&mut state).is_none());
    assert_eq!(again.envelope.items.len(), 1);
    assert!(state.ledger.balances(0));
}

/// Makes an uncompressed envelope with an error and a transaction.
fn mixed() -> Envelope {
    let body = "{}\n{\"type\":\"event\"}\n{}\n{\"type\":\"transaction\",\"length\":2}\n{}\n";
    let items = [ItemKind::Event, ItemKind::Transaction].map(|kind| Item { kind, count: 1, bytes: 2 });
    Envelope { items: items.into(), body: body.into(), ..sample(ItemKind::Event, 0) }
}

fn key() -> PublicKey {
    mixed().key
}

#[test]
fn limited_items_are_removed_before_acceptance_and_reported() {
    let mut state = state();
    state.rate_limits.update(&key(), "60:transaction:key", UNIX_EPOCH);
    let (rest, retry_after) = state.admit(mixed(), UNIX_EPOCH);
    assert_eq!(retry_after, Some(60));
    let rest = rest.unwrap();
    assert_eq!(rest.body, "{}\n{\"type\":\"event\"}\n{}\n");
    assert_eq!(rest.items.len(), 1);
    assert!(state.client_reports.any(|_| true));
    state.rate_limits.update(&key(), "60:error:key", UNIX_EPOCH);
    let (rest, retry_after) = state.admit(mixed(), UNIX_EPOCH);
    assert!(rest.is_none() && retry_after.is_some());
    assert_eq!(state.ledger, Ledger::default(), "nothing was accepted yet");
}

#[test]
fn limit_applies_to_queued_envelopes_too() {
    let mut state = state();
    state.accept(mixed(), UNIX_EPOCH);
    state.accept(sample(ItemKind::Transaction, 9), UNIX_EPOCH);
    state.rate_limits.update(&key(), "60:transaction:key", UNIX_EPOCH);
    let rest = check_out(&mut state).unwrap();
    assert_eq!(rest.envelope.items.len(), 1);
    assert!(check_out(&mut state).is_none());
    state.check_in(&rest, |ledger| ledger.delivered += 1);
    assert!(state.is_idle() && state.ledger.balances(0));
    assert_eq!(state.ledger.dropped_for(DropReason::RateLimit), 1);
}

#[test]
fn while_draining_a_report_waits_for_envelopes_to_its_own_upstream_only() {
    let mut state = state();
    let healthy = Arc::new(Upstream::parse("http://127.0.0.1:2").unwrap());
    let for_healthy = || Envelope { upstream: Arc::clone(&healthy), ..sample(ItemKind::Event, 0) };
    state.lose(&for_healthy(), DropReason::RateLimit);
    state.accept(sample(ItemKind::Event, 0), UNIX_EPOCH);
    state.accept(for_healthy(), UNIX_EPOCH);
    state.start_draining(Instant::now() + Duration::from_secs(1));
    let (other, last) = (check_out(&mut state).unwrap(), check_out(&mut state).unwrap());
    assert_eq!((other.envelope.upstream.port(), last.envelope.upstream.port()), (1, 2));
    assert!(state.check_out_report(UNIX_EPOCH, |_| false).is_none());
    state.check_in(&last, |ledger| ledger.delivered += 1);
    assert!(state.check_out_report(UNIX_EPOCH, |_| false).is_some());
}

#[test]
fn failing_upstream_gets_one_try_at_a_time_and_delays_no_other() {
    let mut state = state();
    let healthy = Upstream::parse("http://127.0.0.1:2").unwrap();
    state.accept(sample(ItemKind::Event, 0), UNIX_EPOCH);
    state.accept(sample(ItemKind::Event, 0), UNIX_EPOCH);
    state.accept(Envelope { upstream: Arc::new(healthy), ..sample(ItemKind::Log, 0) }, UNIX_EPOCH);
    let probe = check_out(&mut state).unwrap();
    let clock = Instant::now();
    state.lanes.failed(probe.lane, UNIX_EPOCH, |backoff| backoff.failed(clock, 1.0, None));
    state.put_back(probe, DropReason::Network);
    let other = state.check_out(clock, UNIX_EPOCH, false).unwrap();
    assert_eq!(other.envelope.upstream.port(), 2);
    assert!(state.check_out(clock, UNIX_EPOCH, false).is_none());
    let later = clock + state.pause(clock, UNIX_EPOCH).unwrap();
    assert!(state.check_out(later, UNIX_EPOCH, false).is_some());
    assert!(state.check_out(later, UNIX_EPOCH, false).is_none(), "only one try at a time");
    state.start_draining(Instant::now() + Duration::from_secs(1));
    assert!(
        state.check_out(later, UNIX_EPOCH, false).is_some(),
        "while draining, tries are not limited to one"
    );
}

#[test]
fn healthy_upstream_with_envelopes_means_no_outage() {
    let mut state = state();
    assert!(!state.is_troubled());
    let dead = Arc::clone(&sample(ItemKind::Event, 0).upstream);
    let lane = state.lanes.assign(&dead, |_| false, Instant::now(), UNIX_EPOCH);
    state.lanes.failed(lane, UNIX_EPOCH, |_| {});
    assert!(state.is_troubled(), "nothing waits, and the only known upstream failed");
    state.accept(sample(ItemKind::Event, 0), UNIX_EPOCH);
    assert!(state.is_troubled());
    let healthy = crate::config::Upstream::parse("http://127.0.0.1:2").unwrap();
    state.accept(Envelope { upstream: Arc::new(healthy), ..sample(ItemKind::Log, 0) }, UNIX_EPOCH);
    assert!(!state.is_troubled());
}

/// With a hundred thousand envelopes of a failing upstream waiting, this takes seconds. If each step looked through all
/// that waits, it would take many minutes.
#[test]
fn accepting_does_not_look_through_a_hundred_thousand_that_wait() {
    const WAITING: usize = 100_000;
    let mut state = State::new(1 << 40, 1024);
    let clock = Instant::now();
    for _ in 0..WAITING {
        state.accept(sample(ItemKind::Transaction, 0), UNIX_EPOCH);
    }
    let lane = state.lanes.of(&sample(ItemKind::Event, 0).upstream);
    state.lanes.failed(lane, UNIX_EPOCH, |backoff| backoff.failed_for(clock, Duration::from_hours(1)));
    for accepted in 0..WAITING {
        state.accept(sample(ItemKind::Event, 0), UNIX_EPOCH);
        assert!(state.check_out(clock, UNIX_EPOCH, true).is_none());
        assert!(
            state.check_out_report(UNIX_EPOCH, |_| false).is_none()
                && state.is_troubled()
                && !state.is_drained()
        );
        assert!(state.oldest().is_some() && state.pending() > 0 && state.pause(clock, UNIX_EPOCH).is_some());
        assert!(clock.elapsed() < Duration::from_mins(2), "only {accepted} were accepted");
    }
}

#[test]
fn bodies_are_packed_while_many_envelopes_wait() {
    let mut state = State::new(1 << 20, 1024);
    for length in 1..=60 {
        state.accept(sample(ItemKind::Event, length), UNIX_EPOCH);
    }
    let bodies: Vec<_> = state.queue.iter().map(|pending| pending.envelope.body.clone()).collect();
    assert!(bodies.iter().zip(1..).all(|(body, length)| *body == vec![0; length]));
    let (last, before) = (&bodies[59], &bodies[58]);
    assert_eq!(before.as_ptr().wrapping_add(before.len()), last.as_ptr());
}
