//! HTTP/1.1 client and server over any stream. All callers use the same stream and body types, so that the binary
//! contains hyper's client code once and its server code once.

use crate::task;
use bytes::Bytes;
use http_body_util::Full;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper::client::conn::http1::{self as client, SendRequest};
use hyper::server::conn::http1 as server;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite};

/// The server refuses larger request heads with status 431, and the client larger response heads. No buffer gets
/// larger. Bytes.
const MAX_HEAD: usize = 64 * 1024;

/// A byte stream: TCP, TLS, or a wrapper around one of them.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// Sends requests over one client connection.
pub(crate) type RequestSender = SendRequest<Full<Bytes>>;

/// The body of a response: in memory, or passed on as it arrives.
pub(crate) enum ResponseBody {
    Whole(Full<Bytes>),
    Arriving(Pin<Box<dyn Body<Data = Bytes, Error = io::Error> + Send>>),
}

impl Body for ResponseBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        match &mut *self {
            Self::Whole(body) => match Pin::new(body).poll_frame(context) {
                Poll::Ready(Some(Ok(frame))) => Poll::Ready(Some(Ok(frame))),
                Poll::Ready(Some(Err(never))) => match never {},
                Poll::Ready(None) => Poll::Ready(None),
                Poll::Pending => Poll::Pending,
            },
            Self::Arriving(body) => body.as_mut().poll_frame(context),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Whole(body) => body.is_end_stream(),
            Self::Arriving(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(body) => body.size_hint(),
            Self::Arriving(body) => body.size_hint(),
        }
    }
}

/// The future that a server's handler returns for one request.
pub(crate) type ResponseFuture = Pin<Box<dyn Future<Output = Response<ResponseBody>> + Send>>;

/// Starts an HTTP client on `stream`, and drives the connection in a task of its own.
pub(crate) async fn handshake(stream: Box<dyn Stream>) -> hyper::Result<RequestSender> {
    let (sender, connection) =
        client::Builder::new().max_buf_size(MAX_HEAD).handshake(TokioIo::new(stream)).await?;
    // The task ends when the sender is dropped or the server closes the connection. Its error can be ignored,
    // because a pending request gets it too. Upgrades are enabled because a proxy's reply to CONNECT hands the
    // raw stream back.
    task::spawn(async move {
        let _ = connection.with_upgrades().await;
    });
    Ok(sender)
}

/// Answers all requests that come over `stream`. Returns when the client closes the connection, or on an error.
pub(crate) async fn serve(
    stream: Box<dyn Stream>,
    handler: Box<dyn Fn(Request<Incoming>) -> ResponseFuture + Send + Sync>,
) -> hyper::Result<()> {
    let service = service_fn(move |request| {
        let response = handler(request);
        async move { Ok::<_, Infallible>(response.await) }
    });
    // Idle connections have no timeout. An SDK's pooled connection must survive the freeze between two
    // invocations: if the extension closed it while the SDK sends its next request, that event would be lost.
    server::Builder::new()
        .half_close(true)
        .max_buf_size(MAX_HEAD)
        .serve_connection(TokioIo::new(stream), service)
        .await
}
