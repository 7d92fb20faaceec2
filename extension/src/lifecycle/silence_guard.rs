//! Bounds the silence in the middle of a response from Lambda's API. Between a request and the first byte of its response
//! there is no bound, because Lambda answers `/event/next` when the next event comes, perhaps hours later. But a response
//! that has begun and does not go on would keep the extension from all further events.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep, sleep};

/// The response is given up after two ticks without a byte. One tick may be a freeze, after which the rest of the
/// response needs a moment to be read.
const TICK: Duration = Duration::from_millis(2500);
const MAX_SILENT_TICKS: u32 = 2;

/// Tells whether a response has begun and is not complete. The stream begins it, the caller ends it.
#[derive(Clone, Debug, Default)]
pub(super) struct ResponsePhase(Arc<AtomicBool>);

impl ResponsePhase {
    pub(super) fn end(&self) {
        self.0.store(false, Ordering::Relaxed);
    }
}

/// A connection whose reads fail if a response does not go on.
pub(super) struct SilenceGuard {
    stream: TcpStream,
    phase: ResponsePhase,
    /// It is made when a response arrives in parts.
    timer: Option<Pin<Box<Sleep>>>,
    silent_ticks: u32,
}

impl SilenceGuard {
    pub(super) fn new(stream: TcpStream, phase: ResponsePhase) -> Self {
        phase.end();
        Self { stream, phase, timer: None, silent_ticks: 0 }
    }

    /// Is ready when the response has been silent for too long.
    fn poll_silence(&mut self, context: &mut Context<'_>) -> Poll<()> {
        if !self.phase.0.load(Ordering::Relaxed) {
            return Poll::Pending;
        }
        let timer = self.timer.get_or_insert_with(|| Box::pin(sleep(TICK)));
        while self.silent_ticks < MAX_SILENT_TICKS {
            ready!(timer.as_mut().poll(context));
            self.silent_ticks += 1;
            timer.as_mut().reset(Instant::now() + TICK);
        }
        Poll::Ready(())
    }
}

impl AsyncRead for SilenceGuard {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let read = Pin::new(&mut self.stream).poll_read(context, buffer);
        if read.is_ready() {
            self.phase.0.store(true, Ordering::Relaxed);
            self.silent_ticks = 0;
            self.timer = None;
            return read;
        }
        ready!(self.poll_silence(context));
        Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the response does not go on")))
    }
}

impl AsyncWrite for SilenceGuard {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, slices)
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
