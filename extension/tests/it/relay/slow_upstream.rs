//! An upstream that is slow: to read, to answer, or in saying anything final.

use super::delivery_test::{DeliveryTest, SECOND, markers};
use crate::support::{
    memory::cpu_time,
    netns::isolated,
    scripted_upstream::{Behavior, ScriptedUpstream},
    sdk::{KEY, TUNNEL, attachment_of, post},
};
use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpSocket;

/// Reads so many bytes a second, and answers a request with 200 when it has all of it. Returns its port and the number
/// of requests that were begun.
fn slow_reader(bytes_a_second: usize, length: usize) -> (u16, Arc<AtomicUsize>) {
    let socket = TcpSocket::new_v4().unwrap();
    // A small receive buffer makes the sender wait, as a slow line does.
    socket.set_recv_buffer_size(32 * 1024).unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let listener = socket.listen(16).unwrap();
    let port = listener.local_addr().unwrap().port();
    let begun = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&begun);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            count.fetch_add(1, Ordering::Relaxed);
            tokio::spawn(async move {
                let mut block = vec![0; bytes_a_second / 50];
                let mut read = 0;
                while read < length {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                    match stream.read_exact(&mut block[..(length - read).min(bytes_a_second / 50)]).await {
                        Ok(some) => read += some,
                        Err(_) => return,
                    }
                }
                let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}").await;
                let _ = stream.shutdown().await;
            });
        }
    });
    (port, begun)
}

#[test]
fn a_large_envelope_over_a_slow_line_gets_through_at_the_first_try() {
    const LENGTH: usize = 2_000_000;
    isolated(|| async {
        let (port, begun) = slow_reader(1_000_000, LENGTH);
        let dsn = format!("http://{KEY}@127.0.0.1:{port}/42");
        let settings = [("SENTRY_DSN", &*dsn), ("SENTRY_EXTENSION_TIMEOUT", "1s")];
        let test = DeliveryTest::with(ScriptedUpstream::start(false).await, &settings).await;
        assert_eq!(post(TUNNEL, attachment_of("large", LENGTH)).await, 200);
        test.log().wait_for("\"message\":\"delivered\"").await;
        assert_eq!(begun.load(Ordering::Relaxed), 1, "{}", test.log().text());
        let (counts, _) = test.shut_down().await;
        assert_eq!((counts.delivered, counts.unanswered), (1, 0));
    });
}

#[test]
fn an_upstream_that_answers_late_gets_an_envelope_twice_at_most() {
    isolated(|| async {
        let test = DeliveryTest::start(&[("SENTRY_EXTENSION_TIMEOUT", "300ms")]).await;
        test.upstream.behave(Behavior::Slow(Duration::from_millis(450))).await;
        let sent = markers("late", 5);
        for marker in &sent {
            test.reports(std::slice::from_ref(marker)).await;
            test.upstream.wait_until_taken(std::slice::from_ref(marker)).await;
        }
        let (counts, upstream) = test.shut_down().await;
        assert_eq!(counts.delivered, 5, "{:?}", upstream.fates());
        let arrived = |marker: &str| upstream.arrivals().iter().filter(|one| one.marker == marker).count();
        assert!(arrived(&sent[0]) <= 2, "{:?}", upstream.fates());
        // By then it is known how long this upstream takes.
        assert!(sent[1..].iter().all(|marker| arrived(marker) == 1), "{:?}", upstream.fates());
        assert_eq!(counts.unanswered + 5, upstream.arrivals().len() as u64);
    });
}

#[test]
fn an_upstream_that_resets_instead_of_answering_gets_few_copies() {
    isolated(|| async {
        let test = DeliveryTest::start(&[]).await;
        test.upstream.behave(Behavior::ResetAfter).await;
        test.reports(&markers("reset", 1)).await;
        test.upstream.wait_until("the first", |all| !all.is_empty()).await;
        let (counts, upstream) = test.shut_down().await;
        eprintln!("copies within the two seconds of SHUTDOWN: {}", upstream.arrivals().len());
        assert!(upstream.arrivals().len() <= 8, "{:?}", upstream.fates());
        assert_eq!(counts.unanswered, upstream.arrivals().len() as u64);
    });
}

#[test]
fn responses_that_are_never_final_cost_little() {
    isolated(|| async {
        let test = DeliveryTest::start(&[("SENTRY_EXTENSION_TIMEOUT", "10s")]).await;
        test.upstream.behave(Behavior::Informational).await;
        let before = cpu_time(test.extension.pid());
        test.reports(&markers("flood", 1)).await;
        test.log().wait_for("could not take").await;
        let cpu = cpu_time(test.extension.pid()).saturating_sub(before);
        eprintln!("a flood of informational responses: {cpu:?} of CPU time");
        assert!(cpu < SECOND, "{cpu:?}");
        test.upstream.recover().await;
        test.upstream.wait_until_taken(&markers("flood", 1)).await;
        test.shut_down().await;
    });
}
