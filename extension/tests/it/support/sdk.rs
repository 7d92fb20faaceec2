//! Sends envelopes as an SDK does. Each has a marker, by which a test recognizes it upstream.

use super::http;
use http_body_util::{BodyExt, Full};
use hyper::{HeaderMap, Method, Request, StatusCode, body::Bytes, client::conn::http1};
use hyper_util::rt::TokioIo;
use std::fmt::Write;
use std::net::{Ipv4Addr, SocketAddr};
use tokio::net::TcpStream;

pub const KEY: &str = "5b0ff8a1e2c94d7fb7a3c1d2e4f60718";
/// The address on which the extension listens, if the test runs in a network of its own.
pub const TUNNEL: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 5333);

/// An envelope header with an id, as SDKs send it. The extension does not change such an envelope.
const HEADER: &str = "{\"event_id\":\"9ec79c33ec9942ab8353589fcb2e04dc\"}";

/// Returns the body of an envelope with an item of each of these types, and the marker in each payload.
pub fn envelope(marker: &str, types: &[&str]) -> String {
    let mut body = format!("{HEADER}\n");
    for kind in types {
        let payload = format!("{{\"kind\":\"{kind}\",\"marker\":\"{marker}\"}}");
        let _ = write!(body, "{{\"type\":\"{kind}\",\"length\":{}}}\n{payload}\n", payload.len());
    }
    body
}

/// Returns an envelope with one item of this type and this JSON payload.
pub fn item(kind: &str, payload: &serde_json::Value) -> String {
    let payload = payload.to_string();
    format!("{HEADER}\n{{\"type\":\"{kind}\",\"length\":{}}}\n{payload}\n", payload.len())
}

/// Returns an error with a payload of about this number of bytes. If that is more than an
/// error may have, the item is an attachment.
pub fn error_of(marker: &str, bytes: usize) -> String {
    let kind = if bytes < 1_000_000 { "event" } else { "attachment" };
    let payload = format!("{{\"marker\":\"{marker}\",\"filling\":\"{}\"}}", "x".repeat(bytes));
    format!("{HEADER}\n{{\"type\":\"{kind}\",\"length\":{}}}\n{payload}\n", payload.len())
}

/// Returns an attachment without an event in the same envelope.
pub fn attachment_of(marker: &str, bytes: usize) -> String {
    error_of(marker, bytes).replacen("\"event\"", "\"attachment\"", 1)
}

/// Posts an envelope.
pub async fn post(to: SocketAddr, body: String) -> StatusCode {
    let auth = format!("Sentry sentry_key={KEY}, sentry_version=7, sentry_client=test/1");
    http::request(to, Method::POST, "/api/42/envelope/", &[("x-sentry-auth", &auth)], body).await.unwrap().0
}

/// Posts an error that needs more than one TCP segment, as most errors do.
pub async fn report(to: SocketAddr, marker: &str) -> StatusCode {
    post(to, error_of(marker, 2000)).await
}

/// Posts an error through the tunnel, as browsers and Node do. The DSN in the envelope names its destination.
pub async fn tunnel(to: SocketAddr, dsn: &str, marker: &str) -> StatusCode {
    let body = error_of(marker, 200).replacen('{', &format!("{{\"dsn\":\"{dsn}\","), 1);
    http::request(to, Method::POST, "/envelope", &[], body).await.unwrap().0
}

/// A connection that is reused for several envelopes.
pub struct SdkConnection(http1::SendRequest<Full<Bytes>>);

impl SdkConnection {
    pub async fn open(to: SocketAddr) -> Self {
        let stream = TcpStream::connect(to).await.unwrap();
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await.unwrap();
        // The task ends when the sender is dropped.
        tokio::spawn(connection);
        Self(sender)
    }

    /// Posts an envelope.
    pub async fn post(&mut self, body: String) -> StatusCode {
        self.post_with_headers(body).await.0
    }

    /// Posts an envelope, and also returns the response headers.
    pub async fn post_with_headers(&mut self, body: String) -> (StatusCode, HeaderMap) {
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
