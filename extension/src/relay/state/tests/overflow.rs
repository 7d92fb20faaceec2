//! Tests of a buffer that is too small: what is evicted for what, in single cases and in random sequences.

use super::*;
use crate::protocol::Encoding;
use proptest::prelude::*;
use std::collections::HashSet;
use std::io::Write as _;

/// Makes a compressed envelope with an item of this kind and length, and an attachment. Without the attachment it is
/// not compressed any more, and larger.
fn compressed(kind: ItemKind, length: usize) -> Envelope {
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    let payload = "x".repeat(length);
    write!(gzip, "{{}}\n{{\"length\":{length}}}\n{payload}\n{{\"length\":0}}\n\n").unwrap();
    let items = [kind, ItemKind::Attachment].map(|kind| Item { kind, count: 1, bytes: length });
    let body = gzip.finish().unwrap().into();
    Envelope { items: items.into(), body, encoding: Encoding::Gzip, ..sample(kind, 0) }
}

#[test]
fn envelope_that_outgrows_the_buffer_at_check_out_evicts_nothing() {
    let mut state = State::new(7 * 1024, 64 * 1024);
    state.accept(compressed(ItemKind::Event, 9 * 1024), UNIX_EPOCH);
    state.accept(compressed(ItemKind::Event, 2 * 1024), UNIX_EPOCH);
    for kind in [ItemKind::Span, ItemKind::Event, ItemKind::Profile] {
        state.accept(sample(kind, 0), UNIX_EPOCH);
    }
    state.rate_limits.update(&key(), "60:attachment:key", UNIX_EPOCH);
    let rest = check_out(&mut state).unwrap();
    assert!(rest.envelope.size() > 3 * 1024, "the first was dropped, and the second has grown");
    assert_eq!(
        state.ledger.dropped_for(DropReason::QueueOverflow),
        2,
        "the first itself, and the profile that the second evicted"
    );
    let waiting: Vec<_> = state.queue.iter().map(|pending| pending.envelope.items[0].kind).collect();
    assert_eq!(waiting, [ItemKind::Span, ItemKind::Event]);
    assert!(state.ledger.balances(state.pending()));
}

/// An operation on the state.
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

/// Returns all envelopes that are queued or in flight.
fn present(state: &State) -> Vec<&Arc<Envelope>> {
    state.queue.iter().chain(&state.in_flight).map(|pending| &pending.envelope).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn full_buffer_evicts_only_lower_priorities_and_counts_them(steps in prop::collection::vec(step(), 1..100)) {
        const BUFFER: usize = 16 * 1024;
        let mut state = State::new(BUFFER, 64 * 1024);
        for (n, step) in steps.into_iter().enumerate() {
            let before: Vec<Arc<Envelope>> = present(&state).into_iter().map(Arc::clone).collect();
            let overflows_before = state.ledger.dropped_for(DropReason::QueueOverflow);
            let in_flight = state.in_flight.first().cloned();
            // The envelope for which others may be evicted.
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
            let overflows = state.ledger.dropped_for(DropReason::QueueOverflow) - overflows_before;
            if matches!(step, Step::Arrive { .. } | Step::CheckOut) {
                let refused = newcomer.iter().filter(is_gone).count();
                let gone: Vec<_> = before.iter().filter(is_gone).collect();
                prop_assert_eq!(overflows, (refused + gone.len()) as u64);
                prop_assert!(refused == 0 || gone.is_empty(), "{:?} for {:?}", gone, newcomer);
                for victim in gone {
                    let is_less = newcomer.as_ref().is_some_and(|newcomer| victim.priority() < newcomer.priority());
                    // At check-out, an envelope that has outgrown the buffer is dropped itself.
                    let has_grown = matches!(step, Step::CheckOut) && victim.encoding == Encoding::Gzip;
                    prop_assert!(is_less || has_grown, "{:?} for {:?}", victim, newcomer);
                }
            }
            prop_assert!(present(&state).iter().map(|envelope| envelope.size()).sum::<usize>() <= BUFFER);
            prop_assert!(state.ledger.balances(state.pending()));
        }
    }
}
