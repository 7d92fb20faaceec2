//! Opens a connection: name lookup, TCP, a proxy if one is set, TLS, and HTTP.

use super::meter::Meter;
use super::resolve::Resolver;
use super::tls::Tls;
use crate::config::{Proxy, Scheme, Upstream};
use crate::guarded_stream::GuardedStream;
use crate::http::{RequestSender, Stream, handshake};
use http_body_util::Full;
use hyper::header::{HOST, PROXY_AUTHORIZATION};
use hyper::{Method, Request};
use hyper_util::rt::TokioIo;
use std::future::poll_fn;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use std::{fmt, io};
use tokio::net::{TcpSocket, TcpStream};

/// How long an address is tried alone before the next is tried at the same time (RFC 8305).
const HEAD_START: Duration = Duration::from_millis(250);

/// The size of the socket's send buffer, in bytes. By itself it grows to 4 MiB, and what is in it looks as if it was
/// sent: on a slow line, an upload would make no progress for seconds.
const SEND_BUFFER: u32 = 256 * 1024;

/// A connection that can send requests.
#[derive(Debug)]
pub(super) struct Connection {
    pub(super) sender: RequestSender,
    pub(super) meter: Arc<Meter>,
}

/// Why there is no connection.
#[derive(Debug)]
pub(crate) enum ConnectError {
    Resolve(io::Error),
    Tcp(io::Error),
    Tls(io::Error),
    Http(hyper::Error),
    /// The proxy answered `CONNECT` with this status.
    Proxy(u16),
}

impl fmt::Display for ConnectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Resolve(error) => write!(f, "cannot resolve the host: {error}"),
            Self::Tcp(error) => write!(f, "cannot connect: {error}"),
            Self::Tls(error) => write!(f, "TLS handshake failed: {error}"),
            Self::Http(error) => error.fmt(f),
            Self::Proxy(status) => write!(f, "the proxy answered {status}"),
        }
    }
}

/// Connects to an upstream, through the proxy if there is one. The caller bounds the time.
pub(super) async fn connect(
    upstream: &Upstream,
    proxy: Option<&Proxy>,
    tls: &Tls,
    resolver: &Resolver,
) -> Result<Connection, ConnectError> {
    let meter = Arc::default();
    let sender = request_sender(upstream, proxy, tls, resolver, &meter).await?;
    Ok(Connection { sender, meter })
}

async fn request_sender(
    upstream: &Upstream,
    proxy: Option<&Proxy>,
    tls: &Tls,
    resolver: &Resolver,
    meter: &Arc<Meter>,
) -> Result<RequestSender, ConnectError> {
    let stream = match proxy {
        None => metered(tcp(upstream.host(), upstream.port(), resolver).await?, meter),
        Some(proxy) => {
            let address = &proxy.address;
            let stream = metered(tcp(address.host(), address.port(), resolver).await?, meter);
            let stream = with_tls(stream, address, tls).await?;
            match upstream.scheme() {
                // For plain HTTP the proxy reads the request itself, whose URI names the upstream, so no tunnel is
                // needed.
                Scheme::Http => return handshake(stream).await.map_err(ConnectError::Http),
                Scheme::Https => tunnel(stream, proxy, upstream).await?,
            }
        }
    };
    handshake(with_tls(stream, upstream, tls).await?).await.map_err(ConnectError::Http)
}

fn metered(stream: TcpStream, meter: &Arc<Meter>) -> Box<dyn Stream> {
    Box::new(GuardedStream::new(stream, Arc::clone(meter)))
}

/// Adds TLS to the stream if the scheme of `to` is HTTPS.
async fn with_tls(
    stream: Box<dyn Stream>,
    to: &Upstream,
    tls: &Tls,
) -> Result<Box<dyn Stream>, ConnectError> {
    match to.scheme() {
        Scheme::Http => Ok(stream),
        Scheme::Https => Ok(Box::new(tls.connect(to.host(), stream).await.map_err(ConnectError::Tls)?)),
    }
}

/// Asks a proxy to connect to the upstream (RFC 9110, 9.3.6).
async fn tunnel(
    stream: Box<dyn Stream>,
    proxy: &Proxy,
    upstream: &Upstream,
) -> Result<Box<dyn Stream>, ConnectError> {
    let mut sender = handshake(stream).await.map_err(ConnectError::Http)?;
    let target = upstream.host_and_port();
    let mut request = Request::builder().method(Method::CONNECT).uri(&target).header(HOST, &target);
    if let Some(authorization) = &proxy.authorization {
        request = request.header(PROXY_AUTHORIZATION, authorization);
    }
    let request = request.body(Full::default()).map_err(|e| ConnectError::Tcp(io::Error::other(e)))?;
    let response = sender.send_request(request).await.map_err(ConnectError::Http)?;
    if !response.status().is_success() {
        return Err(ConnectError::Proxy(response.status().as_u16()));
    }
    let upgraded = hyper::upgrade::on(response).await.map_err(ConnectError::Http)?;
    Ok(Box::new(TokioIo::new(upgraded)))
}

/// Tries the addresses of a name, each with a head start over the next, and returns the first connection that succeeds.
async fn tcp(host: &str, port: u16, resolver: &Resolver) -> Result<TcpStream, ConnectError> {
    let addresses = resolver.resolve(host, port).await.map_err(ConnectError::Resolve)?;
    let mut addresses = alternating(addresses).into_iter();
    let mut tries: Vec<Try> = Vec::new();
    let mut failure = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    loop {
        let more = addresses.next().map(|address| tries.push(Box::pin(connect_to(address)))).is_some();
        if tries.is_empty() {
            return Err(ConnectError::Tcp(failure));
        }
        tokio::select! {
            connected = poll_fn(|context| poll_tries(&mut tries, context)) => match connected {
                Ok(stream) => {
                    // Without this, TCP would delay the last segment of each request.
                    let _ = stream.set_nodelay(true);
                    return Ok(stream);
                }
                Err(error) => failure = error,
            },
            () = tokio::time::sleep(HEAD_START), if more => {}
        }
    }
}

/// A try to connect to one address.
type Try = Pin<Box<dyn Future<Output = io::Result<TcpStream>> + Send>>;

/// Is ready when one of the tries has ended, which is removed then. They are few, so each may be asked each time.
fn poll_tries(tries: &mut Vec<Try>, context: &mut Context<'_>) -> Poll<io::Result<TcpStream>> {
    let mut ended = Poll::Pending;
    tries.retain_mut(|one| {
        if ended.is_pending() {
            ended = one.as_mut().poll(context);
            return ended.is_pending();
        }
        true
    });
    ended
}

async fn connect_to(address: SocketAddr) -> io::Result<TcpStream> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    // Without it the connection works too.
    let _ = socket.set_send_buffer_size(SEND_BUFFER);
    socket.connect(address).await
}

/// Sorts IPv6 and IPv4 addresses alternately, because one of the families may not work. Within a family, the resolver's
/// order is kept.
fn alternating(addresses: Vec<SocketAddr>) -> Vec<SocketAddr> {
    let first_is_v6 = addresses.first().is_some_and(SocketAddr::is_ipv6);
    let (first, second): (Vec<_>, Vec<_>) = addresses.into_iter().partition(|a| a.is_ipv6() == first_is_v6);
    let mut second = second.into_iter();
    let mut order: Vec<_> = first.into_iter().flat_map(|a| [Some(a), second.next()]).flatten().collect();
    order.extend(second);
    order
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn address_families_alternate() {
        let addresses =
            |texts: &[&str]| texts.iter().map(|t| t.parse().unwrap()).collect::<Vec<SocketAddr>>();
        let resolved = addresses(&["[::1]:1", "[::2]:1", "[::3]:1", "1.1.1.1:1"]);
        assert_eq!(alternating(resolved), addresses(&["[::1]:1", "1.1.1.1:1", "[::2]:1", "[::3]:1"]));
        let resolved = addresses(&["1.1.1.1:1", "[::1]:1", "[::2]:1"]);
        assert_eq!(alternating(resolved), addresses(&["1.1.1.1:1", "[::1]:1", "[::2]:1"]));
        assert_eq!(alternating(vec![]), []);
    }

    #[tokio::test]
    async fn connects_although_another_address_does_not_work() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        // localhost may have an IPv6 address on which nobody listens.
        let resolver = Resolver::default();
        assert!(tcp("localhost", port, &resolver).await.is_ok());
        drop(listener);
        assert!(matches!(tcp("127.0.0.1", port, &resolver).await, Err(ConnectError::Tcp(_))));
    }
}
