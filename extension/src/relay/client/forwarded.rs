//! The body of a forwarded response. It is passed on as it arrives, because many large ones would fill the memory.

use super::connect::Connection;
use super::pool::Pool;
use crate::active_timer::ActiveTimer;
use crate::config::Upstream;
use bytes::Bytes;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::sync::OwnedSemaphorePermit;

/// The largest body of a forwarded response, in bytes. Sentry's Relay has the same bound.
pub(super) const MAX_FORWARDED: u64 = 20 << 20;

/// What belongs to a forwarded request until its response has ended.
#[derive(Debug)]
pub(super) struct Exchange {
    pub(super) pool: Arc<Pool>,
    pub(super) upstream: Arc<Upstream>,
    pub(super) connection: Connection,
    /// One of the few requests that may be forwarded at a time.
    pub(super) _permit: OwnedSemaphorePermit,
}

/// A response's body that still arrives from upstream. If it ends well, its connection is kept for others.
#[derive(Debug)]
pub struct ForwardedBody {
    body: Incoming,
    left: u64,
    /// How long upstream may be silent. Seconds.
    silence: u64,
    timer: Option<ActiveTimer>,
    exchange: Option<Exchange>,
}

impl ForwardedBody {
    pub(super) fn new(body: Incoming, exchange: Exchange, silence: Duration) -> Self {
        let silence = silence.as_secs() + 1;
        Self { body, left: MAX_FORWARDED, silence, timer: None, exchange: Some(exchange) }
    }
}

impl Body for ForwardedBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        let this = &mut *self;
        match Pin::new(&mut this.body).poll_frame(context) {
            Poll::Ready(Some(Ok(frame))) => {
                this.timer = None;
                let read = frame.data_ref().map_or(0, Bytes::len) as u64;
                let Some(left) = this.left.checked_sub(read) else {
                    return Poll::Ready(Some(Err(io::Error::other("the response is too large"))));
                };
                this.left = left;
                Poll::Ready(Some(Ok(frame)))
            }
            Poll::Ready(Some(Err(error))) => Poll::Ready(Some(Err(io::Error::other(error)))),
            Poll::Ready(None) => Poll::Ready(None),
            Poll::Pending => {
                let timer = this.timer.get_or_insert_with(|| ActiveTimer::new(this.silence));
                timer.poll_end(context).map(|()| Some(Err(io::ErrorKind::TimedOut.into())))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for ForwardedBody {
    fn drop(&mut self) {
        if let Some(exchange) = self.exchange.take().filter(|_| self.body.is_end_stream()) {
            exchange.pool.put(exchange.upstream, exchange.connection);
        }
    }
}
