//! A timer that counts only the time in which this process runs. Lambda freezes this process together with the
//! function, and what Lambda itself sends meanwhile cannot be read. So the time of a freeze must not count against the
//! other side.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::time::{Instant, Sleep, sleep};

const TICK: Duration = Duration::from_secs(1);

/// Ends after a number of one-second ticks. A freeze, however long, costs one tick at most.
#[derive(Debug)]
pub(crate) struct ActiveTimer {
    tick: Pin<Box<Sleep>>,
    ticks_left: u64,
}

impl ActiveTimer {
    /// Starts a timer that ends in `seconds` from now.
    pub(crate) fn new(seconds: u64) -> Self {
        Self { tick: Box::pin(sleep(TICK)), ticks_left: seconds }
    }

    /// Moves the end back by `seconds`.
    pub(crate) fn extend(&mut self, seconds: u64) {
        self.ticks_left = self.ticks_left.saturating_add(seconds);
    }

    /// Is ready when the time is over.
    pub(crate) fn poll_end(&mut self, context: &mut Context<'_>) -> Poll<()> {
        while self.tick.as_mut().poll(context).is_ready() {
            self.ticks_left = self.ticks_left.saturating_sub(1);
            if self.ticks_left == 0 {
                return Poll::Ready(());
            }
            self.tick.as_mut().reset(Instant::now() + TICK);
        }
        Poll::Pending
    }

    /// Waits for `future`. Returns `None` if the time is over first.
    pub(crate) async fn wait<F: Future>(&mut self, future: F) -> Option<F::Output> {
        tokio::select! {
            biased;
            output = future => Some(output),
            () = std::future::poll_fn(|context| self.poll_end(context)) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::{pending, ready};

    #[tokio::test(start_paused = true)]
    async fn the_timer_ends_after_its_seconds_and_those_that_were_added() {
        let started = Instant::now();
        let mut timer = ActiveTimer::new(1);
        assert_eq!(timer.wait(ready(7)).await, Some(7));
        timer.extend(1);
        assert_eq!(timer.wait(pending::<()>()).await, None);
        assert!(started.elapsed() >= 2 * TICK, "{:?}", started.elapsed());
    }
}
