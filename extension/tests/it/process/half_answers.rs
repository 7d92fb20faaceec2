//! Tests an API that begins a response and does not continue it. The extension has to give it up and ask again. For the
//! first byte of a response it has to wait without end.

use crate::support::{
    HANG,
    extension::{BINARY, Extension},
    tools,
};
use std::{
    io::{ErrorKind, Read, Write},
    net::{TcpListener, TcpStream},
    time::Duration,
};

/// Longer than the silence that the extension accepts within a response.
const POLL: Duration = Duration::from_secs(7);
const SHUTDOWN: &str = r#"{"eventType":"SHUTDOWN","shutdownReason":"spindown"}"#;

/// Serves the calls before `/next` on as many connections as the extension opens, and returns the connection with
/// `/next`.
fn accept_next(listener: &TcpListener) -> TcpStream {
    loop {
        let (mut stream, _) = listener.accept().unwrap();
        stream.set_read_timeout(Some(HANG)).unwrap();
        loop {
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                let mut byte = [0];
                if stream.read(&mut byte).unwrap() == 0 {
                    break;
                }
                head.push(byte[0]);
            }
            let head = String::from_utf8(head).unwrap().to_ascii_lowercase();
            if head.is_empty() {
                break;
            }
            if head.contains("/event/next") {
                return stream;
            }
            let length =
                head.split_once("content-length: ").map_or("0", |(_, rest)| rest.lines().next().unwrap());
            stream.read_exact(&mut vec![0; length.parse().unwrap()]).unwrap();
            let answer =
                "HTTP/1.1 200 OK\r\nlambda-extension-identifier: an-id\r\ncontent-length: 2\r\n\r\n{}";
            stream.write_all(answer.as_bytes()).unwrap();
            if head.contains("connection: close") {
                break;
            }
        }
    }
}

/// Waits until the extension closes a connection on which it got no response.
fn is_given_up(mut stream: TcpStream) {
    stream.set_read_timeout(Some(HANG)).unwrap();
    match stream.read(&mut [0]) {
        Ok(0) => {}
        Err(error) if error.kind() == ErrorKind::ConnectionReset => {}
        other => panic!("half an answer was not given up: {other:?}"),
    }
}

fn serve(listener: &TcpListener) {
    let full = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{SHUTDOWN}", SHUTDOWN.len());
    for half in ["HTTP/1.1 200 OK\r\nconten", full.split_at(full.len() - 10).0] {
        let mut stream = accept_next(listener);
        stream.write_all(half.as_bytes()).unwrap();
        is_given_up(stream);
    }
    let mut stream = accept_next(listener);
    stream.set_read_timeout(Some(POLL)).unwrap();
    let waited = stream.read(&mut [0]);
    let still_open = waited.as_ref().is_err_and(|error| error.kind() == ErrorKind::WouldBlock);
    assert!(still_open, "a poll was given up: {waited:?}");
    stream.write_all(full.as_bytes()).unwrap();
}

async fn asks_again(script: &str) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let env = [("AWS_LAMBDA_RUNTIME_API", &*address), ("PATH", "/usr/bin:/bin")];
    let env = [&env[..], &[("SENTRY_EXTENSION_PORTS", "1")]].concat();
    let extension = Extension::start(tools::program("bash"), &["-c", script, BINARY], &env);
    // This is a thread, because a failed test must not wait for it.
    let (done, served) = tokio::sync::oneshot::channel();
    std::thread::spawn(move || {
        serve(&listener);
        done.send(())
    });
    let waited = tokio::time::timeout(HANG, served).await;
    assert!(matches!(waited, Ok(Ok(()))), "{waited:?}: {}", extension.log.text());
    let (status, log) = extension.ended().await;
    assert!(status.success(), "{status}: {}", log.text());
}

#[tokio::test]
async fn the_lifecycle_asks_again_after_half_an_answer() {
    asks_again("exec \"$0\"").await;
}

#[tokio::test]
async fn the_fallback_asks_again_after_half_an_answer() {
    asks_again("ulimit -n 5; exec \"$0\"").await;
}
