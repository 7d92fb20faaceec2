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

mod bodies;

pub(in crate::gateway) use bodies::SMALL_BODY;

use super::body_error::BodyError;
use crate::active_timer::ActiveTimer;
use bodies::Bodies;
use std::future::poll_fn;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::Instant;

/// How long a body waits for free memory. Seconds.
const WAIT_SECONDS: u64 = 30;

/// The memory for bodies that are being received, and the bodies that take it.
#[derive(Debug)]
pub(crate) struct MemoryBudget {
    bodies: Mutex<Bodies>,
    /// Wakes the bodies that wait for memory.
    freed: Notify,
}

impl MemoryBudget {
    /// The budget of this process, which all listeners share. The first call sets its size.
    pub(in crate::gateway) fn shared(bytes: usize) -> &'static Self {
        static BUDGET: OnceLock<MemoryBudget> = OnceLock::new();
        BUDGET.get_or_init(|| Self::new(bytes))
    }

    pub(crate) fn new(bytes: usize) -> Self {
        Self { bodies: Mutex::new(Bodies::new(bytes)), freed: Notify::new() }
    }

    fn bodies(&self) -> MutexGuard<'_, Bodies> {
        self.bodies.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives up the body that has been silent for longest, if that is long enough, because its connection is needed.
    pub(crate) fn give_up_silent(&self) {
        self.bodies().give_up_silent(true, Instant::now());
    }

    /// Begins a body of at most `most` bytes, which holds nothing yet. `is_announced` means that it says itself that it
    /// has so many.
    pub(in crate::gateway) fn begin(&self, most: usize, is_announced: bool) -> Reservation<'_> {
        Reservation { memory: self, most, is_announced, id: None }
    }
}

/// The memory that a body holds. It is free again when this is dropped.
#[derive(Debug)]
pub(crate) struct Reservation<'a> {
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
        let id = self.memory.bodies().register(self.most, self.is_announced, head);
        self.id = Some(id.ok_or(BodyError::NoMemory)?);
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
                let mut bodies = memory.bodies();
                let now = Instant::now();
                let has_grown = bodies.grow(id, bytes);
                let Some(body) = bodies.get_mut(id) else { return Err(BodyError::NoMemory) };
                body.is_waiting = !has_grown;
                body.note(arrived, now);
                let is_large = body.is_large_with(bytes);
                if has_grown {
                    return Ok(());
                }
                if timer.is_none() && is_large && (bodies.is_crowded() || bodies.is_stuck()) {
                    return Err(BodyError::NoMemory);
                }
                if !is_large {
                    bodies.give_up_silent(false, now);
                }
                bodies.review(is_large, now);
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
        let mut bodies = self.memory.bodies();
        let Some(body) = self.id.and_then(|id| bodies.get_mut(id)) else { return Poll::Pending };
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
            self.memory.bodies().remove(id);
            self.memory.freed.notify_waiters();
        }
    }
}

#[cfg(test)]
mod tests;
