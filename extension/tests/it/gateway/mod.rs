//! Tests the responses to SDKs, with the real binary in standalone mode. They are the contract of a local relay.

mod browsers;
pub mod clients;
mod conversions;
mod envelopes;
mod forwarding;
mod fuzz;
mod loops;
mod memory;
mod passed_headers;
pub mod recorder;
mod refusals;
mod rejections;
mod slow_clients;

use crate::support::{
    HANG,
    envelope::Item,
    extension::Extension,
    sentry::{Received, Sentry, Transport},
};
use http_body_util::{BodyExt, Full};
use hyper::{HeaderMap, Method, Request, body::Bytes, client::conn::http1, header::HOST};
use hyper_util::rt::TokioIo;
use std::{io::Write, net::SocketAddr, sync::Arc, time::Duration};
use tokio::net::TcpStream;

pub const KEY: &str = "5b0ff8a1e2c94d7fb7a3c1d2e4f60718";
pub const ID: &str = "f3d98fbd851e4cfeb5a6d4e45a253049";
pub const ENVELOPE: &str = "{\"event_id\":\"f3d98fbd851e4cfeb5a6d4e45a253049\"}\n{\"type\":\"event\"}\n{}\n";
pub const SECOND: Duration = Duration::from_secs(1);

/// The names and values of headers.
pub type Headers<'a> = &'a [(&'a str, &'a str)];

/// The response to a request.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: String,
}

impl Answer {
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map(|value| value.to_str().unwrap()).unwrap_or_default()
    }
}

/// A standalone extension that sends to a stand-in for Sentry.
pub struct Setup {
    pub extension: Extension,
    pub sentry: Sentry,
    pub address: SocketAddr,
}

impl Setup {
    pub async fn new(env: Headers<'_>) -> Self {
        let sentry = Sentry::start(Transport::Plain).await;
        let (extension, address) = Extension::standalone(&sentry.url(), env).await;
        Self { extension, sentry, address }
    }

    pub async fn send(
        &self,
        method: Method,
        path: &str,
        headers: Headers<'_>,
        body: impl Into<Bytes>,
    ) -> Answer {
        send(self.address, method, path, headers, body).await
    }

    pub async fn post(&self, path: &str, headers: Headers<'_>, body: impl Into<Bytes>) -> Answer {
        self.send(Method::POST, path, headers, body).await
    }

    /// Waits for an envelope that has an item of this type.
    pub async fn arrives(&self, kind: &str) -> (Arc<Received>, Item) {
        let has = |one: &Received| one.envelope.item(kind).is_some();
        let one = self.sentry.wait_for(kind, has).await;
        let item = one.envelope.item(kind).unwrap().clone();
        (one, item)
    }

    /// Ends the extension. The stand-in must have received exactly this number of envelopes, and no invalid request.
    pub async fn finish(self, envelopes: u64) {
        self.extension.terminate();
        assert_eq!(self.extension.final_counts().await, [envelopes, envelopes, 0, 0]);
        assert_eq!(self.sentry.violations(), Vec::<String>::new());
    }
}

/// Sends one request over a new connection, and reads the whole response.
pub async fn send(
    to: SocketAddr,
    method: Method,
    path: &str,
    headers: Headers<'_>,
    body: impl Into<Bytes>,
) -> Answer {
    let stream = TcpStream::connect(to).await.unwrap();
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.unwrap();
    let driver = tokio::spawn(connection);
    let mut request = Request::builder().method(method).uri(path).header(HOST, to.to_string());
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request.body(Full::new(body.into())).unwrap();
    let exchange = async {
        let (head, body) = sender.send_request(request).await.unwrap().into_parts();
        (head, body.collect().await.unwrap().to_bytes())
    };
    let (head, body) = tokio::time::timeout(HANG, exchange).await.expect("no answer");
    driver.abort();
    let body = String::from_utf8_lossy(&body).into_owned();
    Answer { status: head.status.as_u16(), headers: head.headers, body }
}

/// Returns an `X-Sentry-Auth` header as an SDK writes it.
pub fn auth() -> String {
    format!("Sentry sentry_version=7, sentry_client=test/1, sentry_key={KEY}")
}

pub fn gzip(plain: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(plain).unwrap();
    encoder.finish().unwrap()
}

pub fn zlib(plain: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(plain).unwrap();
    encoder.finish().unwrap()
}

pub fn base64(bytes: impl AsRef<[u8]>) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(bytes)
}
