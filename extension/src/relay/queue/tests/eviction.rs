//! Random sequences of operations on the queue: nothing of equal or higher priority is ever evicted, and nothing at all
//! for an envelope that does not fit.

use super::*;
use proptest::prelude::*;

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
    let kinds = [ItemKind::Profile, ItemKind::Replay, ItemKind::Span, ItemKind::Transaction, ItemKind::Log];
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
        assert_eq!((queue.held_bytes, queue.len()), (held, waiting), "a refused newcomer evicted something");
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
