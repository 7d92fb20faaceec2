//! Bodies that arrive slowly or announce more than they send: they take memory only for what has arrived, and keep
//! nobody waiting.

use crate::gateway::clients::{connect, post, read_answers};
use crate::gateway::{ENVELOPE, Setup, auth};
use crate::support::{
    HANG,
    memory::{Memory, cpu_time},
};
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

const MIB: usize = 1 << 20;
const FUNCTION: &[(&str, &str)] = &[("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "128")];

fn chunk(length: usize) -> Vec<u8> {
    [format!("{length:x}\r\n").as_bytes(), &vec![b' '; length], b"\r\n"].concat()
}

/// Begins a request with a body of unknown length, and stops in the middle.
async fn stuck(setup: &Setup, length: usize) -> TcpStream {
    let mut stream = connect(setup.address).await;
    let head = format!("{}Transfer-Encoding: chunked\r\n\r\n", post());
    stream.write_all(&[head.as_bytes(), &chunk(length)].concat()).await.unwrap();
    stream
}

/// Sends an event whose body comes in two pieces, so that it needs memory of the budget.
async fn event_in_pieces(setup: &Setup) -> Duration {
    let begun = std::time::Instant::now();
    let mut stream = connect(setup.address).await;
    let (start, end) = ENVELOPE.split_at(40);
    let head = format!("{}Content-Length: {}\r\n\r\n{start}", post(), ENVELOPE.len());
    stream.write_all(head.as_bytes()).await.unwrap();
    sleep(Duration::from_millis(20)).await;
    stream.write_all(end.as_bytes()).await.unwrap();
    timeout(HANG, read_answers(&mut stream, "HTTP/1.1 200", 1)).await.unwrap();
    begun.elapsed()
}

/// The time that a body waits for memory that does not come.
const WAIT: Duration = Duration::from_secs(25);

#[tokio::test]
async fn stuck_bodies_keep_nobody_waiting() {
    for length in [100, 16_000, 60_000, 300_000] {
        let setup = Setup::new(FUNCTION).await;
        let mut all = Vec::new();
        for _ in 0..200 {
            all.push(stuck(&setup, length).await);
        }
        let took = event_in_pieces(&setup).await;
        eprintln!("an event beside 200 stuck bodies of {length} bytes: {took:?}");
        assert!(took < WAIT, "it waited for bodies of {length} bytes: {took:?}");
        let most = Memory::of(setup.extension.pid());
        eprintln!("memory: {} KiB", most.most / 1024);
        setup.finish(1).await;
    }
}

/// Waits until the extension has so much memory. Until it reads them, the kernel keeps the bytes that were sent to it.
async fn has_taken(setup: &Setup, bytes: usize) {
    let taking = async {
        // The memory has to be polled, because the kernel gives no event when it grows.
        while Memory::of(setup.extension.pid()).now < bytes {
            sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(HANG, taking).await.expect("the extension has not read what was sent");
}

#[tokio::test]
async fn a_client_that_trickles_a_large_body_keeps_no_large_body_waiting() {
    for chunked in [true, false] {
        let setup = Setup::new(FUNCTION).await;
        let mut slow = connect(setup.address).await;
        let before = Memory::of(setup.extension.pid()).now;
        let framing = if chunked { "Transfer-Encoding: chunked" } else { "Content-Length: 7000000" };
        slow.write_all(format!("{}{framing}\r\n\r\n", post()).as_bytes()).await.unwrap();
        slow.write_all(&if chunked { chunk(3 * MIB) } else { vec![b' '; 3 * MIB] }).await.unwrap();
        has_taken(&setup, before + 3 * MIB).await;
        let trickling = async {
            while slow.write_all(if chunked { b"1\r\n \r\n" } else { b" " }).await.is_ok() {
                sleep(Duration::from_millis(100)).await;
            }
        };
        let others = async {
            let body = format!("{{}}\n{{\"type\":\"x\"}}\n{}", "x".repeat(5 * MIB));
            for sent in 1..=3 {
                let answer =
                    setup.post("/api/42/envelope/", &[("x-sentry-auth", &auth())], body.clone()).await;
                assert_eq!(answer.status, 200, "{}", answer.body);
                setup.sentry.wait_for("it", |_| setup.sentry.received().len() == sent).await;
            }
        };
        tokio::select! { () = others => {}, () = async { trickling.await; std::future::pending().await } => {} }
        setup.finish(3).await;
    }
}

#[tokio::test]
async fn an_announced_length_takes_no_memory() {
    let settings = [("SENTRY_EXTENSION_MAX_BODY", "100000GiB"), ("SENTRY_EXTENSION_BUFFER", "100000GiB")];
    let mut setup = Setup::new(&settings).await;
    let before = Memory::of(setup.extension.pid());
    let mut announced = Vec::new();
    for length in [60_000_000_000_u64, 90_000_000_000_000] {
        let mut stream = connect(setup.address).await;
        let head = format!("{}Content-Length: {length}\r\n\r\n{{}}", post());
        stream.write_all(head.as_bytes()).await.unwrap();
        announced.push(stream);
    }
    event_in_pieces(&setup).await;
    assert!(!setup.extension.has_ended());
    let grown = Memory::of(setup.extension.pid()).most - before.most;
    assert!(grown < 4 * MIB, "{grown}");
    setup.finish(1).await;
}

#[tokio::test]
async fn the_buffer_is_bounded_by_the_functions_memory() {
    let settings =
        [FUNCTION[0], ("SENTRY_EXTENSION_MAX_BODY", "100GiB"), ("SENTRY_EXTENSION_BUFFER", "100GiB")];
    let setup = Setup::new(&settings).await;
    setup.extension.log.wait_for("SENTRY_EXTENSION_BUFFER is more than half").await;
    let mut stream = connect(setup.address).await;
    let head = format!("{}Content-Length: 68000000\r\n\r\n", post());
    stream.write_all(head.as_bytes()).await.unwrap();
    read_answers(&mut stream, "HTTP/1.1 413", 1).await;
    setup.finish(0).await;
}

/// A body in chunks of this length at most.
fn chunked(body: &str, length: usize) -> Vec<u8> {
    let size = |piece: &[u8]| format!("{:x}\r\n", piece.len());
    let chunk = |piece: &[u8]| [size(piece).as_bytes(), piece, b"\r\n"].concat();
    let mut body: Vec<u8> = body.as_bytes().chunks(length).flat_map(chunk).collect();
    body.extend(b"0\r\n\r\n");
    body
}

/// Each chunk costs as much work as one of some kilobytes. Two million of one byte would keep the extension busy for
/// seconds.
#[tokio::test]
async fn a_body_in_single_bytes_is_refused_before_it_costs_time() {
    let setup = Setup::new(FUNCTION).await;
    let head = format!("{}Transfer-Encoding: chunked\r\n\r\n", post());
    let large = ENVELOPE.replace("\n{}\n", &format!("\n{{\"message\":\"{}\"}}\n", "x".repeat(900_000)));
    let pid = setup.extension.pid();
    let begun = cpu_time(pid);
    // Short bodies may come in single bytes, and larger ones in small pieces.
    for (body, status) in [
        (chunked(&large, 1), "HTTP/1.1 400"),
        (chunked(ENVELOPE, 1), "HTTP/1.1 200"),
        (chunked(&large, 64), "HTTP/1.1 200"),
    ] {
        let mut stream = connect(setup.address).await;
        // The extension may close the connection before it has everything.
        let _ = stream.write_all(&[head.as_bytes(), &body].concat()).await;
        timeout(HANG, read_answers(&mut stream, status, 1)).await.unwrap();
    }
    eprintln!("bodies in small pieces: {:?} of CPU time", cpu_time(pid).saturating_sub(begun));
    setup.finish(2).await;
}
