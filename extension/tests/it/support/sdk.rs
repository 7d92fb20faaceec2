//! What an SDK sends, as far as tests of delivery need it: envelopes with a marker by which they are known upstream.

use super::http;
use http_body_util::{BodyExt, Full};
use hyper::{HeaderMap, Method, Request, StatusCode, body::Bytes, client::conn::http1};
use hyper_util::rt::TokioIo;
use std::fmt::Write;
use std::net::{Ipv4Addr, SocketAddr};
use tokio::net::TcpStream;

pub const KEY: &str = "5b0ff8a1e2c94d7fb7a3c1d2e4f60718";
/// Where the extension listens in a network of its own.
pub const TUNNEL: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 5333);

/// With an id, as SDKs send it: the bytes behind it go upstream as they are.
const HEADER: &str = "{\"event_id\":\"9ec79c33ec9942ab8353589fcb2e04dc\"}";

/// An envelope's body with an item of each of these types, and a marker in each payload.
pub fn envelope(marker: &str, types: &[&str]) -> String {
    let mut body = format!("{HEADER}\n");
    for kind in types {
        let payload = format!("{{\"kind\":\"{kind}\",\"marker\":\"{marker}\"}}");
        let _ = write!(body, "{{\"type\":\"{kind}\",\"length\":{}}}\n{payload}\n", payload.len());
    }
    body
}

/// An error whose payload has about this many bytes; where that is more than an error may have, a file of one.
pub fn error_of(marker: &str, bytes: usize) -> String {
    let kind = if bytes < 1_000_000 { "event" } else { "attachment" };
    let payload = format!("{{\"marker\":\"{marker}\",\"filling\":\"{}\"}}", "x".repeat(bytes));
    format!("{HEADER}\n{{\"type\":\"{kind}\",\"length\":{}}}\n{payload}\n", payload.len())
}

/// An attachment that belongs to no event in the same envelope.
pub fn attachment_of(marker: &str, bytes: usize) -> String {
    error_of(marker, bytes).replacen("\"event\"", "\"attachment\"", 1)
}

/// Posts an envelope.
pub async fn post(to: SocketAddr, body: String) -> StatusCode {
    let auth = format!("Sentry sentry_key={KEY}, sentry_version=7, sentry_client=test/1");
    http::request(to, Method::POST, "/api/42/envelope/", &[("x-sentry-auth", &auth)], body).await.unwrap().0
}

/// Posts an error that takes more than one segment, as most do.
pub async fn report(to: SocketAddr, marker: &str) -> StatusCode {
    post(to, error_of(marker, 2000)).await
}

/// Posts an error through the tunnel, as browsers and Node do: the envelope says where it goes.
pub async fn tunnel(to: SocketAddr, dsn: &str, marker: &str) -> StatusCode {
    let body = error_of(marker, 200).replacen('{', &format!("{{\"dsn\":\"{dsn}\","), 1);
    http::request(to, Method::POST, "/envelope", &[], body).await.unwrap().0
}

/// A connection that is kept between envelopes.
pub struct Kept(http1::SendRequest<Full<Bytes>>);

impl Kept {
    pub async fn open(to: SocketAddr) -> Self {
        let stream = TcpStream::connect(to).await.unwrap();
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await.unwrap();
        // It ends with the sender.
        tokio::spawn(connection);
        Self(sender)
    }

    /// Posts an envelope.
    pub async fn post(&mut self, body: String) -> StatusCode {
        self.told(body).await.0
    }

    /// Posts an envelope, and reads the answer's headers too.
    pub async fn told(&mut self, body: String) -> (StatusCode, HeaderMap) {
        self.0.ready().await.unwrap();
        let request = Request::post("/api/42/envelope/").header("host", "localhost").header(
            "x-sentry-auth",
            format!("Sentry sentry_key={KEY}, sentry_version=7, sentry_client=test/1"),
        );
        let answer = self.0.send_request(request.body(body.into()).unwrap()).await.unwrap();
        let (head, body) = answer.into_parts();
        body.collect().await.unwrap();
        (head.status, head.headers)
    }
}
