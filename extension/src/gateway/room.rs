//! Memory for bodies in the making: all together may take as much as the queue may. Who finds no room waits.
//!
//! A body either knows its length and takes its room at once, or (chunked) starts with a small place and,
//! should it outgrow that, takes the most it may become: nobody waits for the rest of what he holds a part
//! of, so no two bodies can wait for each other. Small places are a pool of their own, so that small
//! bodies pass by large ones.

use super::patience::Patience;
use std::sync::OnceLock;
use tokio::sync::{Semaphore, SemaphorePermit};

/// A small place, bytes.
pub(super) const SMALL: usize = 64 * 1024;
/// Of all room, small places take at most this.
const MOST_SMALL: usize = 2 << 20;
/// What a semaphore counts, bytes.
const UNIT: usize = 1024;
/// How long a body waits for room, seconds.
const WAIT: u64 = 30;

/// The room there is.
#[derive(Debug)]
pub(super) struct Room {
    small: Pool,
    large: Pool,
}

/// Room that is taken, until it is dropped.
#[derive(Debug, Default)]
pub(super) struct Place<'a>([Option<SemaphorePermit<'a>>; 2]);

#[derive(Debug)]
struct Pool {
    free: Semaphore,
    units: u32,
}

impl Pool {
    fn new(bytes: usize) -> Self {
        let units = u32::try_from(bytes / UNIT).unwrap_or(u32::MAX).max(1);
        Self { free: Semaphore::new(units as usize), units }
    }

    /// Who asks for more than there is gets all there is.
    async fn take(&self, bytes: usize) -> Option<SemaphorePermit<'_>> {
        let units = u32::try_from(bytes.div_ceil(UNIT)).unwrap_or(u32::MAX).min(self.units);
        // Closed is a semaphore never.
        Patience::new(WAIT).wait(self.free.acquire_many(units)).await?.ok()
    }
}

impl Room {
    /// The room of this process, which all listeners share; made at the first call.
    pub(super) fn shared(bytes: usize) -> &'static Self {
        static ROOM: OnceLock<Room> = OnceLock::new();
        ROOM.get_or_init(|| Self::new(bytes))
    }

    fn new(bytes: usize) -> Self {
        let small = MOST_SMALL.min(bytes / 4);
        Self { small: Pool::new(small), large: Pool::new(bytes - small) }
    }

    /// Room for a body of known length, or a small place to begin with. `None` after a long wait.
    pub(super) async fn take(&self, length: Option<usize>) -> Option<Place<'_>> {
        let permit = match length {
            Some(length) if length > SMALL => self.large.take(length).await?,
            length => self.small.take(length.unwrap_or(SMALL)).await?,
        };
        Some(Place([Some(permit), None]))
    }

    /// More room, for all that a body may become.
    pub(super) async fn grow<'a>(&'a self, place: &mut Place<'a>, most: usize) -> Option<()> {
        place.0[1] = Some(self.large.take(most.saturating_sub(SMALL)).await?);
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
        let room = Room::new(8 << 20);
        let large = room.take(Some(4 << 20)).await.unwrap();
        assert!(waits(room.take(Some(4 << 20))));
        let mut small = room.take(None).await.unwrap();
        assert!(waits(room.grow(&mut small, 8 << 20)));
        let _other = room.take(Some(100)).await.unwrap();
        drop(large);
        room.grow(&mut small, 8 << 20).await.unwrap();
        assert!(waits(room.take(Some(SMALL + 1))));
        drop(small);
        assert!(!waits(room.take(Some(6 << 20))));
    }

    #[tokio::test]
    async fn more_than_there_is_is_all_there_is() {
        let room = Room::new(1000);
        let _all = room.take(Some(1 << 30)).await.unwrap();
        assert!(waits(room.take(Some(1 << 30))));
    }

    #[tokio::test]
    async fn small_places_run_out_too() {
        let room = Room::new(1 << 20);
        let mut places = Vec::new();
        for _ in 0..4 {
            places.push(room.take(None).await.unwrap());
        }
        assert!(waits(room.take(None)));
        places.pop();
        assert!(!waits(room.take(None)));
    }
}
