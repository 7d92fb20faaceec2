//! Memory for bodies in the making: all together may take as much as the queue may. Who finds no room waits.
//!
//! A body either knows its length and takes its room at once, or (chunked) starts with a small place and,
//! should it outgrow that, takes the most it may become: nobody waits for the rest of what he holds a part
//! of, so no two bodies can wait for each other. Small places are a pool of their own, so that small
//! bodies pass by large ones.

use super::active_timer::ActiveTimer;
use std::sync::OnceLock;
use tokio::sync::{Semaphore, SemaphorePermit};

/// A small place, bytes.
pub(in crate::gateway) const SMALL: usize = 64 * 1024;
/// Of all room, small places take at most this.
const MOST_SMALL: usize = 2 << 20;
/// What a semaphore counts, bytes.
const UNIT: usize = 1024;
/// How long a body waits for room, seconds.
const WAIT: u64 = 30;

/// The room there is.
#[derive(Debug)]
pub(in crate::gateway) struct MemoryBudget {
    small: UnitPool,
    large: UnitPool,
}

/// Room that is taken, until it is dropped.
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

    /// Who asks for more than there is gets all there is.
    async fn take(&self, bytes: usize) -> Option<SemaphorePermit<'_>> {
        let units = u32::try_from(bytes.div_ceil(UNIT)).unwrap_or(u32::MAX).min(self.units);
        // Closed is a semaphore never.
        ActiveTimer::new(WAIT).wait(self.free.acquire_many(units)).await?.ok()
    }
}

impl MemoryBudget {
    /// The room of this process, which all listeners share; made at the first call.
    pub(in crate::gateway) fn shared(bytes: usize) -> &'static Self {
        static ROOM: OnceLock<MemoryBudget> = OnceLock::new();
        ROOM.get_or_init(|| Self::new(bytes))
    }

    fn new(bytes: usize) -> Self {
        let small = MOST_SMALL.min(bytes / 4);
        Self { small: UnitPool::new(small), large: UnitPool::new(bytes - small) }
    }

    /// Room for a body of known length, or a small place to begin with. `None` after a long wait.
    pub(in crate::gateway) async fn take(&self, length: Option<usize>) -> Option<Reservation<'_>> {
        let permit = match length {
            Some(length) if length > SMALL => self.large.take(length).await?,
            length => self.small.take(length.unwrap_or(SMALL)).await?,
        };
        Some(Reservation([Some(permit), None]))
    }

    /// More room, for all that a body may become.
    pub(in crate::gateway) async fn grow<'a>(
        &'a self,
        reservation: &mut Reservation<'a>,
        most: usize,
    ) -> Option<()> {
        reservation.0[1] = Some(self.large.take(most.saturating_sub(SMALL)).await?);
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::pin::pin;
    use std::task::{Context, Waker};

    fn waits(future: impl Future<Output = impl Sized>) -> bool {
        pin!(future).poll(&mut Context::from_waker(Waker::noop())).is_pending()
    }

    #[tokio::test]
    async fn large_bodies_wait_and_small_ones_pass() {
        let memory = MemoryBudget::new(8 << 20);
        let large = memory.take(Some(4 << 20)).await.unwrap();
        assert!(waits(memory.take(Some(4 << 20))));
        let mut small = memory.take(None).await.unwrap();
        assert!(waits(memory.grow(&mut small, 8 << 20)));
        let _other = memory.take(Some(100)).await.unwrap();
        drop(large);
        memory.grow(&mut small, 8 << 20).await.unwrap();
        assert!(waits(memory.take(Some(SMALL + 1))));
        drop(small);
        assert!(!waits(memory.take(Some(6 << 20))));
    }

    #[tokio::test]
    async fn more_than_there_is_is_all_there_is() {
        let memory = MemoryBudget::new(1000);
        let _all = memory.take(Some(1 << 30)).await.unwrap();
        assert!(waits(memory.take(Some(1 << 30))));
    }

    #[tokio::test]
    async fn small_places_run_out_too() {
        let memory = MemoryBudget::new(1 << 20);
        let mut reservations = Vec::new();
        for _ in 0..4 {
            reservations.push(memory.take(None).await.unwrap());
        }
        assert!(waits(memory.take(None)));
        reservations.pop();
        assert!(!waits(memory.take(None)));
    }
}
