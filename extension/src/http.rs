//! HTTP/1.1 over any stream. Each end has one type, whoever uses it, so that hyper's code for it is in the
//! binary once.

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::client::conn::http1::{self as client, SendRequest};
use hyper::server::conn::http1 as server;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use tokio::io::{AsyncRead, AsyncWrite};

/// Request heads larger than this are refused (431).
const MAX_HEAD: usize = 64 * 1024;

/// TCP, TLS, or either with something around it.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// The sending half of a connection.
pub(crate) type RequestSender = SendRequest<Full<Bytes>>;

/// An answer in the making.
pub(crate) type Answering = Pin<Box<dyn Future<Output = Response<Full<Bytes>>> + Send>>;

/// Speaks as a client over a stream.
pub(crate) async fn handshake(stream: Box<dyn Stream>) -> hyper::Result<RequestSender> {
    let (sender, connection) = client::handshake(TokioIo::new(stream)).await?;
    // It ends with its sender, or when upstream closes; failures reach whoever waits for an answer. With
    // upgrades, for what a proxy gives back is the stream itself.
    tokio::spawn(async move {
        let _ = connection.with_upgrades().await;
    });
    Ok(sender)
}

/// Answers the requests that come over a stream, until its other end is done.
pub(crate) async fn serve(
    stream: Box<dyn Stream>,
    answer: Box<dyn Fn(Request<Incoming>) -> Answering + Send + Sync>,
) -> hyper::Result<()> {
    let service = service_fn(move |request| {
        let answering = answer(request);
        async move { Ok::<_, Infallible>(answering.await) }
    });
    // No time-out on idle connections: an SDK's pooled connection has to survive the freeze between two
    // invocations, and a close that crosses its next request would lose that event.
    server::Builder::new()
        .half_close(true)
        .max_buf_size(MAX_HEAD)
        .serve_connection(TokioIo::new(stream), service)
        .await
}
