//! A bound on waiting that counts waking time alone. In a freeze nobody waits: what came meanwhile lies in the
//! socket, and would be thrown away, and sent again, by a time-out that fires at the moment of the thaw.

use std::time::{Duration, Instant};
use tokio::time::timeout;

/// Between two looks at the clock.
const SLICE: Duration = Duration::from_millis(100);
/// A slice that is so much too long was interrupted by a freeze. A starved process is late too, but less.
const FROZEN: Duration = Duration::from_millis(250);

/// Waits for some work at most so long; `None`: it took longer.
pub(super) async fn within<T>(limit: Duration, work: impl Future<Output = T>) -> Option<T> {
    tokio::pin!(work);
    let mut left = limit;
    while !left.is_zero() {
        let slice = left.min(SLICE);
        let begun = Instant::now();
        if let Ok(done) = timeout(slice, work.as_mut()).await {
            return Some(done);
        }
        if begun.elapsed() < slice + FROZEN {
            left -= slice;
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn time_passes_awake_only() {
        let start = Instant::now();
        let limit = Duration::from_millis(120);
        assert_eq!(within(limit, std::future::pending::<()>()).await, None);
        assert!(start.elapsed() >= limit);
        // The whole process stands still for longer than the limit, and the work needs a moment more.
        let work = async {
            std::thread::sleep(SLICE + FROZEN + limit);
            tokio::time::sleep(Duration::from_millis(20)).await;
            "done"
        };
        assert_eq!(within(limit, work).await, Some("done"));
    }
}
