//! A client's connection, with patience for what it has begun: a request's head, or taking an answer. A client
//! that is silent between two requests is left alone for as long as it likes.

use super::active_timer::ActiveTimer;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// How long a head may take from its first byte, seconds.
const HEAD: u64 = 10;
/// How long a client may leave an answer where it is, seconds.
const ANSWER: u64 = 30;

/// Counts up when a request's head is complete and again when it is answered: odd while one is served.
#[derive(Clone, Debug, Default)]
pub(in crate::gateway) struct RequestPhase(Arc<AtomicU64>);

impl RequestPhase {
    /// A head is complete, or an answer is.
    pub(in crate::gateway) fn pass(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    fn count(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// The connection's stream.
#[derive(Debug)]
pub(in crate::gateway) struct GuardedStream {
    stream: TcpStream,
    phase: RequestPhase,
    /// The turn in which a head has begun, and the patience for it.
    head: Option<(u64, ActiveTimer)>,
    answer: Option<ActiveTimer>,
}

impl GuardedStream {
    pub(in crate::gateway) fn new(stream: TcpStream, phase: RequestPhase) -> Self {
        Self { stream, phase, head: None, answer: None }
    }

    fn written<T>(&mut self, outcome: Poll<io::Result<T>>, context: &mut Context<'_>) -> Poll<io::Result<T>> {
        if outcome.is_ready() {
            self.answer = None;
            return outcome;
        }
        let timer = self.answer.get_or_insert_with(|| ActiveTimer::new(ANSWER));
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
        this.head.take_if(|(begun, _)| *begun != phase);
        if outcome.is_pending() {
            let Some((_, timer)) = &mut this.head else { return Poll::Pending };
            return timer.poll_end(context).map(|()| Err(io::ErrorKind::TimedOut.into()));
        }
        // Old clients end a body with a newline too many: that begins no head.
        let fresh = buffer.filled().get(before..).unwrap_or_default();
        let between_requests = phase.is_multiple_of(2);
        if between_requests && this.head.is_none() && fresh.iter().any(|b| !matches!(b, b'\r' | b'\n')) {
            this.head = Some((phase, ActiveTimer::new(HEAD)));
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
        self.written(outcome, context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut self.stream).poll_write_vectored(context, slices);
        self.written(outcome, context)
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
