//! Builds the envelopes that are sent, and sends them as an SDK does.

use crate::http::Connection;
use crate::outcome::{Outcome, fail};
use flate2::{Compression, write::GzEncoder};
use serde::Deserialize;
use std::fmt::Write as _;
use std::io::Write as _;
use std::net::{SocketAddr, TcpStream};

/// The address of the extension. The port is fixed, so each run needs its own network namespace.
pub(crate) const GATEWAY: &str = "127.0.0.1:5333";
pub(crate) const KEY: &str = "5b0ff8a1e2c94d7fb7a3c1d2e4f60718";
const ID: &str = "9ec79c33ec9942ab8353589fcb2e04dc";

/// The content and the encoding of an envelope.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Kind {
    /// An error of 5 KB, not compressed.
    Identity5k,
    /// An error with about 10 KB of stack frames, which gzip compresses to 2 KB.
    Gzip2k,
    /// An attachment of 20 MB, not compressed.
    Identity20m,
}

/// Builds a whole request with head and body.
pub(crate) fn request(kind: Kind) -> Outcome<Vec<u8>> {
    let (body, encoding) = match kind {
        Kind::Identity5k => (envelope("event", &padded(5000)), ""),
        Kind::Gzip2k => (gzip(&envelope("event", &frames(2000)?))?, "content-encoding: gzip\r\n"),
        Kind::Identity20m => (envelope("attachment", &"x".repeat(20_000_000)), ""),
    };
    let mut request = format!(
        "POST /api/42/envelope/ HTTP/1.1\r\nhost: localhost:5333\r\nuser-agent: sentry.python/2.75.0\r\n\
         content-type: application/x-sentry-envelope\r\n{encoding}\
         x-sentry-auth: Sentry sentry_key={KEY}, sentry_version=7, sentry_client=sentry.python/2.75.0\r\n\
         content-length: {}\r\n\r\n",
        body.len()
    )
    .into_bytes();
    request.extend(body);
    Ok(request)
}

fn envelope(kind: &str, payload: &str) -> Vec<u8> {
    let length = payload.len();
    format!(
        "{{\"event_id\":\"{ID}\",\"sent_at\":\"2026-01-01T00:00:00.000Z\"}}\n\
         {{\"type\":\"{kind}\",\"length\":{length},\"content_type\":\"application/json\"}}\n{payload}\n"
    )
    .into_bytes()
}

/// Builds an event whose envelope has about this many bytes.
fn padded(bytes: usize) -> String {
    format!("{{\"message\":\"{}\"}}", "x".repeat(bytes.saturating_sub(170)))
}

/// Builds an event with enough stack frames that its compressed envelope has at least this many bytes.
fn frames(compressed: usize) -> Outcome<String> {
    let mut event =
        String::from("{\"exception\":{\"values\":[{\"type\":\"ValueError\",\"stacktrace\":{\"frames\":[");
    let mut seed: u32 = 1;
    while gzip(&envelope("event", &event))?.len() < compressed {
        // A linear congruential generator gives names and line numbers that do not repeat.
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        write!(
            event,
            "{{\"function\":\"handle_{seed:x}\",\"module\":\"app.service\",\"filename\":\"app/service.py\",\
             \"lineno\":{},\"in_app\":true,\"context_line\":\"    return self.{:x}(request, timeout=30)\"}},",
            seed >> 20,
            seed.rotate_left(9)
        )?;
    }
    event.push_str("{}]}}]}}");
    Ok(event)
}

fn gzip(bytes: &[u8]) -> Outcome<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes)?;
    Ok(encoder.finish()?)
}

/// Opens a connection to a gateway.
pub(crate) fn connect(to: SocketAddr) -> Outcome<Connection<TcpStream>> {
    let stream = TcpStream::connect(to)?;
    stream.set_nodelay(true)?;
    Ok(Connection::new(stream))
}

/// Sends an envelope. Every status except 200 is an error.
pub(crate) fn post(connection: &mut Connection<TcpStream>, request: &[u8]) -> Outcome<()> {
    let answer = connection.exchange(request)?;
    if answer.is_ok() {
        return Ok(());
    }
    Err(fail(format!("refused: {}{}", answer.head, String::from_utf8_lossy(&answer.body))))
}
