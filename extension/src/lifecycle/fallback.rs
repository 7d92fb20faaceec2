//! The last resort for a process that cannot start its async runtime. It still registers and answers Lambda, because
//! an extension that exits makes the function fail. It blocks, needs only a socket, and delivers nothing.

use super::api::{ExtensionName, RuntimeApi};
use super::event::Event;
use crate::log;
use std::io::{self, Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

/// The longest silence in a response that has begun. For the first byte of an event there is no bound.
const SILENCE: Duration = Duration::from_secs(5);
/// The pause after a failed call, so that a broken API does not cause a busy loop.
const PAUSE: Duration = Duration::from_secs(1);

/// Registers for SHUTDOWN only and returns when that event arrives. It retries for ever, because an exit would fail
/// the function.
pub fn fallback(api: &RuntimeApi, name: &ExtensionName) {
    let id = loop {
        match register(api, name) {
            Ok(Some(id)) => break id,
            Ok(None) => log::debug("cannot register with Lambda", &[]),
            Err(error) => log::debug("cannot register with Lambda", &[("error", &error)]),
        }
        std::thread::sleep(PAUSE);
    };
    let next =
        format!("GET /2020-01-01/extension/event/next HTTP/1.1\r\nLambda-Extension-Identifier: {id}\r\n");
    loop {
        match call(api, &next, "") {
            Ok((_, body)) if matches!(Event::parse(&body), Some(Event::Shutdown { .. })) => return,
            // Only SHUTDOWN ends this loop. Every other response leads to the next call.
            Ok(_) => {}
            Err(error) => log::debug("cannot ask Lambda for the next event", &[("error", &error)]),
        }
        std::thread::sleep(PAUSE);
    }
}

/// Registers for SHUTDOWN only. Returns `None` if the response contains no identifier.
fn register(api: &RuntimeApi, name: &ExtensionName) -> io::Result<Option<String>> {
    let body = r#"{"events":["SHUTDOWN"]}"#;
    let head = format!(
        "POST /2020-01-01/extension/register HTTP/1.1\r\nLambda-Extension-Name: {}\r\nContent-Length: {}\r\n",
        name.0,
        body.len()
    );
    let (head, _) = call(api, &head, body)?;
    Ok(identifier(&head))
}

/// Makes one call on a new connection. Returns the head of the response and the JSON object in its body, which may be
/// chunked.
fn call(api: &RuntimeApi, head: &str, body: &str) -> io::Result<(String, Vec<u8>)> {
    let mut stream = TcpStream::connect(&api.0)?;
    write!(stream, "{head}Host: {}\r\nConnection: close\r\n\r\n{body}", api.0)?;
    let mut response = vec![0; 1024];
    let begun = stream.read(&mut response)?;
    response.truncate(begun);
    stream.set_read_timeout(Some(SILENCE))?;
    stream.read_to_end(&mut response)?;
    Ok(split(&response))
}

fn split(response: &[u8]) -> (String, Vec<u8>) {
    let text = String::from_utf8_lossy(response);
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
    let json = body.find('{').zip(body.rfind('}')).and_then(|(from, to)| body.get(from..=to));
    (head.to_owned(), json.unwrap_or_default().as_bytes().to_vec())
}

fn identifier(head: &str) -> Option<String> {
    let mut fields = head.lines().filter_map(|line| line.split_once(':'));
    let found = fields.find(|(name, _)| name.eq_ignore_ascii_case("lambda-extension-identifier"));
    found.map(|(_, value)| value.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn splits_valid_and_invalid_responses() {
        let (head, body) = split(
            b"HTTP/1.1 200 OK\r\nlambda-Extension-identifier: an-id\r\n\r\n7\r\n{\"a\":1}\r\n0\r\n\r\n",
        );
        assert_eq!(identifier(&head).as_deref(), Some("an-id"));
        assert_eq!(body, b"{\"a\":1}");
        for odd in [&b""[..], b"HTTP/1.1 500\r\n\r\n", b"\xff", b"x\r\n\r\n}{"] {
            let (head, body) = split(odd);
            assert_eq!((identifier(&head), body), (None, Vec::new()));
        }
    }
}
