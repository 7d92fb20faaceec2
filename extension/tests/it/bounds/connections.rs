//! Many connections: they take neither the descriptors that upstream needs, nor memory for heads that never end.

use crate::gateway::clients::{connect, post, read_answers, whole};
use crate::gateway::{ENVELOPE, Setup};
use crate::support::extension::{BINARY, Extension};
use crate::support::memory::{Memory, cpu_time};
use crate::support::sentry::{Sentry, Transport};
use serde_json::Value;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const MIB: usize = 1 << 20;

/// Starts an extension that may have only so many descriptors.
async fn with_descriptors(count: usize) -> Setup {
    let sentry = Sentry::start(Transport::Plain).await;
    let url = sentry.url();
    let command =
        format!("ulimit -n {count} && exec {BINARY} --standalone --listen 127.0.0.1:0 --upstream {url}");
    let extension = Extension::start("/bin/sh", &["-c", &command], &[]);
    let line: Value = serde_json::from_str(&extension.log.wait_for("\"listening\"").await).unwrap();
    let address = line["addr"].as_str().unwrap().parse().unwrap();
    Setup { extension, sentry, address }
}

async fn event(stream: &mut TcpStream) {
    stream.write_all(whole().as_bytes()).await.unwrap();
    read_answers(stream, "HTTP/1.1 200", 1).await;
}

async fn arrived(setup: &Setup, count: usize) {
    if setup.sentry.received().len() < count {
        setup.sentry.wait_for("them", |_| setup.sentry.received().len() >= count).await;
    }
}

#[tokio::test]
async fn idle_clients_leave_descriptors_to_upstream() {
    let setup = with_descriptors(64).await;
    // A client that is in the middle of a request is not cut for others.
    let mut busy = connect(setup.address).await;
    let (start, end) = ENVELOPE.split_at(40);
    let head = format!("{}Content-Length: {}\r\n\r\n{start}", post(), ENVELOPE.len());
    busy.write_all(head.as_bytes()).await.unwrap();
    let mut idle = Vec::new();
    for n in 0..200 {
        let mut stream = connect(setup.address).await;
        if n % 3 == 0 {
            event(&mut stream).await;
        }
        idle.push(stream);
    }
    let mut last = connect(setup.address).await;
    event(&mut last).await;
    busy.write_all(end.as_bytes()).await.unwrap();
    read_answers(&mut busy, "HTTP/1.1 200", 1).await;
    arrived(&setup, 69).await;
    // The clients that came last are still connected, and those that came first were closed in order.
    event(idle.last_mut().unwrap()).await;
    let mut byte = [0];
    assert!(matches!(idle[0].read(&mut byte).await, Ok(0) | Err(_)));
    arrived(&setup, 70).await;
    setup.finish(70).await;
}

#[tokio::test]
async fn waiting_for_a_descriptor_costs_no_cpu_time() {
    let setup = with_descriptors(40).await;
    let mut all = Vec::new();
    // All are in the middle of a body, so none is idle.
    for _ in 0..60 {
        let mut stream = connect(setup.address).await;
        stream.write_all(format!("{}Content-Length: 9999\r\n\r\n{{}}", post()).as_bytes()).await.unwrap();
        all.push(stream);
    }
    let mut last = connect(setup.address).await;
    last.write_all(whole().as_bytes()).await.unwrap();
    let before = cpu_time(setup.extension.pid());
    let begun = Instant::now();
    // Bodies that are silent are given up for it.
    read_answers(&mut last, "HTTP/1.1 200", 1).await;
    let spent = cpu_time(setup.extension.pid()).saturating_sub(before);
    eprintln!("it waited for {:?}, which took {spent:?} of CPU time", begun.elapsed());
    assert!(spent < Duration::from_secs(1), "{spent:?}");
    arrived(&setup, 1).await;
    setup.finish(1).await;
}

#[tokio::test]
async fn unfinished_heads_share_a_bound() {
    for length in [100, 60_000] {
        let setup = Setup::new(&[]).await;
        event(&mut connect(setup.address).await).await;
        let before = Memory::of(setup.extension.pid()).now;
        let mut heads = Vec::new();
        for _ in 0..900 {
            let mut stream = connect(setup.address).await;
            let head = format!("{}X-Long: {}", post(), "x".repeat(length));
            // It may be closed for another while it sends.
            let _ = stream.write_all(head.as_bytes()).await;
            heads.push(stream);
        }
        event(&mut connect(setup.address).await).await;
        let grown = Memory::of(setup.extension.pid()).most.saturating_sub(before);
        eprintln!("900 unfinished heads of {length} bytes: {} KiB more", grown / 1024);
        assert!(grown < 16 * MIB, "{grown}");
        // One whose turn it still is can be finished.
        let last = heads.last_mut().unwrap();
        last.write_all(format!("\r\nContent-Length: {}\r\n\r\n{ENVELOPE}", ENVELOPE.len()).as_bytes())
            .await
            .unwrap();
        read_answers(last, "HTTP/1.1 200", 1).await;
        arrived(&setup, 3).await;
        setup.finish(3).await;
    }
}

/// The rest of the request is a body that never comes. The head stays in memory as long as it is awaited.
#[tokio::test]
async fn heads_that_wait_for_a_body_share_a_bound() {
    for expect in ["", "Expect: 100-continue\r\n"] {
        let setup = Setup::new(&[]).await;
        event(&mut connect(setup.address).await).await;
        let before = Memory::of(setup.extension.pid()).now;
        let mut heads = Vec::new();
        for _ in 0..900 {
            let mut stream = connect(setup.address).await;
            let long = "x".repeat(60_000);
            let head = format!("{}X-Long: {long}\r\n{expect}Content-Length: 10\r\n\r\n", post());
            // It may be refused while it sends.
            let _ = stream.write_all(head.as_bytes()).await;
            heads.push(stream);
        }
        event(&mut connect(setup.address).await).await;
        let grown = Memory::of(setup.extension.pid()).most.saturating_sub(before);
        eprintln!("900 heads without their body: {} KiB more", grown / 1024);
        assert!(grown < 16 * MIB, "{grown}");
        arrived(&setup, 2).await;
        setup.finish(2).await;
    }
}

/// A client that sends head and body by themselves, and does not switch Nagle's algorithm off, sends the body when the
/// head is acknowledged. By itself the system waits for 40 ms with that.
#[tokio::test]
async fn a_head_is_acknowledged_at_once() {
    let setup = Setup::new(&[]).await;
    let mut stream = connect(setup.address).await;
    stream.set_nodelay(false).unwrap();
    let mut took = Vec::new();
    for n in 0..60 {
        let begun = Instant::now();
        let head = format!("{}Content-Length: {}\r\n\r\n", post(), ENVELOPE.len());
        stream.write_all(head.as_bytes()).await.unwrap();
        stream.write_all(ENVELOPE.as_bytes()).await.unwrap();
        read_answers(&mut stream, "HTTP/1.1 200", 1).await;
        // A new connection is acknowledged at once in any case.
        if n >= 30 {
            took.push(begun.elapsed());
        }
    }
    took.sort_unstable();
    // On a busy machine some take longer. With the delay of the system, hardly any is so short.
    assert!(took[7] < Duration::from_millis(35), "{took:?}");
    arrived(&setup, 60).await;
    setup.finish(60).await;
}
