//! Limits the memory of bodies that are being received. Together they may take as much as the queue may. A body
//! that finds no free memory waits.
//!
//! If a body's length is known, all its memory is reserved at once. A chunked body first reserves a small piece. If
//! it outgrows that piece, it reserves the most that it may need in one step. Small pieces come from a pool of their
//! own and large ones from another. So no body waits for more of a pool of which it already holds a part, and two
//! bodies can never wait for each other. The separate pool also lets small bodies through while large ones wait.

use crate::active_timer::ActiveTimer;
use std::sync::OnceLock;
use tokio::sync::{Semaphore, SemaphorePermit};

/// The largest body that the pool for small bodies serves. Bytes.
pub(in crate::gateway) const SMALL_BODY: usize = 64 * 1024;
/// The largest size of the pool for small bodies. Bytes.
const MAX_SMALL_POOL: usize = 2 << 20;
/// The size of one semaphore permit. Bytes.
const UNIT: usize = 1024;
/// How long a body waits for free memory. Seconds.
const WAIT_SECONDS: u64 = 30;

/// The pools for small and for large bodies.
#[derive(Debug)]
pub(in crate::gateway) struct MemoryBudget {
    small: UnitPool,
    large: UnitPool,
}

/// Reserved memory, which is free again when this is dropped: one permit of each pool at most.
#[derive(Debug, Default)]
pub(in crate::gateway) struct Reservation<'a>([Option<SemaphorePermit<'a>>; 2]);

#[derive(Debug)]
struct UnitPool {
    free: Semaphore,
    units: u32,
}

impl UnitPool {
    fn new(bytes: usize) -> Self {
        let units = u32::try_from(bytes / UNIT).unwrap_or(u32::MAX).max(1);
        Self { free: Semaphore::new(units as usize), units }
    }

    /// Reserves `bytes`, or the whole pool if it is smaller. Returns `None` after a long wait.
    async fn reserve(&self, bytes: usize) -> Option<SemaphorePermit<'_>> {
        let units = u32::try_from(bytes.div_ceil(UNIT)).unwrap_or(u32::MAX).min(self.units);
        // The semaphore is never closed, so `ok` drops no error that can happen.
        ActiveTimer::new(WAIT_SECONDS).wait(self.free.acquire_many(units)).await?.ok()
    }
}

impl MemoryBudget {
    /// The budget of this process, which all listeners share. The first call sets its size.
    pub(in crate::gateway) fn shared(bytes: usize) -> &'static Self {
        static BUDGET: OnceLock<MemoryBudget> = OnceLock::new();
        BUDGET.get_or_init(|| Self::new(bytes))
    }

    fn new(bytes: usize) -> Self {
        let small = MAX_SMALL_POOL.min(bytes / 4);
        Self { small: UnitPool::new(small), large: UnitPool::new(bytes - small) }
    }

    /// Reserves memory for a body of this length, or a small piece if the length is unknown. Returns `None` after a
    /// long wait.
    pub(in crate::gateway) async fn reserve(&self, length: Option<usize>) -> Option<Reservation<'_>> {
        let permit = match length {
            Some(length) if length > SMALL_BODY => self.large.reserve(length).await?,
            length => self.small.reserve(length.unwrap_or(SMALL_BODY)).await?,
        };
        Some(Reservation([Some(permit), None]))
    }

    /// Adds memory for a body of unknown length that may grow to `most` bytes. Returns `None` after a long wait.
    pub(in crate::gateway) async fn grow<'a>(
        &'a self,
        reservation: &mut Reservation<'a>,
        most: usize,
    ) -> Option<()> {
        reservation.0[1] = Some(self.large.reserve(most.saturating_sub(SMALL_BODY)).await?);
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::pin::pin;
    use std::task::{Context, Waker};

    fn must_wait(future: impl Future<Output = impl Sized>) -> bool {
        pin!(future).poll(&mut Context::from_waker(Waker::noop())).is_pending()
    }

    #[tokio::test]
    async fn small_bodies_are_admitted_while_large_ones_wait() {
        let memory = MemoryBudget::new(8 << 20);
        let large = memory.reserve(Some(4 << 20)).await.unwrap();
        assert!(must_wait(memory.reserve(Some(4 << 20))));
        let mut small = memory.reserve(None).await.unwrap();
        assert!(must_wait(memory.grow(&mut small, 8 << 20)));
        let _other = memory.reserve(Some(100)).await.unwrap();
        drop(large);
        memory.grow(&mut small, 8 << 20).await.unwrap();
        assert!(must_wait(memory.reserve(Some(SMALL_BODY + 1))));
        drop(small);
        assert!(!must_wait(memory.reserve(Some(6 << 20))));
    }

    #[tokio::test]
    async fn a_body_larger_than_the_pool_reserves_the_whole_pool() {
        let memory = MemoryBudget::new(1000);
        let _all = memory.reserve(Some(1 << 30)).await.unwrap();
        assert!(must_wait(memory.reserve(Some(1 << 30))));
    }

    #[tokio::test]
    async fn small_bodies_wait_when_their_pool_is_used_up() {
        let memory = MemoryBudget::new(1 << 20);
        let mut reservations = Vec::new();
        for _ in 0..4 {
            reservations.push(memory.reserve(None).await.unwrap());
        }
        assert!(must_wait(memory.reserve(None)));
        reservations.pop();
        assert!(!must_wait(memory.reserve(None)));
    }
}
