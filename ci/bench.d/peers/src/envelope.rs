//! The envelopes that are sent, and the SDK's side of sending them.

use crate::http::Connection;
use crate::outcome::{Outcome, fail};
use flate2::{Compression, write::GzEncoder};
use serde::Deserialize;
use std::fmt::Write as _;
use std::io::Write as _;
use std::net::{SocketAddr, TcpStream};

/// Where the extension listens, in a network of its own.
pub(crate) const GATEWAY: &str = "127.0.0.1:9000";
pub(crate) const KEY: &str = "5b0ff8a1e2c94d7fb7a3c1d2e4f60718";
const ID: &str = "9ec79c33ec9942ab8353589fcb2e04dc";

/// What an envelope holds.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Kind {
    /// An error of 5 KB, as it is.
    Identity5k,
    /// An error that is 2 KB when compressed by gzip: some 10 KB of stack frames.
    Gzip2k,
    /// An attachment of 20 MB.
    Identity20m,
}

/// A whole request, head and body.
pub(crate) fn request(kind: Kind) -> Outcome<Vec<u8>> {
    let (body, encoding) = match kind {
        Kind::Identity5k => (envelope("event", &padded(5000)), ""),
        Kind::Gzip2k => (gzip(&envelope("event", &frames(2000)?))?, "content-encoding: gzip\r\n"),
        Kind::Identity20m => (envelope("attachment", &"x".repeat(20_000_000)), ""),
    };
    let mut request = format!(
        "POST /api/42/envelope/ HTTP/1.1\r\nhost: localhost:9000\r\nuser-agent: sentry.python/2.75.0\r\n\
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

/// An event whose envelope is about this long.
fn padded(bytes: usize) -> String {
    format!("{{\"message\":\"{}\"}}", "x".repeat(bytes.saturating_sub(170)))
}

/// An event with as many stack frames as make this many bytes when compressed.
fn frames(compressed: usize) -> Outcome<String> {
    let mut event =
        String::from("{\"exception\":{\"values\":[{\"type\":\"ValueError\",\"stacktrace\":{\"frames\":[");
    let mut seed: u32 = 1;
    while gzip(&envelope("event", &event))?.len() < compressed {
        // The numbers of a linear congruential generator: names and lines that do not repeat.
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        write!(
            event,
            "{{\"function\":\"handle_{seed:x}\",\"module\":\"app.service\",\"filename\":\"app/service.py\",\"lineno\":{},\
             \"in_app\":true,\"context_line\":\"    return self.{:x}(request, timeout=30)\"}},",
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

/// A connection to a gateway.
pub(crate) fn connect(to: SocketAddr) -> Outcome<Connection<TcpStream>> {
    let stream = TcpStream::connect(to)?;
    stream.set_nodelay(true)?;
    Ok(Connection::new(stream))
}

/// Sends an envelope; anything but a 200 is an error.
pub(crate) fn post(connection: &mut Connection<TcpStream>, request: &[u8]) -> Outcome<()> {
    let answer = connection.exchange(request)?;
    if answer.is_ok() {
        return Ok(());
    }
    Err(fail(format!("refused: {}{}", answer.head, String::from_utf8_lossy(&answer.body))))
}
