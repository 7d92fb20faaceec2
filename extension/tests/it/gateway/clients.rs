//! Tests well-behaved and misbehaving clients, at the level of bytes on a connection.

use super::{ENVELOPE, KEY, Setup, auth};
use crate::support::{
    HANG,
    extension::{BINARY, Extension},
};
use serde_json::Value;
use std::net::SocketAddr;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

/// Returns the start of a request. More headers have to follow.
pub fn post() -> String {
    format!("POST /api/42/envelope/ HTTP/1.1\r\nHost: x\r\nX-Sentry-Auth: Sentry sentry_key={KEY}\r\n")
}

/// Returns a whole request.
pub fn whole() -> String {
    format!("{}Content-Length: {}\r\n\r\n{ENVELOPE}", post(), ENVELOPE.len())
}

pub async fn connect(to: SocketAddr) -> TcpStream {
    TcpStream::connect(to).await.unwrap()
}

/// Reads this number of responses. All of them must have this status.
pub async fn read_answers(stream: &mut TcpStream, status: &str, count: usize) {
    let mut read = Vec::new();
    let reading = async {
        loop {
            let text = String::from_utf8_lossy(&read);
            let heads = text.matches("HTTP/1.").count();
            assert_eq!(text.matches(status).count(), heads, "{text}");
            let ended = status.ends_with("100") && text.ends_with("\r\n\r\n") || text.ends_with('}');
            if heads == count && ended {
                return;
            }
            let got = stream.read_buf(&mut read).await.unwrap();
            assert!(got > 0, "closed after {:?}", String::from_utf8_lossy(&read));
        }
    };
    tokio::time::timeout(HANG, reading).await.expect("no answer");
}

/// Reads everything until the connection ends.
async fn rest(stream: &mut TcpStream) -> String {
    let mut read = Vec::new();
    let reading = stream.read_to_end(&mut read);
    // A reset also ends the connection.
    let _ = tokio::time::timeout(HANG, reading).await.expect("the connection does not end");
    String::from_utf8_lossy(&read).into_owned()
}

#[tokio::test]
async fn bodies_are_accepted_in_every_framing() {
    let setup = Setup::new(&[]).await;
    let (post, one, length) = (post(), whole(), ENVELOPE.len());

    // Two requests are sent at once over one connection.
    let mut stream = connect(setup.address).await;
    stream.write_all(one.repeat(2).as_bytes()).await.unwrap();
    read_answers(&mut stream, "HTTP/1.1 200", 2).await;

    // The body is sent in two chunks, with a pause between them.
    let (first, second) = ENVELOPE.split_at(10);
    let start = format!("{post}Transfer-Encoding: chunked\r\n\r\na\r\n{first}\r\n");
    stream.write_all(start.as_bytes()).await.unwrap();
    stream.write_all(format!("{:x}\r\n{second}\r\n0\r\n\r\n", second.len()).as_bytes()).await.unwrap();
    read_answers(&mut stream, "HTTP/1.1 200", 1).await;

    // The client waits for `100 Continue` before it sends the body.
    let polite = format!("{post}Expect: 100-continue\r\nContent-Length: {length}\r\n\r\n");
    stream.write_all(polite.as_bytes()).await.unwrap();
    read_answers(&mut stream, "HTTP/1.1 100", 1).await;
    stream.write_all(ENVELOPE.as_bytes()).await.unwrap();
    read_answers(&mut stream, "HTTP/1.1 200", 1).await;

    // The client waits for `100 Continue`, and gets the error instead.
    let anonymous = polite.replace("X-Sentry-Auth", "X-Other").replace("/envelope/", "/store/");
    stream.write_all(anonymous.as_bytes()).await.unwrap();
    read_answers(&mut stream, "HTTP/1.1 401", 1).await;

    // The client closes its sending half after the request.
    let mut stream = connect(setup.address).await;
    stream.write_all(one.as_bytes()).await.unwrap();
    stream.shutdown().await.unwrap();
    read_answers(&mut stream, "HTTP/1.1 200", 1).await;

    // With HTTP/1.0, the connection ends after the response.
    let mut stream = connect(setup.address).await;
    stream.write_all(one.replace("HTTP/1.1", "HTTP/1.0").as_bytes()).await.unwrap();
    assert!(rest(&mut stream).await.starts_with("HTTP/1.0 200"));

    // The client disconnects within the body. Nothing is accepted, because no response was sent.
    let mut stream = connect(setup.address).await;
    stream.write_all(format!("{post}Content-Length: 9999\r\n\r\n{ENVELOPE}").as_bytes()).await.unwrap();
    drop(stream);
    setup.finish(6).await;
}

#[tokio::test]
async fn a_refused_body_is_discarded_and_the_connection_stays_open() {
    let setup = Setup::new(&[("SENTRY_EXTENSION_MAX_BODY", "1MiB")]).await;
    let mut stream = connect(setup.address).await;
    let large = 3 << 20;
    for (start, status) in [
        (post().replace("X-Sentry-Auth", "X-Other").replace("/envelope/", "/store/"), "401"),
        (post(), "413"),
        (post().replace("/42/", "/abc/"), "400"),
        ("POST /nowhere HTTP/1.1\r\nHost: x\r\n".to_owned(), "404"),
        ("PATCH /envelope HTTP/1.1\r\nHost: x\r\n".to_owned(), "405"),
    ] {
        stream.write_all(format!("{start}Content-Length: {large}\r\n\r\n").as_bytes()).await.unwrap();
        stream.write_all(&vec![b' '; large]).await.unwrap();
        read_answers(&mut stream, &format!("HTTP/1.1 {status}"), 1).await;
    }
    stream.write_all(whole().as_bytes()).await.unwrap();
    read_answers(&mut stream, "HTTP/1.1 200", 1).await;
    setup.finish(1).await;
}

#[tokio::test]
async fn garbage_ends_only_its_own_connection() {
    let setup = Setup::new(&[]).await;
    let huge = format!("{}X-Huge: {}\r\n\r\n", post(), "x".repeat(200 * 1024));
    let many = format!("{}{}\r\n", post(), "X-Many: 1\r\n".repeat(1000));
    let cases: [(&[u8], &str); 6] = [
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", "HTTP/1.1 400"),
        (b"hello there\r\n\r\n", "HTTP/1.1 400"),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "HTTP/1.1 400"),
        (b"POST /envelope HTTP/1.1\r\nContent-Length: -5\r\n\r\n", "HTTP/1.1 400"),
        (huge.as_bytes(), "HTTP/1.1 431"),
        (many.as_bytes(), "HTTP/1.1 431"),
    ];
    for (bytes, expected) in cases {
        let mut stream = connect(setup.address).await;
        stream.write_all(bytes).await.unwrap();
        let start = String::from_utf8_lossy(&bytes[..bytes.len().min(40)]);
        let answer = rest(&mut stream).await;
        assert!(answer.is_empty() || answer.starts_with(expected), "{start:?}: {answer}");
    }
    // The chunk is malformed.
    let mut stream = connect(setup.address).await;
    let broken = format!("{}Transfer-Encoding: chunked\r\n\r\nzz\r\n", post());
    stream.write_all(broken.as_bytes()).await.unwrap();
    assert!(!rest(&mut stream).await.contains(" 200 "));
    assert_eq!(setup.post("/api/42/envelope/", &[("x-sentry-auth", &auth())], ENVELOPE).await.status, 200);
    setup.finish(1).await;
}

#[tokio::test]
async fn more_clients_than_there_are_file_descriptors() {
    let sentry = crate::support::sentry::Sentry::start(crate::support::sentry::Transport::Plain).await;
    let url = sentry.url();
    let command = format!("ulimit -n 32 && exec {BINARY} --standalone --listen 127.0.0.1:0 --upstream {url}");
    let extension = Extension::start("/bin/sh", &["-c", &command], &[]);
    let line = extension.log.wait_for("\"listening\"").await;
    let line: Value = serde_json::from_str(&line).unwrap();
    let setup = Setup { extension, sentry, address: line["addr"].as_str().unwrap().parse().unwrap() };

    let mut greedy = Vec::new();
    for _ in 0..60 {
        greedy.push(connect(setup.address).await);
    }
    // The last is served although the others stay, because those that have been idle for longest are closed for it.
    let mut last = greedy.pop().unwrap();
    last.write_all(whole().as_bytes()).await.unwrap();
    read_answers(&mut last, "HTTP/1.1 200", 1).await;
    setup.arrives("event").await;
    setup.finish(1).await;
}
