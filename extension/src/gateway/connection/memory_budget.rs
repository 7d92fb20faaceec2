//! Limits the memory of bodies that are being received. Together they may take as much as the queue may.
//!
//! Memory is counted as bytes arrive, and not as they are announced, so a client that announces much and sends little
//! takes nothing from the others. Two rules keep bodies from waiting for each other without end:
//!
//! - Small bodies have a pool of their own, so they never wait for large ones.
//! - A large body gets memory only if all others can still be finished one after the other (the banker's algorithm).
//!   The length of a body that does not announce it is guessed. Where the guess was wrong and all wait, one is refused.
//!
//! A body that makes no progress while another waits for memory is given up.

use super::body_error::BodyError;
use crate::active_timer::ActiveTimer;
use std::collections::BTreeMap;
use std::future::poll_fn;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::Instant;

/// The largest body that the pool for small bodies serves. Bytes.
pub(in crate::gateway) const SMALL_BODY: usize = 64 * 1024;
/// A body of unknown length is taken for a small one up to this size. Bytes.
const SMALL_PIECE: usize = 16 * 1024;
/// The length that is guessed for a body of unknown length. Bytes.
const GUESS: usize = 2 << 20;
/// The largest size of the pool for small bodies. Bytes.
const MAX_SMALL_POOL: usize = 2 << 20;
/// A head up to this size does not count. Bytes.
const SMALL_HEAD: usize = 8 * 1024;
/// The most memory of the larger heads whose bodies are awaited. Bytes.
const MAX_HEADS: usize = 2 << 20;
/// How long a body waits for free memory. Seconds.
const WAIT_SECONDS: u64 = 30;
/// While others wait, a body that gets fewer bytes than this in a second is slow.
const SLOW: usize = 64 * 1024;
/// A body is given up after more slow seconds than this. One alone may be the end of a freeze, or a busy machine.
const MAX_SLOW_SECONDS: u32 = 2;
/// A small body that has been silent for so long makes room for another at once.
const SILENCE: Duration = Duration::from_secs(2);

/// The memory for bodies that are being received, and the bodies that take it.
#[derive(Debug)]
pub(in crate::gateway) struct MemoryBudget {
    state: Mutex<State>,
    /// Wakes the bodies that wait for memory.
    freed: Notify,
}

#[derive(Debug)]
struct State {
    small_pool: usize,
    large_pool: usize,
    bodies: BTreeMap<u64, Body>,
    /// The memory of large heads whose bodies are awaited.
    heads: usize,
    next_id: u64,
    /// When the small and the large bodies were reviewed last.
    reviewed: [Option<Instant>; 2],
}

/// A body that is not complete yet.
#[derive(Debug)]
struct Body {
    is_announced: bool,
    is_large: bool,
    held: usize,
    /// The most that it may come to hold.
    most: usize,
    is_waiting: bool,
    /// The memory of the request's head, if it is large.
    head: usize,
    arrived: usize,
    /// The bytes that have arrived since the last review.
    progress: usize,
    slow_seconds: u32,
    moved: Instant,
    given_up: bool,
    waker: Option<Waker>,
}

impl Body {
    /// Whether it belongs to the large ones if it holds so much.
    fn is_large_with(&self, held: usize) -> bool {
        self.is_large || self.most > SMALL_BODY && held > SMALL_PIECE
    }

    /// How much more it will probably hold, at most `pool` in all.
    fn missing(&self, pool: usize) -> usize {
        let guess = if self.held <= GUESS { GUESS } else { 2 * self.held };
        let whole = if self.is_announced { self.most } else { self.most.min(guess) };
        whole.min(pool).saturating_sub(self.held)
    }

    fn note(&mut self, arrived: usize, now: Instant) {
        self.progress += arrived.saturating_sub(self.arrived);
        (self.arrived, self.moved) = (arrived, now);
    }

    fn give_up(&mut self) {
        self.given_up = true;
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }
}

impl State {
    fn new(bytes: usize) -> Self {
        let small_pool = MAX_SMALL_POOL.min(bytes / 4);
        Self {
            small_pool,
            large_pool: bytes - small_pool,
            bodies: BTreeMap::new(),
            heads: 0,
            next_id: 0,
            reviewed: [None; 2],
        }
    }

    fn pool(&self, is_large: bool) -> usize {
        if is_large { self.large_pool } else { self.small_pool }
    }

    fn held(&self, is_large: bool) -> usize {
        self.bodies.values().filter(|body| body.is_large == is_large).map(|body| body.held).sum()
    }

    /// Lets a body hold `wanted` bytes, if that leaves enough for the others. It never holds more than its pool has.
    fn grow(&mut self, id: u64, wanted: usize) -> bool {
        let Some(body) = self.bodies.get(&id) else { return false };
        let becomes_large = body.is_large_with(wanted);
        let (was_large, before) = (body.is_large, body.held);
        let pool = self.pool(becomes_large);
        let wanted = wanted.min(pool);
        if wanted <= before {
            return true;
        }
        if let Some(body) = self.bodies.get_mut(&id) {
            (body.is_large, body.held) = (becomes_large, wanted);
        }
        let fits = if becomes_large { self.is_safe() } else { self.held(false) <= pool };
        if !fits && let Some(body) = self.bodies.get_mut(&id) {
            (body.is_large, body.held) = (was_large, before);
        }
        fits
    }

    /// Whether all large bodies can be finished, one after the other, with the memory that is left.
    fn is_safe(&self) -> bool {
        let large = self.bodies.values().filter(|body| body.is_large);
        let mut missing: Vec<(usize, usize)> =
            large.map(|body| (body.missing(self.large_pool), body.held)).collect();
        missing.sort_unstable();
        let Some(mut free) = self.large_pool.checked_sub(missing.iter().map(|(_, held)| held).sum()) else {
            return false;
        };
        missing.iter().all(|(missing, held)| {
            let can_finish = *missing <= free;
            free += held;
            can_finish
        })
    }

    /// Looks for slow bodies of one pool, at most once a second. Only a body that waits for memory of it calls this.
    fn review(&mut self, is_large: bool, now: Instant) {
        let Some(reviewed) = self.reviewed.get_mut(usize::from(is_large)) else { return };
        if reviewed.is_some_and(|last| now.duration_since(last) < Duration::from_secs(1)) {
            return;
        }
        let is_first = reviewed.replace(now).is_none();
        for body in self.bodies.values_mut().filter(|body| body.is_large == is_large) {
            let is_slow = !is_first && !body.is_waiting && body.progress < SLOW;
            body.slow_seconds = if is_slow { body.slow_seconds + 1 } else { 0 };
            body.progress = 0;
            if body.slow_seconds > MAX_SLOW_SECONDS {
                body.give_up();
            }
        }
    }

    /// Gives up the body that has been silent for longest, of the small ones or of all, if that is long enough.
    fn give_up_silent(&mut self, of_all: bool, now: Instant) {
        let may_end = |body: &&mut Body| (of_all || !body.is_large) && !body.is_waiting && !body.given_up;
        if let Some(body) = self.bodies.values_mut().filter(may_end).min_by_key(|body| body.moved)
            && now.duration_since(body.moved) >= SILENCE
        {
            body.give_up();
        }
    }

    /// Whether all large bodies that hold memory wait for more.
    fn is_stuck(&self) -> bool {
        let holders = || self.bodies.values().filter(|body| body.is_large && body.held > 0 && !body.given_up);
        holders().next().is_some() && holders().all(|body| body.is_waiting)
    }

    /// Whether so many bodies wait that they would fill the small pool.
    fn is_crowded(&self) -> bool {
        let waiting = self.bodies.values().filter(|body| body.is_waiting).count();
        waiting > (self.small_pool / SMALL_PIECE / 2).max(1)
    }
}

impl MemoryBudget {
    /// The budget of this process, which all listeners share. The first call sets its size.
    pub(in crate::gateway) fn shared(bytes: usize) -> &'static Self {
        static BUDGET: OnceLock<MemoryBudget> = OnceLock::new();
        BUDGET.get_or_init(|| Self::new(bytes))
    }

    fn new(bytes: usize) -> Self {
        Self { state: Mutex::new(State::new(bytes)), freed: Notify::new() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives up the body that has been silent for longest, if that is long enough, because its connection is needed.
    pub(in crate::gateway) fn give_up_silent(&self) {
        self.state().give_up_silent(true, Instant::now());
    }

    /// Begins a body of at most `most` bytes, which holds nothing yet. `is_announced` means that it says itself that it
    /// has so many.
    pub(in crate::gateway) fn begin(&self, most: usize, is_announced: bool) -> Reservation<'_> {
        Reservation { memory: self, most, is_announced, id: None }
    }
}

/// The memory that a body holds. It is free again when this is dropped.
#[derive(Debug)]
pub(in crate::gateway) struct Reservation<'a> {
    memory: &'a MemoryBudget,
    most: usize,
    is_announced: bool,
    /// `None` as long as the body is not registered.
    id: Option<u64>,
}

impl Reservation<'_> {
    /// Whether others know of the body. A body that is complete before that costs no more than its read buffer.
    pub(in crate::gateway) fn is_registered(&self) -> bool {
        self.id.is_some()
    }

    /// Makes the body known, because its request has to wait for the rest of it. `head` is the size of the request's
    /// head, which stays in memory meanwhile. Fails if there are too many large ones.
    pub(in crate::gateway) fn register(&mut self, head: usize) -> Result<(), BodyError> {
        let head = if head > SMALL_HEAD { head } else { 0 };
        let mut state = self.memory.state();
        if state.heads + head > MAX_HEADS {
            return Err(BodyError::NoMemory);
        }
        state.heads += head;
        let id = state.next_id;
        state.next_id += 1;
        let body = Body {
            is_announced: self.is_announced,
            is_large: self.is_announced && self.most > SMALL_BODY,
            held: 0,
            most: self.most,
            is_waiting: false,
            head,
            arrived: 0,
            progress: 0,
            slow_seconds: 0,
            moved: Instant::now(),
            given_up: false,
            waker: None,
        };
        state.bodies.insert(id, body);
        self.id = Some(id);
        Ok(())
    }

    /// Lets a registered body hold `bytes` bytes, of which so many have arrived. Waits until there is memory for them,
    /// but not for ever.
    pub(in crate::gateway) async fn grow(&mut self, bytes: usize, arrived: usize) -> Result<(), BodyError> {
        let Some(id) = self.id else { return Ok(()) };
        let memory = self.memory;
        let mut timer = None;
        loop {
            let freed = memory.freed.notified();
            {
                let mut state = memory.state();
                let now = Instant::now();
                let has_grown = state.grow(id, bytes);
                let Some(body) = state.bodies.get_mut(&id) else { return Err(BodyError::NoMemory) };
                body.is_waiting = !has_grown;
                body.note(arrived, now);
                let is_large = body.is_large_with(bytes);
                if has_grown {
                    return Ok(());
                }
                if timer.is_none() && is_large && (state.is_crowded() || state.is_stuck()) {
                    return Err(BodyError::NoMemory);
                }
                if !is_large {
                    state.give_up_silent(false, now);
                }
                state.review(is_large, now);
            }
            let timer = timer.get_or_insert_with(|| ActiveTimer::new(WAIT_SECONDS));
            let second = tokio::time::sleep(Duration::from_secs(1));
            let waiting = async {
                tokio::select! { () = freed => {}, () = second => {} }
            };
            if timer.wait(waiting).await.is_none() {
                return Err(BodyError::NoMemory);
            }
        }
    }

    /// Waits until the body is given up, because it is slow and others wait.
    pub(in crate::gateway) async fn given_up(&self) {
        poll_fn(|context| self.poll_given_up(context)).await;
    }

    fn poll_given_up(&self, context: &mut Context<'_>) -> Poll<()> {
        let mut state = self.memory.state();
        let Some(body) = self.id.and_then(|id| state.bodies.get_mut(&id)) else { return Poll::Pending };
        if body.given_up {
            return Poll::Ready(());
        }
        body.waker = Some(context.waker().clone());
        Poll::Pending
    }
}

impl Drop for Reservation<'_> {
    fn drop(&mut self) {
        if let Some(id) = self.id {
            let mut state = self.memory.state();
            let head = state.bodies.remove(&id).map_or(0, |body| body.head);
            state.heads = state.heads.saturating_sub(head);
            drop(state);
            self.memory.freed.notify_waiters();
        }
    }
}

#[cfg(test)]
mod tests;
