//! One connection of the scripted upstream, with or without TLS. Each request is treated by the behavior that is set
//! when it arrives.

use super::{Arrival, Behavior, Shared};
use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::{Duration, Instant},
};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf},
    net::{TcpListener, TcpStream},
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};

/// The number of body bytes that are read before a reset within the body.
const PART: usize = 64;

pub(super) async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    // A connection lives on when the listener is closed, as in reality. `cut` ends it.
    while let Ok((stream, _)) = listener.accept().await {
        let number = *shared.connections.borrow();
        shared.connections.send_modify(|connections| *connections += 1);
        let (shared, mut cuts) = (Arc::clone(&shared), shared.cuts.subscribe());
        // This second handle of the socket can end the connection from outside of `converse`.
        let stream = stream.into_std().unwrap();
        let handle = TcpStream::from_std(stream.try_clone().unwrap()).unwrap();
        let stream = TcpStream::from_std(stream).unwrap();
        tokio::spawn(async move {
            tokio::select! {
                () = converse(stream, number, &shared) => {}
                _ = cuts.changed() => {
                    if cuts.borrow().reset {
                        reset(&handle);
                    }
                }
            }
        });
    }
}

async fn converse(stream: TcpStream, number: usize, shared: &Shared) {
    let behavior = shared.behavior.borrow().clone();
    let tls = match (&behavior, &shared.good, &shared.bad) {
        (Behavior::BadCertificate, _, Some(bad)) => Some(bad),
        (_, good, _) => good.as_ref(),
    };
    let mut socket = match (behavior, tls) {
        (Behavior::ResetBefore, _) => return reset(&stream),
        (Behavior::Stall, Some(_)) => return std::future::pending().await,
        (_, None) => Socket::Plain(stream),
        (_, Some(tls)) => match TlsAcceptor::from(Arc::clone(&tls.server)).accept(stream).await {
            Ok(stream) => Socket::Tls(Box::new(stream)),
            // The client has disconnected, or has refused the certificate.
            Err(_) => return,
        },
    };
    let mut buffer = Vec::new();
    while let Some(request) = read(&mut socket, &mut buffer, shared).await {
        let behavior = shared.behavior.borrow().clone();
        // The arrival is recorded before the response is sent, so that a client that has the response finds the
        // arrival recorded.
        let arrival = Arrival {
            marker: marker(&request.body),
            answered: None,
            connection: number,
            at: Instant::now(),
            path: request.head.split(' ').nth(1).unwrap_or_default().to_owned(),
            head: request.head,
            body: request.body,
        };
        let mut index = 0;
        shared.arrivals.send_modify(|all| {
            index = all.len();
            all.push(arrival);
        });
        let status = answer(&mut socket, &behavior, shared, index).await;
        if status.is_none() || matches!(behavior, Behavior::Endless | Behavior::Garbage) {
            return;
        }
        if behavior == Behavior::HalfClose {
            let _ = socket.shutdown().await;
            // Goes on reading, so that the client's next request would be lost without an error.
            let mut lost = Vec::new();
            let _ = socket.read_to_end(&mut lost).await;
            return;
        }
    }
}

/// Responds as this behavior says. Returns `None` if there was no response and the connection has to end.
async fn answer(socket: &mut Socket, behavior: &Behavior, shared: &Shared, index: usize) -> Option<u16> {
    let (status, headers) = match behavior {
        Behavior::Answer(status, headers) => (*status, *headers),
        Behavior::Alternate(status) if index.is_multiple_of(2) => (*status, ""),
        _ => (200, ""),
    };
    match behavior {
        Behavior::Stall => return std::future::pending().await,
        Behavior::ResetAfter => {
            reset(socket.tcp());
            return None;
        }
        Behavior::Slow(time) => {
            // The client sends nothing more until it has a response, so a read returns only when it disconnects.
            let mut byte = [0];
            tokio::select! {
                () = tokio::time::sleep(*time) => {}
                _ = socket.read(&mut byte) => return None,
            }
        }
        Behavior::Drip => {
            for byte in "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}".bytes() {
                socket.write_all(&[byte]).await.ok()?;
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        }
        Behavior::Informational => loop {
            socket.write_all(&b"HTTP/1.1 102 Processing\r\n\r\n".repeat(100)).await.ok()?;
        },
        Behavior::Garbage => {
            socket.write_all(b"\x16\x03\x01 SSH-2.0-none\r\n\r\n\0\0\0").await.ok()?;
            return None;
        }
        _ => {}
    }
    let book = || shared.arrivals.send_modify(|all| all[index].answered = Some(status));
    if *behavior == Behavior::Endless {
        book();
        socket.write_all(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n").await.ok()?;
        loop {
            socket.write_all(b"4\r\nmore\r\n").await.ok()?;
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
    let answer = format!("HTTP/1.1 {status} As Scripted\r\n{headers}content-length: 2\r\n\r\n{{}}");
    book();
    if socket.write_all(answer.as_bytes()).await.is_err() || socket.flush().await.is_err() {
        shared.arrivals.send_modify(|all| all[index].answered = None);
        return None;
    }
    Some(status)
}

struct Request {
    head: String,
    body: Vec<u8>,
}

/// Reads a request to its last byte. Returns `None` if the connection ended before, or was reset as the behavior wants
/// it.
async fn read(socket: &mut Socket, buffer: &mut Vec<u8>, shared: &Shared) -> Option<Request> {
    let mut begun = false;
    loop {
        if let Some(end) = buffer.windows(4).position(|window| window == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&buffer[..end]).into_owned();
            let length = header(&head, "content-length").and_then(|value| value.parse().ok()).unwrap_or(0);
            let body = end + 4..end + 4 + length;
            let part = (body.start + PART).min(body.end);
            if buffer.len() >= part && *shared.behavior.borrow() == Behavior::ResetWithin {
                reset(socket.tcp());
                return None;
            }
            if !begun && buffer.len() > body.start {
                begun = true;
                shared.begun.send_modify(|n| *n += 1);
                // A test that freezes the client now does so before more is read.
                tokio::task::yield_now().await;
            }
            if buffer.len() >= body.end {
                let request = Request { head, body: buffer[body.clone()].to_vec() };
                buffer.drain(..body.end);
                return Some(request);
            }
        }
        if socket.read_buf(buffer).await.ok()? == 0 {
            return None;
        }
    }
}

/// Returns the value of a header in a request head.
pub fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    head.lines().find_map(|line| {
        let (key, value) = line.split_once(':')?;
        key.eq_ignore_ascii_case(name).then_some(value.trim())
    })
}

/// Returns the text after `"marker":"`.
fn marker(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(body);
    let behind = text.split_once("\"marker\":\"").map(|(_, rest)| rest).unwrap_or_default();
    behind.split('"').next().unwrap_or_default().to_owned()
}

/// Makes this connection end with a RST.
fn reset(stream: &TcpStream) {
    stream.set_zero_linger().unwrap();
}

enum Socket {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

impl Socket {
    fn tcp(&self) -> &TcpStream {
        match self {
            Self::Plain(stream) => stream,
            Self::Tls(stream) => stream.get_ref().0,
        }
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_read(cx, buf),
            Self::Tls(stream) => Pin::new(stream).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Socket {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<std::io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write(cx, buf),
            Self::Tls(stream) => Pin::new(stream).poll_write(cx, buf),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Self::Tls(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}
