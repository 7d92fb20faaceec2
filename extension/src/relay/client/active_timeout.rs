//! A timeout that counts only the time in which the environment is awake. After a freeze, the response may already lie
//! in the socket. A plain timeout would fire at the moment of the thaw, throw the response away, and make the caller
//! send the envelope again.

use std::time::{Duration, Instant, SystemTime};
use tokio::time::timeout;

/// The time between two checks of the clock.
const SLICE: Duration = Duration::from_millis(100);
/// A slice that takes this much too long was interrupted by a freeze. A process without CPU time is late too, but less.
const FREEZE_THRESHOLD: Duration = Duration::from_millis(250);
/// The time for the work after a freeze. The response is either already there, or the connection is dead without
/// notice.
const AFTER_FREEZE: Duration = Duration::from_millis(750);

/// Why the work was stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TimeoutKind {
    /// The work took longer than the limit.
    TimedOut,
    /// A freeze interrupted the work, and it did not end soon after. This says nothing about the other side.
    Frozen,
}

/// Waits for `work`, but at most `limit` of waking time.
pub(crate) async fn timeout_awake<T>(
    limit: Duration,
    work: impl Future<Output = T>,
) -> Result<T, TimeoutKind> {
    timeout_without_progress(limit, || None, work).await
}

/// Waits for `work`, but at most `limit` of waking time, and after each progress at most the time that `progress`
/// gives. It returns the bytes that were moved so far, with that time. `None` means that no progress counts.
pub(crate) async fn timeout_without_progress<T>(
    limit: Duration,
    progress: impl Fn() -> Option<(usize, Duration)>,
    work: impl Future<Output = T>,
) -> Result<T, TimeoutKind> {
    tokio::pin!(work);
    let (mut left, mut moved) = (limit, 0);
    let mut kind = TimeoutKind::TimedOut;
    while !left.is_zero() {
        let slice = left.min(SLICE);
        let (begun, wall) = (Instant::now(), SystemTime::now());
        if let Ok(done) = timeout(slice, work.as_mut()).await {
            return Ok(done);
        }
        // The monotonic clock may stand still in a freeze, and the wall clock may be set back. The larger value is
        // right.
        if let Some((now, more)) = progress().filter(|(now, _)| *now != moved) {
            (moved, left, kind) = (now, left.max(more), TimeoutKind::TimedOut);
            continue;
        }
        let passed = begun.elapsed().max(wall.elapsed().unwrap_or_default());
        if passed < slice + FREEZE_THRESHOLD {
            left -= slice;
        } else {
            left = left.min(AFTER_FREEZE);
            kind = TimeoutKind::Frozen;
        }
    }
    Err(kind)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

    #[tokio::test]
    async fn progress_gives_more_time() {
        let (moved, more) = (Cell::new(0), 4 * SLICE);
        let work = async {
            for _ in 0..6 {
                tokio::time::sleep(2 * SLICE).await;
                moved.set(moved.get() + 1);
            }
        };
        let progress = || Some((moved.get(), more));
        assert_eq!(timeout_without_progress(more, progress, work).await, Ok(()));
        let stuck = timeout_without_progress(more, progress, std::future::pending::<()>());
        assert_eq!(stuck.await, Err(TimeoutKind::TimedOut));
    }

    /// The whole process stands still, by all clocks: the timers of these tests run by one that only waiting moves.
    async fn freeze(time: Duration) {
        std::thread::sleep(time);
        tokio::time::advance(time).await;
    }

    #[tokio::test(start_paused = true)]
    async fn only_waking_time_counts() {
        let start = tokio::time::Instant::now();
        let limit = Duration::from_millis(120);
        assert_eq!(timeout_awake(limit, std::future::pending::<()>()).await, Err(TimeoutKind::TimedOut));
        assert!(start.elapsed() >= limit);
        // The process stands still for longer than the limit. After that, the work needs 20 ms more.
        let work = async {
            freeze(SLICE + FREEZE_THRESHOLD + limit).await;
            tokio::time::sleep(Duration::from_millis(20)).await;
            "done"
        };
        assert_eq!(timeout_awake(limit, work).await, Ok("done"));
    }

    #[tokio::test(start_paused = true)]
    async fn work_that_does_not_end_after_a_freeze_is_not_a_plain_timeout() {
        let start = tokio::time::Instant::now();
        let work = async {
            freeze(SLICE + FREEZE_THRESHOLD).await;
            std::future::pending::<()>().await;
        };
        assert_eq!(timeout_awake(Duration::from_mins(1), work).await, Err(TimeoutKind::Frozen));
        assert!(start.elapsed() < SLICE + FREEZE_THRESHOLD + 2 * AFTER_FREEZE);
    }
}
