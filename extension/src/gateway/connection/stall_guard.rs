//! Closes a client's connection when the client stalls: in the middle of a request's head, or while it reads a
//! response. A client that is silent between two requests may be so for any time.

use super::clients::Connection;
use crate::active_timer::ActiveTimer;
use crate::guarded_stream::Guard;
use std::io;
use std::task::{Context, Poll};

/// How long a request's head may take from its first byte. Seconds.
const HEAD_SECONDS: u64 = 10;
/// How long a write of the response may block because the client does not read. Seconds.
const WRITE_SECONDS: u64 = 30;

/// Lets reads and writes fail with `TimedOut` when the client stalls, and ends the connection when another one needs
/// its place.
#[derive(Debug)]
pub(in crate::gateway) struct StallGuard {
    connection: Connection,
    head: Option<Head>,
    write_timer: Option<ActiveTimer>,
}

/// The head of a request that has begun.
#[derive(Debug)]
struct Head {
    phase: u64,
    bytes: usize,
    timer: ActiveTimer,
}

impl StallGuard {
    pub(in crate::gateway) fn new(connection: Connection) -> Self {
        Self { connection, head: None, write_timer: None }
    }

    /// Waits for more of a request, or for the next one.
    fn wait(&mut self, phase: u64, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let is_busy = !phase.is_multiple_of(2);
        if !is_busy && self.connection.is_closing(context.waker()) {
            // No bytes mean that the client has closed the connection. Nothing that it has sent is lost by that.
            return Poll::Ready(Ok(()));
        }
        let Some(head) = &mut self.head else { return Poll::Pending };
        self.connection.set_head(head.bytes);
        if self.connection.state().is_closing() {
            return Poll::Ready(Ok(()));
        }
        head.timer.poll_end(context).map(|()| Err(io::ErrorKind::TimedOut.into()))
    }
}

impl Guard for StallGuard {
    fn check_read(
        &mut self,
        result: Poll<io::Result<()>>,
        received: &[u8],
        context: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        let phase = self.connection.state().phase();
        if self.head.take_if(|head| head.phase != phase).is_some() {
            self.connection.set_head(0);
        }
        if result.is_pending() {
            return self.wait(phase, context);
        }
        if let Some(head) = &mut self.head {
            head.bytes += received.len();
        } else if phase.is_multiple_of(2) && received.iter().any(|b| !matches!(b, b'\r' | b'\n')) {
            // Old clients send one more newline after a body. That newline does not begin a head.
            self.head = Some(Head { phase, bytes: received.len(), timer: ActiveTimer::new(HEAD_SECONDS) });
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
