//! The state's transitions, step by step.

use super::*;
use crate::config::PublicKey;
use crate::protocol::{Item, ItemKind};
use crate::relay::envelope::sample;
use proptest::prelude::*;
use std::collections::HashSet;
use std::io::Write as _;
use std::time::UNIX_EPOCH;

fn check_out(state: &mut State) -> Option<Pending> {
    state.check_out(Instant::now(), UNIX_EPOCH)
}

fn state() -> State {
    State::new(4 * 1024, 1024)
}

#[test]
fn the_books_balance_at_every_step() {
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
    state.close(None);
    assert!(state.ledger.balances(0));
    assert_eq!(state.ledger.dropped_for(DropReason::Network), 2, "one came back, one had no answer in time");
    assert_eq!(state.ledger.dropped_for(DropReason::Shutdown), 1);
    state.check_in(&late, |ledger| ledger.delivered += 1);
    state.accept(sample(ItemKind::Event, 1), UNIX_EPOCH);
    assert!(state.ledger.balances(0), "nothing is booked twice");
}

#[test]
fn what_was_in_flight_when_the_carrier_fell_is_tried_again() {
    let mut state = state();
    state.accept(sample(ItemKind::Event, 10), UNIX_EPOCH);
    let _ = check_out(&mut state);
    state.reclaim_in_flight();
    let again = check_out(&mut state).unwrap();
    assert_eq!((again.attempts, again.reason), (1, DropReason::Internal));
    // The fallen carrier may still hold it when a limit takes it out.
    state.reclaim_in_flight();
    state.rate_limits.update(&key(), "60:error:key", UNIX_EPOCH);
    assert!(check_out(&mut state).is_none());
    assert_eq!(again.envelope.items.len(), 1);
    assert!(state.ledger.balances(0));
}

/// An error and a transaction in one envelope, plain.
fn mixed() -> Envelope {
    let body = "{}\n{\"type\":\"event\"}\n{}\n{\"type\":\"transaction\",\"length\":2}\n{}\n";
    let items = [ItemKind::Event, ItemKind::Transaction].map(|kind| Item { kind, count: 1, bytes: 2 });
    Envelope { items: items.into(), body: body.into(), ..sample(ItemKind::Event, 0) }
}

fn key() -> PublicKey {
    mixed().key
}

#[test]
fn at_the_door_limited_items_are_removed_and_reported() {
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
fn a_limit_counts_for_what_waits_too() {
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
fn at_the_end_a_report_waits_for_its_own_upstream_only() {
    let mut state = state();
    let well = Arc::new(Upstream::parse("http://127.0.0.1:2").unwrap());
    let there = || Envelope { upstream: Arc::clone(&well), ..sample(ItemKind::Event, 0) };
    state.lose(&there(), DropReason::RateLimit);
    state.accept(sample(ItemKind::Event, 0), UNIX_EPOCH);
    state.accept(there(), UNIX_EPOCH);
    state.start_draining();
    let (stuck, last) = (check_out(&mut state).unwrap(), check_out(&mut state).unwrap());
    assert_eq!((stuck.envelope.upstream.port(), last.envelope.upstream.port()), (1, 2));
    assert!(state.check_out_report(UNIX_EPOCH).is_none());
    state.check_in(&last, |ledger| ledger.delivered += 1);
    assert!(state.check_out_report(UNIX_EPOCH).is_some());
}

#[test]
fn an_upstream_in_trouble_is_probed_and_holds_up_no_other() {
    let mut state = state();
    let well = Upstream::parse("http://127.0.0.1:2").unwrap();
    state.accept(sample(ItemKind::Event, 0), UNIX_EPOCH);
    state.accept(sample(ItemKind::Event, 0), UNIX_EPOCH);
    state.accept(Envelope { upstream: Arc::new(well), ..sample(ItemKind::Log, 0) }, UNIX_EPOCH);
    let probe = check_out(&mut state).unwrap();
    let clock = Instant::now();
    state.outages.failed(&probe.envelope.upstream, UNIX_EPOCH, |backoff| backoff.failed(clock, 1.0, None));
    state.put_back(probe, DropReason::Network);
    let other = state.check_out(clock, UNIX_EPOCH).unwrap();
    assert_eq!(other.envelope.upstream.port(), 2);
    assert!(state.check_out(clock, UNIX_EPOCH).is_none());
    let later = clock + state.pause(clock).unwrap();
    assert!(state.check_out(later, UNIX_EPOCH).is_some());
    assert!(state.check_out(later, UNIX_EPOCH).is_none(), "one probe at a time");
    state.start_draining();
    assert!(state.check_out(later, UNIX_EPOCH).is_some(), "there is no later");
}

#[test]
fn an_upstream_that_is_well_is_worth_waiting_for() {
    let mut state = state();
    assert!(!state.is_troubled());
    let dead = Arc::clone(&sample(ItemKind::Event, 0).upstream);
    state.outages.failed(&dead, UNIX_EPOCH, |_| {});
    assert!(state.is_troubled(), "nothing waits, and the only one that is known is dead");
    state.accept(sample(ItemKind::Event, 0), UNIX_EPOCH);
    assert!(state.is_troubled());
    let well = crate::config::Upstream::parse("http://127.0.0.1:2").unwrap();
    state.accept(Envelope { upstream: Arc::new(well), ..sample(ItemKind::Log, 0) }, UNIX_EPOCH);
    assert!(!state.is_troubled());
}

/// An item of this kind and length and an attachment, compressed: without the attachment it is larger.
fn compressed(kind: ItemKind, length: usize) -> Envelope {
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    let payload = "x".repeat(length);
    write!(gzip, "{{}}\n{{\"length\":{length}}}\n{payload}\n{{\"length\":0}}\n\n").unwrap();
    let items = [kind, ItemKind::Attachment].map(|kind| Item { kind, count: 1, bytes: length });
    let body = gzip.finish().unwrap().into();
    Envelope { items: items.into(), body, encoding: Encoding::Gzip, ..sample(kind, 0) }
}

#[test]
fn what_outgrows_the_buffer_on_its_way_out_evicts_nothing() {
    let mut state = State::new(6 * 1024, 64 * 1024);
    state.accept(compressed(ItemKind::Event, 9 * 1024), UNIX_EPOCH);
    state.accept(compressed(ItemKind::Event, 2 * 1024), UNIX_EPOCH);
    for kind in [ItemKind::Span, ItemKind::Event, ItemKind::Profile] {
        state.accept(sample(kind, 0), UNIX_EPOCH);
    }
    state.rate_limits.update(&key(), "60:attachment:key", UNIX_EPOCH);
    let rest = check_out(&mut state).unwrap();
    assert!(rest.envelope.size() > 3 * 1024, "the first is gone, and the second has grown");
    assert_eq!(
        state.ledger.dropped_for(DropReason::QueueOverflow),
        2,
        "itself, and the profile for the second"
    );
    let waiting: Vec<_> = state.queue.iter().map(|pending| pending.envelope.items[0].kind).collect();
    assert_eq!(waiting, [ItemKind::Span, ItemKind::Event]);
    assert!(state.ledger.balances(state.pending()));
}

/// What happens to the state.
#[derive(Clone, Copy, Debug)]
enum Step {
    Arrive { kind: ItemKind, length: usize, compressed: bool },
    LimitAttachments,
    CheckOut,
    PutBack,
    Deliver,
    GiveUp,
}

fn step() -> impl Strategy<Value = Step> {
    let kinds = [ItemKind::Profile, ItemKind::Replay, ItemKind::Span, ItemKind::Transaction, ItemKind::Log];
    let kind = prop::sample::select([&kinds[..], &[ItemKind::Event]].concat());
    let arrival = (kind, 0..6000_usize, any::<bool>());
    prop_oneof![
        20 => arrival.prop_map(|(kind, length, compressed)| Step::Arrive { kind, length, compressed }),
        1 => Just(Step::LimitAttachments),
        8 => Just(Step::CheckOut),
        4 => Just(Step::PutBack),
        2 => Just(Step::Deliver),
        1 => Just(Step::GiveUp),
    ]
}

/// All that wait or are in flight.
fn present(state: &State) -> Vec<&Arc<Envelope>> {
    state.queue.iter().chain(&state.in_flight).map(|pending| &pending.envelope).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_full_buffer_loses_only_what_is_worth_less_and_counts_it(steps in prop::collection::vec(step(), 1..100)) {
        const BUFFER: usize = 16 * 1024;
        let mut state = State::new(BUFFER, 64 * 1024);
        for (n, step) in steps.into_iter().enumerate() {
            let before: Vec<Arc<Envelope>> = present(&state).into_iter().map(Arc::clone).collect();
            let overflown = state.ledger.dropped_for(DropReason::QueueOverflow);
            let in_flight = state.in_flight.first().cloned();
            // For which envelope others may go.
            let mut newcomer = None;
            match (step, in_flight) {
                (Step::Arrive { kind, length, compressed: is_compressed }, _) => {
                    let sent = if is_compressed { compressed(kind, length) } else { sample(kind, length) };
                    let sent = Envelope { path: n.to_string(), ..sent };
                    let admitted = state.admit(sent, UNIX_EPOCH).0.unwrap();
                    newcomer = Some(Arc::new(admitted.clone()));
                    state.accept(admitted, UNIX_EPOCH);
                }
                (Step::LimitAttachments, _) => state.rate_limits.update(&key(), "60:attachment:key", UNIX_EPOCH),
                (Step::CheckOut, _) => newcomer = check_out(&mut state).map(|pending| pending.envelope),
                (Step::PutBack, Some(pending)) => state.put_back(pending, DropReason::Network),
                (Step::Deliver, Some(pending)) => state.check_in(&pending, |ledger| ledger.delivered += 1),
                (Step::GiveUp, Some(pending)) => state.give_up(&pending, DropReason::Upstream),
                (Step::PutBack | Step::Deliver | Step::GiveUp, None) => {}
            }
            let after: HashSet<&str> = present(&state).iter().map(|envelope| &*envelope.path).collect();
            let is_gone = |envelope: &&Arc<Envelope>| !after.contains(&*envelope.path);
            let overflown = state.ledger.dropped_for(DropReason::QueueOverflow) - overflown;
            if matches!(step, Step::Arrive { .. } | Step::CheckOut) {
                let refused = newcomer.iter().filter(is_gone).count();
                let gone: Vec<_> = before.iter().filter(is_gone).collect();
                prop_assert_eq!(overflown, (refused + gone.len()) as u64);
                prop_assert!(refused == 0 || gone.is_empty(), "{:?} for {:?}", gone, newcomer);
                for victim in gone {
                    let is_less = newcomer.as_ref().is_some_and(|newcomer| victim.priority() < newcomer.priority());
                    // On its way out, one that has outgrown the buffer goes by itself.
                    let has_grown = matches!(step, Step::CheckOut) && victim.encoding == Encoding::Gzip;
                    prop_assert!(is_less || has_grown, "{:?} for {:?}", victim, newcomer);
                }
            }
            prop_assert!(present(&state).iter().map(|envelope| envelope.size()).sum::<usize>() <= BUFFER);
            prop_assert!(state.ledger.balances(state.pending()));
        }
    }
}
