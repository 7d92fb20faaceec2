//! A bound on waiting that counts waking time alone. In a freeze nobody waits: what came meanwhile lies in the
//! socket, and would be thrown away, and sent again, by a time-out that fires at the moment of the thaw.

use std::time::{Duration, Instant, SystemTime};
use tokio::time::timeout;

/// Between two looks at the clock.
const SLICE: Duration = Duration::from_millis(100);
/// A slice that is so much too long was interrupted by a freeze. A starved process is late too, but less.
const FROZEN: Duration = Duration::from_millis(250);
/// After a freeze the other side's answer is at hand, or the connection is dead and nobody will say so.
const AFTER_FREEZE: Duration = Duration::from_millis(750);

/// Why the work was given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TimeoutKind {
    /// It took longer than the limit.
    TimedOut,
    /// A freeze came in between, and soon after it there was still no end: that says nothing about the other side.
    Frozen,
}

/// Waits for some work at most so long.
pub(crate) async fn timeout_awake<T>(
    limit: Duration,
    work: impl Future<Output = T>,
) -> Result<T, TimeoutKind> {
    tokio::pin!(work);
    let (mut left, mut late) = (limit, TimeoutKind::TimedOut);
    while !left.is_zero() {
        let slice = left.min(SLICE);
        let (begun, wall) = (Instant::now(), SystemTime::now());
        if let Ok(done) = timeout(slice, work.as_mut()).await {
            return Ok(done);
        }
        // The monotonic clock may stand still in a freeze; the other may be set back meanwhile.
        let passed = begun.elapsed().max(wall.elapsed().unwrap_or_default());
        if passed < slice + FROZEN {
            left -= slice;
        } else {
            (left, late) = (left.min(AFTER_FREEZE), TimeoutKind::Frozen);
        }
    }
    Err(late)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn time_passes_awake_only() {
        let start = Instant::now();
        let limit = Duration::from_millis(120);
        assert_eq!(timeout_awake(limit, std::future::pending::<()>()).await, Err(TimeoutKind::TimedOut));
        assert!(start.elapsed() >= limit);
        // The whole process stands still for longer than the limit, and the work needs a moment more.
        let work = async {
            std::thread::sleep(SLICE + FROZEN + limit);
            tokio::time::sleep(Duration::from_millis(20)).await;
            "done"
        };
        assert_eq!(timeout_awake(limit, work).await, Ok("done"));
    }

    #[tokio::test]
    async fn what_does_not_end_soon_after_a_freeze_is_told_from_a_time_out() {
        let start = Instant::now();
        let work = async {
            std::thread::sleep(SLICE + FROZEN);
            std::future::pending::<()>().await;
        };
        assert_eq!(timeout_awake(Duration::from_mins(1), work).await, Err(TimeoutKind::Frozen));
        assert!(start.elapsed() < Duration::from_secs(10));
    }
}
