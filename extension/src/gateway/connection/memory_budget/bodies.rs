//! The bodies that are being received, and who of them may hold how much. Pure, except that it reads the clock.

use crate::gateway::connection::by_id::ById;
use std::task::Waker;
use std::time::Duration;
use tokio::time::Instant;

/// The largest body that the pool for small bodies serves. Bytes.
pub(in crate::gateway) const SMALL_BODY: usize = 64 * 1024;
/// A body of unknown length is taken for a small one up to this size. Bytes.
pub(super) const SMALL_PIECE: usize = 16 * 1024;
/// The length that is guessed for a body of unknown length. Bytes.
const GUESS: usize = 2 << 20;
/// The largest size of the pool for small bodies. Bytes.
const MAX_SMALL_POOL: usize = 2 << 20;
/// While others wait, a body that gets fewer bytes than this in a second is slow.
const SLOW: usize = 64 * 1024;
/// A body is given up after more slow seconds than this. One alone may be the end of a freeze, or a busy machine.
const MAX_SLOW_SECONDS: u32 = 2;
/// A small body that has been silent for so long makes room for another at once.
pub(super) const SILENCE: Duration = Duration::from_secs(2);
/// A head up to this size does not count. Bytes.
pub(super) const SMALL_HEAD: usize = 8 * 1024;
/// The most memory of the larger heads whose bodies are awaited. Bytes.
pub(super) const MAX_HEADS: usize = 2 << 20;

/// All bodies that are not complete yet, and the memory that they share.
#[derive(Debug)]
pub(super) struct Bodies {
    small_pool: usize,
    large_pool: usize,
    all: ById<Body>,
    /// The memory of large heads whose bodies are awaited.
    pub(super) heads: usize,
    /// When the small and the large bodies were reviewed last.
    reviewed: [Option<Instant>; 2],
}

/// A body that is not complete yet.
#[derive(Debug)]
pub(super) struct Body {
    is_announced: bool,
    is_large: bool,
    held: usize,
    /// The most that it may come to hold.
    most: usize,
    pub(super) is_waiting: bool,
    /// The memory of the request's head, if it is large.
    head: usize,
    arrived: usize,
    /// The bytes that have arrived since the last review.
    progress: usize,
    slow_seconds: u32,
    moved: Instant,
    pub(super) given_up: bool,
    pub(super) waker: Option<Waker>,
}

impl Body {
    /// Whether it belongs to the large ones if it holds so much.
    pub(super) fn is_large_with(&self, held: usize) -> bool {
        self.is_large || self.most > SMALL_BODY && held > SMALL_PIECE
    }

    /// How much more it will probably hold, at most `pool` in all.
    fn missing(&self, pool: usize) -> usize {
        let guess = if self.held <= GUESS { GUESS } else { 2 * self.held };
        let whole = if self.is_announced { self.most } else { self.most.min(guess) };
        whole.min(pool).saturating_sub(self.held)
    }

    pub(super) fn note(&mut self, arrived: usize, now: Instant) {
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

impl Bodies {
    pub(super) fn new(bytes: usize) -> Self {
        let small_pool = MAX_SMALL_POOL.min(bytes / 4);
        Self {
            small_pool,
            large_pool: bytes - small_pool,
            all: ById::default(),
            heads: 0,
            reviewed: [None; 2],
        }
    }

    /// Makes a body known that has so large a head. `None`: there are too many large heads.
    pub(super) fn register(&mut self, most: usize, is_announced: bool, head: usize) -> Option<u64> {
        let head = if head > SMALL_HEAD { head } else { 0 };
        if self.heads + head > MAX_HEADS {
            return None;
        }
        self.heads += head;
        Some(self.all.add(Body {
            is_announced,
            is_large: is_announced && most > SMALL_BODY,
            held: 0,
            most,
            is_waiting: false,
            head,
            arrived: 0,
            progress: 0,
            slow_seconds: 0,
            moved: Instant::now(),
            given_up: false,
            waker: None,
        }))
    }

    /// Frees what a body holds.
    pub(super) fn remove(&mut self, id: u64) {
        let head = self.all.remove(id).map_or(0, |body| body.head);
        self.heads = self.heads.saturating_sub(head);
    }

    pub(super) fn get_mut(&mut self, id: u64) -> Option<&mut Body> {
        self.all.get_mut(id)
    }

    fn pool(&self, is_large: bool) -> usize {
        if is_large { self.large_pool } else { self.small_pool }
    }

    fn held(&self, is_large: bool) -> usize {
        self.all.values().filter(|body| body.is_large == is_large).map(|body| body.held).sum()
    }

    /// Lets a body hold `wanted` bytes, if that leaves enough for the others. It never holds more than its pool has.
    pub(super) fn grow(&mut self, id: u64, wanted: usize) -> bool {
        let Some(body) = self.all.get(id) else { return false };
        let becomes_large = body.is_large_with(wanted);
        let (was_large, before) = (body.is_large, body.held);
        let pool = self.pool(becomes_large);
        let wanted = wanted.min(pool);
        if wanted <= before {
            return true;
        }
        if let Some(body) = self.all.get_mut(id) {
            (body.is_large, body.held) = (becomes_large, wanted);
        }
        let fits = if becomes_large { self.is_safe() } else { self.held(false) <= pool };
        if !fits && let Some(body) = self.all.get_mut(id) {
            (body.is_large, body.held) = (was_large, before);
        }
        fits
    }

    /// Whether all large bodies can be finished, one after the other, with the memory that is left.
    fn is_safe(&self) -> bool {
        let large = self.all.values().filter(|body| body.is_large);
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
    pub(super) fn review(&mut self, is_large: bool, now: Instant) {
        let Some(reviewed) = self.reviewed.get_mut(usize::from(is_large)) else { return };
        if reviewed.is_some_and(|last| now.duration_since(last) < Duration::from_secs(1)) {
            return;
        }
        let is_first = reviewed.replace(now).is_none();
        for body in self.all.values_mut().filter(|body| body.is_large == is_large) {
            let is_slow = !is_first && !body.is_waiting && body.progress < SLOW;
            body.slow_seconds = if is_slow { body.slow_seconds + 1 } else { 0 };
            body.progress = 0;
            if body.slow_seconds > MAX_SLOW_SECONDS {
                body.give_up();
            }
        }
    }

    /// Gives up the body that has been silent for longest, of the small ones or of all, if that is long enough.
    pub(super) fn give_up_silent(&mut self, of_all: bool, now: Instant) {
        let may_end = |body: &&mut Body| (of_all || !body.is_large) && !body.is_waiting && !body.given_up;
        if let Some(body) = self.all.values_mut().filter(may_end).min_by_key(|body| body.moved)
            && now.duration_since(body.moved) >= SILENCE
        {
            body.give_up();
        }
    }

    /// Whether all large bodies that hold memory wait for more.
    pub(super) fn is_stuck(&self) -> bool {
        let holders = || self.all.values().filter(|body| body.is_large && body.held > 0 && !body.given_up);
        holders().next().is_some() && holders().all(|body| body.is_waiting)
    }

    /// Whether so many bodies wait that they would fill the small pool.
    pub(super) fn is_crowded(&self) -> bool {
        let waiting = self.all.values().filter(|body| body.is_waiting).count();
        waiting > (self.small_pool / SMALL_PIECE / 2).max(1)
    }
}
