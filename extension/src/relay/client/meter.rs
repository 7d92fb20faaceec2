//! Counts the bytes of a connection. The count of bytes sent shows whether an upload makes progress. The bytes received
//! before a response are bounded, because a server may send informational responses (1xx) without an end.

use crate::http::Stream;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// The most bytes that are read between a request and the head of its response.
const MAX_HEAD: usize = 256 * 1024;

/// The counts of one connection, below TLS.
#[derive(Debug)]
pub(super) struct Meter {
    sent: AtomicUsize,
    /// The bytes that may still be read.
    readable: AtomicUsize,
}

impl Default for Meter {
    fn default() -> Self {
        Self { sent: AtomicUsize::new(0), readable: AtomicUsize::new(usize::MAX) }
    }
}

impl Meter {
    /// Begins to count for a request.
    pub(super) fn request(&self) {
        self.sent.store(0, Ordering::Relaxed);
        self.readable.store(MAX_HEAD, Ordering::Relaxed);
    }

    /// Ends the bound, because the head of the response is there. Whoever reads the body has a bound of his own.
    pub(super) fn response(&self) {
        self.readable.store(usize::MAX, Ordering::Relaxed);
    }

    /// Returns the bytes that were sent since the request began.
    pub(super) fn sent(&self) -> usize {
        self.sent.load(Ordering::Relaxed)
    }
}

/// A stream whose bytes are counted.
pub(super) struct Metered {
    stream: Box<dyn Stream>,
    meter: Arc<Meter>,
}

impl Metered {
    pub(super) fn new(stream: Box<dyn Stream>, meter: &Arc<Meter>) -> Self {
        Self { stream, meter: Arc::clone(meter) }
    }

    fn count(&self, sent: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if let Poll::Ready(Ok(bytes)) = sent {
            self.meter.sent.fetch_add(bytes, Ordering::Relaxed);
        }
        sent
    }
}

impl AsyncRead for Metered {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(cx, buffer);
        let read = buffer.filled().len() - before;
        let readable = self.meter.readable.load(Ordering::Relaxed);
        if readable != usize::MAX {
            let Some(left) = readable.checked_sub(read) else {
                return Poll::Ready(Err(io::Error::other("too much before the response")));
            };
            self.meter.readable.store(left, Ordering::Relaxed);
        }
        polled
    }
}

impl AsyncWrite for Metered {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let sent = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.count(sent)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let sent = Pin::new(&mut self.stream).poll_write_vectored(cx, slices);
        self.count(sent)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
