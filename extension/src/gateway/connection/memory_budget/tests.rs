use super::bodies::{MAX_HEADS, SILENCE, SMALL_HEAD, SMALL_PIECE};
use super::*;
use std::pin::pin;
use std::task::Waker;

const MIB: usize = 1 << 20;

fn must_wait(future: impl Future<Output = Result<(), BodyError>>) -> bool {
    pin!(future).poll(&mut Context::from_waker(Waker::noop())).is_pending()
}

async fn grow(body: &mut Reservation<'_>, bytes: usize) -> Result<(), BodyError> {
    if !body.is_registered() {
        body.register(0)?;
    }
    body.grow(bytes, bytes).await
}

/// Whether a body that holds this much is given up within ten seconds while another waits.
async fn is_given_up(body: &Reservation<'_>, other: &mut Reservation<'_>, bytes: usize) -> bool {
    tokio::select! {
        biased;
        () = body.given_up() => true,
        _ = grow(other, bytes) => false,
        () = tokio::time::sleep(Duration::from_secs(10)) => false,
    }
}

#[tokio::test(start_paused = true)]
async fn only_what_has_arrived_counts() {
    let memory = MemoryBudget::new(8 * MIB);
    let mut announced = memory.begin(6 * MIB, true);
    grow(&mut announced, 100_000).await.unwrap();
    let mut unknown: Vec<_> = (0..40).map(|_| memory.begin(6 * MIB, false)).collect();
    for body in &mut unknown {
        grow(body, SMALL_PIECE).await.unwrap();
    }
    let mut large = memory.begin(5 * MIB, true);
    grow(&mut large, 5 * MIB).await.unwrap();
    let mut small = memory.begin(SMALL_BODY, true);
    grow(&mut small, SMALL_BODY).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_wrong_guess_costs_one_body() {
    let memory = MemoryBudget::new(8 * MIB);
    let (mut one, mut other) = (memory.begin(6 * MIB, false), memory.begin(6 * MIB, false));
    grow(&mut one, 2 * MIB).await.unwrap();
    grow(&mut other, 2 * MIB).await.unwrap();
    grow(&mut one, 4 * MIB).await.unwrap();
    assert!(must_wait(grow(&mut other, 4 * MIB)));
    assert_eq!(grow(&mut one, 6 * MIB).await, Err(BodyError::NoMemory));
    drop(one);
    grow(&mut other, 6 * MIB).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn large_bodies_never_wait_for_each_other_without_end() {
    let memory = MemoryBudget::new(8 * MIB);
    let (mut one, mut other) = (memory.begin(4 * MIB, true), memory.begin(6 * MIB, true));
    grow(&mut one, 3 * MIB).await.unwrap();
    grow(&mut other, MIB / 2).await.unwrap();
    assert!(must_wait(grow(&mut other, 5 * MIB / 2)), "then none of them could be finished");
    grow(&mut one, 4 * MIB).await.unwrap();
    assert!(must_wait(grow(&mut other, 3 * MIB)));
    drop(one);
    grow(&mut other, 6 * MIB).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn small_bodies_are_admitted_while_large_ones_wait() {
    let memory = MemoryBudget::new(8 * MIB);
    let mut large = memory.begin(6 * MIB, true);
    grow(&mut large, 6 * MIB).await.unwrap();
    let mut waiting = memory.begin(6 * MIB, true);
    assert!(must_wait(grow(&mut waiting, 100_000)));
    let mut small = memory.begin(SMALL_BODY, true);
    assert!(!must_wait(grow(&mut small, SMALL_BODY)));
    let mut piece = memory.begin(6 * MIB, true);
    assert!(must_wait(grow(&mut piece, SMALL_PIECE)), "its length is announced");
}

#[tokio::test(start_paused = true)]
async fn a_body_of_unknown_length_is_small_as_long_as_it_is_short() {
    let memory = MemoryBudget::new(8 * MIB);
    let mut large = memory.begin(6 * MIB, true);
    grow(&mut large, 6 * MIB).await.unwrap();
    let mut unknown = memory.begin(6 * MIB, false);
    grow(&mut unknown, SMALL_PIECE).await.unwrap();
    assert!(must_wait(grow(&mut unknown, SMALL_PIECE + 1)));
    drop(large);
    grow(&mut unknown, 5 * MIB).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn slow_bodies_are_given_up_for_those_that_wait() {
    let memory = MemoryBudget::new(8 * MIB);
    let (mut slow, mut other) = (memory.begin(6 * MIB, true), memory.begin(6 * MIB, true));
    grow(&mut slow, 3 * MIB).await.unwrap();
    assert!(is_given_up(&slow, &mut other, 4 * MIB).await);
    drop(slow);
    grow(&mut other, 4 * MIB).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn silent_small_bodies_make_room_at_once() {
    let memory = MemoryBudget::new(MIB);
    let mut silent: Vec<_> = (0..4).map(|_| memory.begin(SMALL_BODY, true)).collect();
    for body in &mut silent {
        grow(body, SMALL_BODY).await.unwrap();
    }
    let mut small = memory.begin(1000, true);
    assert!(must_wait(grow(&mut small, 1000)));
    tokio::time::advance(2 * SILENCE).await;
    assert!(must_wait(grow(&mut small, 1000)));
    silent[0].given_up().await;
    silent.remove(0);
    grow(&mut small, 1000).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn waiting_ends() {
    let memory = MemoryBudget::new(1000);
    let (mut all, mut other) = (memory.begin(1 << 30, true), memory.begin(1 << 30, true));
    grow(&mut all, 1 << 20).await.unwrap();
    assert_eq!(grow(&mut other, 1 << 20).await, Err(BodyError::NoMemory));
}

#[test]
fn large_heads_share_a_bound() {
    let memory = MemoryBudget::new(8 * MIB);
    let mut all: Vec<_> = (0..100).map(|_| memory.begin(10, true)).collect();
    let accepted = all.iter_mut().filter_map(|body| body.register(60_000).ok()).count();
    assert_eq!(accepted, MAX_HEADS / 60_000);
    memory.begin(10, true).register(SMALL_HEAD).unwrap();
    drop(all);
    assert_eq!(memory.bodies().heads, 0);
}
