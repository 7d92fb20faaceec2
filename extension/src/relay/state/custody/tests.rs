//! Tests the ways into custody and out of it. The counts balance at every step.

use super::*;
use crate::protocol::{Encoding, ItemKind};
use crate::relay::envelope::sample;
use crate::relay::fault_keeper::keeper;
use std::time::{Duration, UNIX_EPOCH};

impl Filtering {
    pub(in crate::relay) fn custody(&self) -> &[Pending] {
        &self.custody
    }
}

fn state() -> State {
    let mut state = State::new(1 << 20, 1 << 20);
    state.start_filtering();
    state.filter_is_ready();
    state
}

fn accept(state: &mut State, kind: ItemKind) {
    assert_eq!(state.accept(sample(kind, 10), UNIX_EPOCH), 0);
}

fn take(state: &mut State) -> CustodyNumber {
    let taken = state.take_unfiltered(UNIX_EPOCH).unwrap().0;
    assert!(state.check_out(Instant::now(), UNIX_EPOCH, false).is_none(), "it leaves unfiltered");
    taken
}

fn hand_back(state: &mut State, number: CustodyNumber, body: &'static str) {
    hand_back_as(state, ItemKind::Event, number, body);
}

fn hand_back_as(state: &mut State, kind: ItemKind, number: CustodyNumber, body: &'static str) {
    let envelope = Envelope { body: body.into(), ..sample(kind, 10) };
    state.hand_back(Some(number), envelope, false, Instant::now(), UNIX_EPOCH);
}

/// Checks that the counts balance. Returns accepted, dropped and pending.
fn counts(state: &State) -> [u64; 3] {
    let ledger = state.ledger();
    assert!(ledger.balances(state.pending()), "{ledger:?} {}", state.pending());
    [ledger.accepted, ledger.dropped(), state.pending()]
}

fn leaves(state: &mut State) -> Option<Envelope> {
    let pending = state.check_out(Instant::now(), UNIX_EPOCH, true)?;
    state.check_in(&pending, |ledger| ledger.delivered += 1);
    Some(Arc::unwrap_or_clone(pending.envelope))
}

#[test]
fn what_comes_back_leaves_instead_of_what_was_given() {
    let mut state = state();
    accept(&mut state, ItemKind::Event);
    let number = take(&mut state);
    assert!(!state.is_filtered() && !state.is_drained() && counts(&state) == [1, 0, 1]);
    hand_back(&mut state, number, "filtered");
    assert!(state.is_filtered() && counts(&state) == [1, 0, 1]);
    hand_back_as(&mut state, ItemKind::Feedback, number, "its second part");
    assert_eq!(counts(&state), [2, 0, 2]);
    assert_eq!(leaves(&mut state).unwrap().body, "filtered");
    assert_eq!(leaves(&mut state).unwrap().body, "its second part");
    assert!(leaves(&mut state).is_none() && state.is_drained() && counts(&state) == [2, 0, 0]);
}

#[test]
fn a_copy_of_what_came_out_is_not_delivered_and_a_part_is() {
    let mut state = state();
    accept(&mut state, ItemKind::Event);
    let number = take(&mut state);
    for (kind, body, parts) in [
        (ItemKind::Session, "{\"sent_at\":1}\none", 1),
        (ItemKind::Session, "{\"sent_at\":2}\none", 1),
        (ItemKind::Session, "{}\nother", 2),
        (ItemKind::Event, "{}\n{\"received\":1}", 3),
        (ItemKind::Event, "{}\n{\"received\":2}", 3),
        (ItemKind::Session, "{}\nother", 3),
    ] {
        hand_back_as(&mut state, kind, number, body);
        assert_eq!(counts(&state), [parts, 0, parts], "{body}");
    }
}

#[test]
fn nothing_is_given_while_it_does_not_run_and_all_is_given_again() {
    let mut state = state();
    accept(&mut state, ItemKind::Event);
    accept(&mut state, ItemKind::Transaction);
    let first = take(&mut state);
    assert!(!state.is_troubled());
    assert_eq!(state.filter_has_failed(true), (1, 0));
    assert!(
        state.take_unfiltered(UNIX_EPOCH).is_none() && state.is_troubled() && counts(&state) == [2, 0, 2]
    );
    state.filter_is_ready();
    assert_eq!(take(&mut state), first, "errors come first");
    hand_back(&mut state, first, "filtered");
    assert_eq!(counts(&state), [2, 0, 2]);
}

#[test]
fn what_was_there_at_each_failure_is_given_alone_and_dropped_if_nothing_may_pass() {
    for (is_required, dropped) in [(true, 1), (false, 0)] {
        let mut state = state();
        for kind in [ItemKind::Event, ItemKind::Transaction] {
            accept(&mut state, kind);
        }
        let cause = take(&mut state);
        take(&mut state);
        for _ in 1..SUSPICIOUS_FAILURES {
            state.filter_has_failed(is_required);
            state.filter_is_ready();
            assert!(take(&mut state) != take(&mut state));
        }
        for _ in SUSPICIOUS_FAILURES..MAX_FAILURES {
            assert_eq!(state.filter_has_failed(is_required).1, 0);
            state.filter_is_ready();
            assert_eq!(take(&mut state), cause);
            assert!(state.take_unfiltered(UNIX_EPOCH).is_none(), "it is not alone");
        }
        assert_eq!(state.filter_has_failed(is_required), (1 - dropped, dropped));
        let dropped = dropped as u64;
        assert_eq!(state.ledger().dropped_for(DropReason::SentryRelayRefused), dropped);
        assert_eq!(counts(&state), [2, dropped, 2 - dropped]);
    }
}

#[test]
fn its_room_is_bounded() {
    let mut state = state();
    for _ in 0..2 * MOST {
        accept(&mut state, ItemKind::Event);
    }
    assert_eq!(std::iter::from_fn(|| state.take_unfiltered(UNIX_EPOCH)).count(), MOST);
    let large = sample(ItemKind::Event, MAX_BYTES / 2);
    let compressed = Envelope { body: "gzip".into(), encoding: Encoding::Gzip, ..large.clone() };
    for envelope in [large, compressed] {
        let mut state = State {
            filtering: Filtering { is_on: true, is_ready: true, ..Filtering::default() },
            ..State::new(8 << 20, 8 << 20)
        };
        for _ in 0..3 {
            state.accept(envelope.clone(), UNIX_EPOCH);
        }
        assert_eq!(std::iter::from_fn(|| state.take_unfiltered(UNIX_EPOCH)).count(), 2);
    }
}

#[test]
fn late_ones_keep_nobody_waiting_and_may_still_come() {
    let mut state = state();
    for _ in 0..=MOST {
        accept(&mut state, ItemKind::Event);
    }
    let numbers: Vec<_> = (0..MOST).map(|_| take(&mut state)).collect();
    assert!(!state.has_unfiltered() && state.awaited() == 17);
    state.set_late(numbers[0]);
    state.set_late(numbers[0]);
    assert!(state.has_unfiltered() && state.awaited() == 16 && counts(&state) == [17, 0, 17]);
    hand_back(&mut state, numbers[0], "late");
    assert!(state.awaited() == 17 && counts(&state) == [17, 0, 17]);
    for number in &numbers[1..3] {
        state.set_late(*number);
    }
    state.book_filtered(numbers[1]);
    assert_eq!((state.awaited(), counts(&state)), (15, [17, 1, 16]));
    assert_eq!(state.filter_has_failed(true), (14, 0));
    assert_eq!((state.awaited(), counts(&state)), (16, [17, 1, 16]));
}

#[test]
fn late_ones_alone_are_no_backlog() {
    let mut state = state();
    accept(&mut state, ItemKind::Event);
    let number = take(&mut state);
    assert!(state.awaited() == 1 && state.oldest().is_some());
    state.set_late(number);
    assert!(state.awaited() == 0 && state.oldest().is_none());
}

#[test]
fn the_number_of_late_ones_is_bounded() {
    let mut state = state();
    for _ in 0..=MOST_WITH_LATE {
        accept(&mut state, ItemKind::Event);
    }
    for _ in 0..MOST_WITH_LATE {
        let number = take(&mut state);
        state.set_late(number);
    }
    assert!(!state.has_unfiltered());
}

#[test]
fn what_is_no_envelope_is_given_alone() {
    let mut state = state();
    for path in ["/api/42/nel/", "/api/42/envelope/"] {
        state.accept(Envelope { path: path.to_owned(), ..sample(ItemKind::Event, 1) }, UNIX_EPOCH);
    }
    let number = take(&mut state);
    assert_eq!(state.custody(None).map(|(found, _)| found), Some(number));
    assert!(state.take_unfiltered(UNIX_EPOCH).is_none());
    hand_back(&mut state, number, "now an envelope");
    assert!(state.custody(None).is_none() && state.take_unfiltered(UNIX_EPOCH).is_some());
}

#[test]
fn dropped_by_a_rule_or_only_late() {
    let mut state = state();
    accept(&mut state, ItemKind::Event);
    let number = take(&mut state);
    state.book_filtered(number);
    assert_eq!((counts(&state), state.ledger().lost()), ([1, 1, 0], 0));
    for _ in 0..2 {
        hand_back(&mut state, number, "late");
        assert_eq!(counts(&state), [1, 0, 1]);
    }
}

#[test]
fn refused_ones_leave_as_they_are_unless_that_is_forbidden() {
    let mut state = state();
    accept(&mut state, ItemKind::Event);
    accept(&mut state, ItemKind::Event);
    let number = take(&mut state);
    state.refused(number, false, Instant::now(), UNIX_EPOCH);
    assert_eq!((counts(&state), leaves(&mut state).unwrap().body.len()), ([2, 0, 2], 10));
    let number = take(&mut state);
    state.refused(number, true, Instant::now(), UNIX_EPOCH);
    assert_eq!((counts(&state), state.ledger().dropped_for(DropReason::SentryRelayRefused)), ([2, 1, 0], 1));
}

#[test]
fn without_it_everything_leaves_or_nothing() {
    for is_required in [false, true] {
        let mut state = state();
        let monitor = "{}\n{\"length\":22}\n{\"monitor_slug\":\"job\"}\n";
        for _ in 0..2 {
            // The second waits for the first.
            let check_in = Envelope { body: monitor.into(), ..sample(ItemKind::CheckIn, 22) };
            state.accept(check_in, UNIX_EPOCH);
        }
        take(&mut state);
        assert!(state.take_unfiltered(UNIX_EPOCH).is_none());
        state.stop_filtering(is_required, Instant::now(), UNIX_EPOCH);
        accept(&mut state, ItemKind::Event);
        assert_eq!(std::iter::from_fn(|| leaves(&mut state)).count(), if is_required { 0 } else { 3 });
        assert_eq!((state.is_blocked(), state.is_troubled()), (is_required, is_required));
        state.close();
        let unavailable = state.ledger().dropped_for(DropReason::SentryRelayUnavailable);
        assert_eq!((unavailable, counts(&state)[2]), (if is_required { 3 } else { 0 }, 0));
    }
}

#[test]
fn the_end_counts_custody_and_keeps_faults() {
    let mut state = state();
    for kind in [ItemKind::Fault, ItemKind::Event, ItemKind::Event] {
        accept(&mut state, kind);
    }
    let fault = take(&mut state);
    take(&mut state);
    state.set_fault_keeper(keeper(true).0);
    state.close();
    assert_eq!((counts(&state), state.ledger().spooled), ([3, 2, 0], 1));
    assert_eq!(state.ledger().dropped_for(DropReason::SentryRelayUnavailable), 2);
    hand_back(&mut state, fault, "too late");
    assert_eq!(counts(&state), [3, 2, 0]);
}

#[test]
fn sent_at_is_moved_before_and_not_again() {
    const HOUR: Duration = Duration::from_hours(1);
    let body =
        |hour: &str| format!("{{\"sent_at\":\"1970-01-01T{hour}:00:00Z\"}}\n{{\"type\":\"event\"}}\n{{}}\n");
    for (is_dated, leaves_with) in [(true, "01:00:00Z"), (false, "03:00:00.000000Z")] {
        let mut state = state();
        state.accept(Envelope { body: body("00").into(), ..sample(ItemKind::Event, 0) }, UNIX_EPOCH);
        let (number, given) = state.take_unfiltered(UNIX_EPOCH + HOUR).unwrap();
        assert!(String::from_utf8_lossy(&given.body).contains("01:00:00.000000Z"));
        let back = Envelope { body: body("01").into(), ..sample(ItemKind::Event, 0) };
        let later = UNIX_EPOCH + if is_dated { 3 * HOUR } else { HOUR };
        state.hand_back(Some(number), back, is_dated, Instant::now(), later);
        let left = state.check_out(Instant::now(), UNIX_EPOCH + 3 * HOUR, true).unwrap();
        assert!(
            String::from_utf8_lossy(&left.envelope.body).contains(leaves_with),
            "{:?}",
            left.envelope.body
        );
    }
}
