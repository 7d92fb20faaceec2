//! Bounds the silence in the middle of a response from Lambda's API. Between a request and the first byte of its
//! response there is no bound, because Lambda answers `/event/next` when the next event comes, perhaps hours later. But
//! a response that has begun and does not go on would keep the extension from all further events.

use crate::active_timer::ActiveTimer;
use crate::guarded_stream::Guard;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};

/// How long a response may be silent. After a freeze, enough of it is left to read the rest of the response. Seconds.
const SILENCE_SECONDS: u64 = 5;

/// Tells whether a response has begun and is not complete. The stream begins it, the caller ends it.
#[derive(Clone, Debug, Default)]
pub(super) struct ResponsePhase(Arc<AtomicBool>);

impl ResponsePhase {
    pub(super) fn end(&self) {
        self.0.store(false, Ordering::Relaxed);
    }
}

/// Lets reads fail if a response does not go on.
pub(super) struct SilenceGuard {
    phase: ResponsePhase,
    /// It is made when a response arrives in parts.
    timer: Option<ActiveTimer>,
}

impl SilenceGuard {
    pub(super) fn new(phase: ResponsePhase) -> Self {
        phase.end();
        Self { phase, timer: None }
    }
}

impl Guard for SilenceGuard {
    fn check_read(
        &mut self,
        result: Poll<io::Result<()>>,
        _received: &[u8],
        context: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        if result.is_ready() {
            self.phase.0.store(true, Ordering::Relaxed);
            self.timer = None;
            return result;
        }
        if !self.phase.0.load(Ordering::Relaxed) {
            return Poll::Pending;
        }
        ready!(self.timer.get_or_insert_with(|| ActiveTimer::new(SILENCE_SECONDS)).poll_end(context));
        Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the response does not go on")))
    }
}
