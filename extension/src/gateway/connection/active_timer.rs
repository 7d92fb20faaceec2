//! Time-outs for clients, counted in ticks that this process lived through: a freeze of the environment, in
//! which client and gateway stand still together, must not use a client's patience up.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::time::{Instant, Sleep, sleep};

const TICK: Duration = Duration::from_secs(1);

/// Runs out after a number of seconds.
#[derive(Debug)]
pub(in crate::gateway) struct ActiveTimer {
    tick: Pin<Box<Sleep>>,
    left: u64,
}

impl ActiveTimer {
    /// Patience for so many seconds from now.
    pub(in crate::gateway) fn new(seconds: u64) -> Self {
        Self { tick: Box::pin(sleep(TICK)), left: seconds }
    }

    /// Adds seconds.
    pub(in crate::gateway) fn extend(&mut self, seconds: u64) {
        self.left = self.left.saturating_add(seconds);
    }

    /// Ready once it has run out.
    pub(in crate::gateway) fn poll_end(&mut self, context: &mut Context<'_>) -> Poll<()> {
        while self.tick.as_mut().poll(context).is_ready() {
            self.left = self.left.saturating_sub(1);
            if self.left == 0 {
                return Poll::Ready(());
            }
            self.tick.as_mut().reset(Instant::now() + TICK);
        }
        Poll::Pending
    }

    /// The outcome of a future, or nothing if patience runs out first.
    pub(in crate::gateway) async fn wait<F: Future>(&mut self, future: F) -> Option<F::Output> {
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

    #[tokio::test]
    async fn it_runs_out_and_can_be_earned() {
        let started = Instant::now();
        let mut timer = ActiveTimer::new(1);
        assert_eq!(timer.wait(ready(7)).await, Some(7));
        timer.extend(1);
        assert_eq!(timer.wait(pending::<()>()).await, None);
        assert!(started.elapsed() >= 2 * TICK, "{:?}", started.elapsed());
    }
}
