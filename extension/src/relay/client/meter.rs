//! Counts the bytes of a connection. The count of bytes sent shows whether an upload makes progress. The bytes received
//! before a response are bounded, because a server may send informational responses (1xx) without an end.

use crate::guarded_stream::Guard;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

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

impl Guard for Arc<Meter> {
    fn check_read(
        &mut self,
        result: Poll<io::Result<()>>,
        received: &[u8],
        _context: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        let readable = self.readable.load(Ordering::Relaxed);
        if readable != usize::MAX {
            let Some(left) = readable.checked_sub(received.len()) else {
                return Poll::Ready(Err(io::Error::other("too much before the response")));
            };
            self.readable.store(left, Ordering::Relaxed);
        }
        result
    }

    fn check_write(
        &mut self,
        result: Poll<io::Result<usize>>,
        _context: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        if let Poll::Ready(Ok(bytes)) = result {
            self.sent.fetch_add(bytes, Ordering::Relaxed);
        }
        result
    }
}
