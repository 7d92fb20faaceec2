//! A client's socket. It acknowledges a part of a request at once, and reads in small pieces if there are many clients.

use super::clients::State;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// A piece that hyper's buffer does not grow for. Bytes.
const SMALL_READ: usize = 8 * 1024 - 1;

/// The socket, and what it knows of its requests.
#[derive(Debug)]
pub(in crate::gateway) struct ClientStream {
    stream: TcpStream,
    state: Arc<State>,
    /// The phase in which bytes came last.
    received_in: Option<u64>,
    reads_little: bool,
}

impl ClientStream {
    pub(in crate::gateway) fn new(stream: TcpStream, state: Arc<State>, reads_little: bool) -> Self {
        Self { stream, state, received_in: None, reads_little }
    }

    /// Whether a request has begun and is not complete.
    fn is_within_request(&self) -> bool {
        let phase = self.state.phase();
        !phase.is_multiple_of(2) || self.received_in == Some(phase)
    }
}

impl AsyncRead for ClientStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let before = buffer.filled().len();
        let result = if this.reads_little && buffer.remaining() > SMALL_READ {
            let mut small = ReadBuf::new(buffer.initialize_unfilled_to(SMALL_READ));
            let result = Pin::new(&mut this.stream).poll_read(context, &mut small);
            let read = small.filled().len();
            buffer.advance(read);
            result
        } else {
            Pin::new(&mut this.stream).poll_read(context, buffer)
        };
        if buffer.filled().len() > before {
            this.received_in = Some(this.state.phase());
        } else if result.is_pending() && this.is_within_request() {
            // A client that sends head and body one after the other, without TCP_NODELAY, sends the rest only when the
            // first part is acknowledged. The system would wait 40 ms with that, and forgets this option each time.
            #[cfg(target_os = "linux")]
            let _ = this.stream.set_quickack(true);
        }
        result
    }
}

impl AsyncWrite for ClientStream {
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
