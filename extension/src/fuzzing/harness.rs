//! What several targets need: a runtime, and a connection in memory that sends given bytes, closes its side, and keeps
//! what it receives.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Runs a future to its end, on a runtime like that of the extension.
pub(crate) fn run<T>(work: impl Future<Output = T>) -> T {
    crate::log::set_level(crate::log::Level::Off);
    // Without a runtime nothing can be attacked, so the target has to end.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let done = runtime.block_on(work);
    runtime.shutdown_background();
    done
}

/// The far end of a connection.
#[derive(Debug)]
pub(crate) struct MemoryStream {
    unsent: Vec<u8>,
    /// The far end sends nothing before it has received something, as a server does.
    answers: bool,
    reader: Option<Waker>,
    received: Arc<Mutex<Vec<u8>>>,
}

impl MemoryStream {
    /// A client that sends `bytes`.
    pub(crate) fn client(bytes: &[u8]) -> Self {
        Self { unsent: bytes.to_vec(), answers: false, reader: None, received: Arc::default() }
    }

    /// A server that answers the first request with `bytes`.
    pub(crate) fn server(bytes: &[u8]) -> Self {
        Self { answers: true, ..Self::client(bytes) }
    }

    /// What the far end has received. It grows as long as the connection lives.
    pub(crate) fn received(&self) -> Arc<Mutex<Vec<u8>>> {
        Arc::clone(&self.received)
    }
}

impl AsyncRead for MemoryStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.answers && self.received.lock().unwrap().is_empty() {
            self.reader = Some(context.waker().clone());
            return Poll::Pending;
        }
        let length = buffer.remaining().min(self.unsent.len());
        buffer.put_slice(&self.unsent[..length]);
        self.unsent.drain(..length);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for MemoryStream {
    fn poll_write(mut self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.received.lock().unwrap().extend_from_slice(bytes);
        if let Some(reader) = self.reader.take() {
            reader.wake();
        }
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
