//! A proxy as in corporate networks: `CONNECT` for HTTPS, and absolute URIs for HTTP. It connects to the one upstream
//! of the test, for whatever name it is asked.

use super::scripted_upstream::header;
use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional},
    net::{TcpListener, TcpStream},
    task::AbortHandle,
};

/// How the proxy treats new requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProxyBehavior {
    Open,
    /// Refuses with this status.
    Refused(u16),
    /// Accepts the connection, and sends nothing.
    Hangs,
}

/// The first line of a request, and its credentials.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProxyRequest {
    pub line: String,
    pub authorization: Option<String>,
}

/// The proxy. It ends when it is dropped.
pub struct Proxy {
    address: SocketAddr,
    shared: Arc<Shared>,
    server: AbortHandle,
}

struct Shared {
    upstream: SocketAddr,
    behavior: Mutex<ProxyBehavior>,
    requests: Mutex<Vec<ProxyRequest>>,
}

impl Proxy {
    pub async fn start(upstream: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            upstream,
            behavior: Mutex::new(ProxyBehavior::Open),
            requests: Mutex::default(),
        });
        let serving = Arc::clone(&shared);
        let server = tokio::spawn(async move {
            let mut connections = tokio::task::JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let shared = Arc::clone(&serving);
                connections.spawn(async move {
                    // An error means that the client has disconnected, which is allowed.
                    let _ = pass(stream, &shared).await;
                });
            }
        });
        Self { address, shared, server: server.abort_handle() }
    }

    /// Returns the address, for the environment variables.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    pub fn set(&self, behavior: ProxyBehavior) {
        *self.shared.behavior.lock().unwrap() = behavior;
    }

    /// Returns all requests so far.
    pub fn requests(&self) -> Vec<ProxyRequest> {
        self.shared.requests.lock().unwrap().clone()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn pass(mut client: TcpStream, shared: &Shared) -> std::io::Result<()> {
    let mut buffer = Vec::new();
    let end = loop {
        if let Some(end) = buffer.windows(4).position(|window| window == b"\r\n\r\n") {
            break end;
        }
        if client.read_buf(&mut buffer).await? == 0 {
            return Ok(());
        }
    };
    let head = String::from_utf8_lossy(&buffer[..end]).into_owned();
    let line = head.lines().next().unwrap_or_default().to_owned();
    let authorization = header(&head, "proxy-authorization").map(str::to_owned);
    shared.requests.lock().unwrap().push(ProxyRequest { line: line.clone(), authorization });
    let behavior = *shared.behavior.lock().unwrap();
    match behavior {
        ProxyBehavior::Open => {}
        ProxyBehavior::Refused(status) => {
            let answer = format!("HTTP/1.1 {status} No\r\ncontent-length: 0\r\n\r\n");
            return client.write_all(answer.as_bytes()).await;
        }
        ProxyBehavior::Hangs => return std::future::pending().await,
    }
    let mut upstream = TcpStream::connect(shared.upstream).await?;
    if line.starts_with("CONNECT ") {
        client.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").await?;
        upstream.write_all(&buffer[end + 4..]).await?;
    } else {
        // The request is passed on without changes, because the upstream of the tests accepts an absolute URI.
        upstream.write_all(&buffer).await?;
    }
    copy_bidirectional(&mut client, &mut upstream).await.map(drop)
}
