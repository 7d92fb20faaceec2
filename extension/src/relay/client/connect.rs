//! A fresh connection: name, TCP, TLS, HTTP.

use super::tls::Tls;
use crate::config::{Scheme, Upstream};
use bytes::Bytes;
use http_body_util::Full;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use std::time::Duration;
use std::{fmt, io};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// The sending half of an HTTP/1.1 connection.
pub(crate) type Sender = SendRequest<Full<Bytes>>;

/// An address that does not answer for so long is passed over for the next; the last one gets all the time left.
const NEXT_ADDRESS: Duration = Duration::from_millis(300);

/// Why there is no connection.
#[derive(Debug)]
pub(in crate::relay) enum ConnectError {
    Resolve(io::Error),
    Tcp(io::Error),
    Tls(io::Error),
    Http(hyper::Error),
}

impl fmt::Display for ConnectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Resolve(error) => write!(f, "cannot resolve the host: {error}"),
            Self::Tcp(error) => write!(f, "cannot connect: {error}"),
            Self::Tls(error) => write!(f, "TLS handshake failed: {error}"),
            Self::Http(error) => error.fmt(f),
        }
    }
}

/// Connects to an upstream. The caller bounds the time.
pub(super) async fn connect(upstream: &Upstream, tls: &Tls) -> Result<Sender, ConnectError> {
    let tcp = tcp(upstream.host(), upstream.port()).await?;
    let _ = tcp.set_nodelay(true);
    let stream: Box<dyn Stream> = match upstream.scheme() {
        Scheme::Http => Box::new(tcp),
        Scheme::Https => Box::new(tls.connect(upstream.host(), tcp).await.map_err(ConnectError::Tls)?),
    };
    handshake(stream).await.map_err(ConnectError::Http)
}

/// Either kind of stream behind one type, so that the HTTP client is compiled once.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// Speaks HTTP/1.1 over a stream.
pub(crate) async fn handshake(stream: Box<dyn Stream>) -> hyper::Result<Sender> {
    let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    // It ends with its sender, or when upstream closes; failures reach whoever waits for an answer.
    tokio::spawn(async move {
        let _ = connection.await;
    });
    Ok(sender)
}

async fn tcp(host: &str, port: u16) -> Result<TcpStream, ConnectError> {
    let addresses: Vec<_> =
        tokio::net::lookup_host((host, port)).await.map_err(ConnectError::Resolve)?.collect();
    let mut failure = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    let mut left = addresses.len();
    for address in addresses {
        left -= 1;
        let connecting = TcpStream::connect(address);
        let connected = if left == 0 {
            connecting.await
        } else {
            timeout(NEXT_ADDRESS, connecting).await.unwrap_or_else(|late| Err(late.into()))
        };
        match connected {
            Ok(stream) => return Ok(stream),
            Err(error) => failure = error,
        }
    }
    Err(ConnectError::Tcp(failure))
}
