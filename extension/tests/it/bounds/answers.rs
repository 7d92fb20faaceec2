//! Responses that are passed on to clients: many large ones at a time take no more memory than their buffers.

use crate::gateway::clients::connect;
use crate::support::extension::Extension;
use crate::support::{HANG, memory::Memory};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::Barrier;
use tokio::time::{sleep, timeout};

const MIB: usize = 1 << 20;
const LARGE: usize = 19 * MIB;

/// An upstream that answers every request with a large body. With `chunked` it does not announce its length, and
/// `stalls` lets it stop in the middle.
async fn upstream(chunked: bool, stalls: bool) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut request = [0; 4096];
                while stream.read(&mut request).await.is_ok_and(|read| read > 0) {
                    let framing = if chunked {
                        format!("Transfer-Encoding: chunked\r\n\r\n{LARGE:x}\r\n")
                    } else {
                        format!("Content-Length: {LARGE}\r\n\r\n")
                    };
                    let _ = stream.write_all(format!("HTTP/1.1 200 OK\r\n{framing}").as_bytes()).await;
                    let piece = vec![b'x'; MIB];
                    for n in 0..19 {
                        if stalls && n == 9 {
                            sleep(HANG).await;
                        }
                        if stream.write_all(&piece).await.is_err() {
                            return;
                        }
                    }
                    if chunked {
                        let _ = stream.write_all(b"\r\n0\r\n\r\n").await;
                    }
                }
            });
        }
    });
    url
}

const GET: &[u8] = b"GET /api/0/large/ HTTP/1.1\r\nHost: localhost\r\n\r\n";

#[tokio::test]
async fn many_large_answers_are_not_held() {
    const CLIENTS: usize = 60;
    for chunked in [false, true] {
        let url = upstream(chunked, false).await;
        let settings = [("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "128"), ("SENTRY_EXTENSION_TIMEOUT", "60s")];
        let (extension, address) = Extension::standalone(&url, &settings).await;
        let before = Memory::of(extension.pid()).now;
        let all_asked = Arc::new(Barrier::new(CLIENTS));
        let mut clients = Vec::new();
        for _ in 0..CLIENTS {
            let all_asked = Arc::clone(&all_asked);
            clients.push(tokio::spawn(async move {
                let mut stream = connect(address).await;
                stream.write_all(GET).await.unwrap();
                all_asked.wait().await;
                // The answers wait for a client that does not read yet.
                sleep(Duration::from_secs(1)).await;
                let mut read = 0;
                let mut buffer = vec![0; 256 * 1024];
                while read < LARGE {
                    let got = timeout(HANG, stream.read(&mut buffer)).await.unwrap().unwrap();
                    assert!(got > 0, "it ended after {read} bytes");
                    read += got;
                }
            }));
        }
        for client in clients {
            client.await.unwrap();
        }
        let grown = Memory::of(extension.pid()).most.saturating_sub(before);
        eprintln!("60 answers of 19 MiB: {} KiB more", grown / 1024);
        assert!(grown < 24 * MIB, "{grown}");
        extension.terminate();
        assert_eq!(extension.final_counts().await, [0; 4]);
    }
}

#[tokio::test]
async fn an_answer_that_stalls_ends_the_connection() {
    for chunked in [false, true] {
        let url = upstream(chunked, true).await;
        let (extension, address) = Extension::standalone(&url, &[("SENTRY_EXTENSION_TIMEOUT", "1s")]).await;
        let mut stream = connect(address).await;
        stream.write_all(GET).await.unwrap();
        let mut answer = Vec::new();
        let _ =
            timeout(HANG / 2, stream.read_to_end(&mut answer)).await.expect("it is waited for without end");
        assert!(answer.starts_with(b"HTTP/1.1 200") && answer.len() < LARGE, "{}", answer.len());
        assert!(!answer.ends_with(b"0\r\n\r\n"), "an answer that is not whole looks as if it were");
        extension.terminate();
        assert_eq!(extension.final_counts().await, [0; 4]);
    }
}
