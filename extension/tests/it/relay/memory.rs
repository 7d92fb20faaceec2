//! Tests how much of the function's memory the extension uses in the worst cases.
//!
//! The bounds are on the memory beyond that of the idle extension, so that they hold for the unoptimised binary and for
//! the binary of the layer.

use super::delivery_test::DeliveryTest;
use crate::support::{
    memory::Memory,
    netns::isolated,
    scripted_upstream::Behavior,
    sdk::{SdkConnection, TUNNEL, error_of},
};
use std::time::Instant;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

const MIB: usize = 1 << 20;

#[test]
fn a_dead_upstream_costs_the_buffer_and_no_more() {
    // The gateway does not change an envelope with an id, and writes an id into one without.
    for without_id in [false, true] {
        isolated(move || dead_upstream(without_id));
    }
}

async fn dead_upstream(without_id: bool) {
    const BUFFER: usize = 16 * MIB;
    const ENVELOPES: usize = 10_000;
    let test =
        DeliveryTest::start(&[("SENTRY_EXTENSION_BUFFER", "16MiB"), ("SENTRY_EXTENSION_LOG", "warn")]).await;
    test.upstream.behave(Behavior::Refuse).await;
    let idle = Memory::of(test.extension.pid());
    let start = Instant::now();
    let mut senders = tokio::task::JoinSet::new();
    for sender in 0..4 {
        senders.spawn(async move {
            let mut connection = SdkConnection::open(TUNNEL).await;
            for n in 0..ENVELOPES / 4 {
                let mut body = error_of(&format!("dead-{sender}-{n}"), 5000);
                if without_id {
                    body.replace_range(..body.find('\n').unwrap(), "{}");
                }
                assert_eq!(connection.post(body).await, 200);
            }
        });
    }
    while let Some(sent) = senders.join_next().await {
        sent.unwrap();
    }
    let took = start.elapsed();
    let full = Memory::of(test.extension.pid());
    let (counts, _) = test.shut_down().await;
    eprintln!(
        "{ENVELOPES} envelopes against a dead upstream: idle {} KiB, full {} KiB, at most {} KiB, buffer {} KiB; \
         {} µs an envelope; {} dropped",
        idle.now / 1024,
        full.now / 1024,
        full.most / 1024,
        BUFFER / 1024,
        took.as_micros() / ENVELOPES as u128,
        counts.dropped
    );
    assert_eq!((counts.accepted, counts.dropped), (ENVELOPES as u64, ENVELOPES as u64));
    assert!(full.most < idle.most + BUFFER + 6 * MIB, "{idle:?} {full:?}");
}

#[test]
fn an_endless_body_is_refused_and_costs_no_memory() {
    const CHUNK: usize = 64 * 1024;
    const CHUNKS: usize = 200 * MIB / CHUNK;
    isolated(|| async {
        let test = DeliveryTest::start(&[("SENTRY_EXTENSION_MAX_BODY", "1MiB")]).await;
        let idle = Memory::of(test.extension.pid());
        let (mut reading, mut writing) = TcpStream::connect(TUNNEL).await.unwrap().into_split();
        let body = async {
            let head =
                "POST /api/42/envelope/ HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n\r\n";
            writing.write_all(head.as_bytes()).await?;
            let chunk = [format!("{CHUNK:x}\r\n").into_bytes(), vec![b'x'; CHUNK], b"\r\n".to_vec()].concat();
            for _ in 0..CHUNKS {
                writing.write_all(&chunk).await?;
            }
            writing.write_all(b"0\r\n\r\n").await
        };
        let answer = async {
            let mut answer = vec![0; 4096];
            let read = reading.read(&mut answer).await.unwrap();
            String::from_utf8_lossy(&answer[..read]).into_owned()
        };
        // The server may end the connection before it has read everything.
        let (_, answer) = tokio::join!(body, answer);
        assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
        let after = Memory::of(test.extension.pid());
        eprintln!("200 MB: idle {} KiB, at most {} KiB", idle.most / 1024, after.most / 1024);
        assert!(after.most < idle.most + 4 * MIB, "{idle:?} {after:?}");
        let (counts, _) = test.shut_down().await;
        assert_eq!(counts.accepted, 0);
    });
}
