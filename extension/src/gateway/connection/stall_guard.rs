//! Closes a client's connection when the client stalls: in the middle of a request's head, or while it reads a
//! response. A client that is silent between two requests may be so for any time.

use crate::active_timer::ActiveTimer;
use crate::guarded_stream::Guard;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};

/// How long a request's head may take from its first byte. Seconds.
const HEAD_SECONDS: u64 = 10;
/// How long a write of the response may block because the client does not read. Seconds.
const WRITE_SECONDS: u64 = 30;

/// Counts up when a request's head is complete, and again when the response is ready. The count is odd while a request
/// is handled.
#[derive(Clone, Debug, Default)]
pub(in crate::gateway) struct RequestPhase(Arc<AtomicU64>);

impl RequestPhase {
    /// Notes that a request's head is complete, or that its response is ready.
    pub(in crate::gateway) fn advance(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    fn count(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Lets reads and writes fail with `TimedOut` when the client stalls.
#[derive(Debug)]
pub(in crate::gateway) struct StallGuard {
    phase: RequestPhase,
    /// The phase in which a head has begun, and the timer for it.
    head_timer: Option<(u64, ActiveTimer)>,
    write_timer: Option<ActiveTimer>,
}

impl StallGuard {
    pub(in crate::gateway) fn new(phase: RequestPhase) -> Self {
        Self { phase, head_timer: None, write_timer: None }
    }
}

impl Guard for StallGuard {
    fn check_read(
        &mut self,
        result: Poll<io::Result<()>>,
        received: &[u8],
        context: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        let phase = self.phase.count();
        self.head_timer.take_if(|(begun, _)| *begun != phase);
        if result.is_pending() {
            let Some((_, timer)) = &mut self.head_timer else { return Poll::Pending };
            return timer.poll_end(context).map(|()| Err(io::ErrorKind::TimedOut.into()));
        }
        // Old clients send one more newline after a body. That newline does not begin a head.
        let between_requests = phase.is_multiple_of(2);
        if between_requests
            && self.head_timer.is_none()
            && received.iter().any(|b| !matches!(b, b'\r' | b'\n'))
        {
            self.head_timer = Some((phase, ActiveTimer::new(HEAD_SECONDS)));
        }
        result
    }

    fn check_write(
        &mut self,
        result: Poll<io::Result<usize>>,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        if result.is_ready() {
            self.write_timer = None;
            return result;
        }
        let timer = self.write_timer.get_or_insert_with(|| ActiveTimer::new(WRITE_SECONDS));
        timer.poll_end(context).map(|()| Err(io::ErrorKind::TimedOut.into()))
    }
}
