//! A stream whose guard is told of every read and write, and may let it fail: because the other side stalls, or because
//! it sends more than it may. The guards are where their rules belong: `gateway`, `lifecycle`, and the relay's client.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Checks what a stream does. The default lets everything pass.
pub(crate) trait Guard: Unpin {
    /// Is told the result of a read, and the bytes that it brought. Returns the result that the reader gets.
    fn check_read(
        &mut self,
        result: Poll<io::Result<()>>,
        _received: &[u8],
        _context: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        result
    }

    /// Is told the result of a write. Returns the result that the writer gets.
    fn check_write(
        &mut self,
        result: Poll<io::Result<usize>>,
        _context: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        result
    }
}

/// A stream with its guard.
#[derive(Debug)]
pub(crate) struct GuardedStream<S, G> {
    stream: S,
    guard: G,
}

impl<S, G> GuardedStream<S, G> {
    pub(crate) fn new(stream: S, guard: G) -> Self {
        Self { stream, guard }
    }
}

impl<S: AsyncRead + Unpin, G: Guard> AsyncRead for GuardedStream<S, G> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let before = buffer.filled().len();
        let result = Pin::new(&mut this.stream).poll_read(context, buffer);
        let received = buffer.filled().get(before..).unwrap_or_default();
        this.guard.check_read(result, received, context)
    }
}

impl<S: AsyncWrite + Unpin, G: Guard> AsyncWrite for GuardedStream<S, G> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.guard.check_write(result, context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.stream).poll_write_vectored(context, slices);
        self.guard.check_write(result, context)
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
