//! Closes a client's connection when the client stalls: in the middle of a request's head, or while it reads a
//! response. A client that is silent between two requests may be so for any time.

use super::active_timer::ActiveTimer;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

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

/// The connection's stream. Reads and writes fail with `TimedOut` when the client stalls.
#[derive(Debug)]
pub(in crate::gateway) struct GuardedStream {
    stream: TcpStream,
    phase: RequestPhase,
    /// The phase in which a head has begun, and the timer for it.
    head_timer: Option<(u64, ActiveTimer)>,
    write_timer: Option<ActiveTimer>,
}

impl GuardedStream {
    pub(in crate::gateway) fn new(stream: TcpStream, phase: RequestPhase) -> Self {
        Self { stream, phase, head_timer: None, write_timer: None }
    }

    fn check_write<T>(
        &mut self,
        outcome: Poll<io::Result<T>>,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<T>> {
        if outcome.is_ready() {
            self.write_timer = None;
            return outcome;
        }
        let timer = self.write_timer.get_or_insert_with(|| ActiveTimer::new(WRITE_SECONDS));
        timer.poll_end(context).map(|()| Err(io::ErrorKind::TimedOut.into()))
    }
}

impl AsyncRead for GuardedStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let before = buffer.filled().len();
        let outcome = Pin::new(&mut this.stream).poll_read(context, buffer);
        let phase = this.phase.count();
        this.head_timer.take_if(|(begun, _)| *begun != phase);
        if outcome.is_pending() {
            let Some((_, timer)) = &mut this.head_timer else { return Poll::Pending };
            return timer.poll_end(context).map(|()| Err(io::ErrorKind::TimedOut.into()));
        }
        // Old clients send one more newline after a body. That newline does not begin a head.
        let received = buffer.filled().get(before..).unwrap_or_default();
        let between_requests = phase.is_multiple_of(2);
        if between_requests
            && this.head_timer.is_none()
            && received.iter().any(|b| !matches!(b, b'\r' | b'\n'))
        {
            this.head_timer = Some((phase, ActiveTimer::new(HEAD_SECONDS)));
        }
        outcome
    }
}

impl AsyncWrite for GuardedStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.check_write(outcome, context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut self.stream).poll_write_vectored(context, slices);
        self.check_write(outcome, context)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
