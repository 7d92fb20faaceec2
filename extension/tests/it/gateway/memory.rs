//! What clients can make the extension hold: its peak of resident memory, from the kernel.

use super::clients::{connect, post, read_answers, whole};
use super::{ENVELOPE, SECOND, Setup, auth, gzip, zlib};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

const MIB: usize = 1 << 20;

/// A line of `/proc/PID/status`, in bytes.
fn status(setup: &Setup, name: &str) -> usize {
    let status = std::fs::read_to_string(format!("/proc/{}/status", setup.extension.pid())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
    let kib: usize = line.trim_start_matches(':').trim().trim_end_matches(" kB").parse().unwrap();
    kib * 1024
}

fn peak(setup: &Setup) -> usize {
    status(setup, "VmHWM")
}

/// Warm: code and buffers that any request takes are there.
async fn warm(env: super::Headers<'_>) -> Setup {
    let setup = Setup::new(env).await;
    assert_eq!(setup.post("/api/42/envelope/", &[("x-sentry-auth", &auth())], ENVELOPE).await.status, 200);
    setup.arrives("event").await;
    setup
}

/// Zstd's frame of so many blocks of 128 KiB of blanks, with a window of 2^`window` bytes.
fn zstd_bomb(blocks: usize, window: u8) -> Vec<u8> {
    let mut frame = vec![0x28, 0xb5, 0x2f, 0xfd, 0x00, (window - 10) << 3];
    for block in 0..blocks {
        let last = u32::from(block + 1 == blocks);
        // A run: the byte, as often as the size says.
        let header = last | (1 << 1) | ((128 * 1024) << 3);
        frame.extend(&header.to_le_bytes()[..3]);
        frame.push(b' ');
    }
    frame
}

#[tokio::test]
async fn bombs_cost_nothing() {
    let setup = warm(&[("SENTRY_EXTENSION_MAX_BODY", "1MiB")]).await;
    let before = peak(&setup);
    let plain = vec![b' '; 64 * MIB];
    let envelope = [b"{}\n{\"type\":\"x\"}\n".to_vec(), plain.clone()].concat();
    let auth = auth();
    for (encoding, bomb, status) in [
        ("gzip", gzip(&envelope), 413),
        ("deflate", zlib(&envelope), 413),
        // A header longer than any; it is not held to find that out.
        ("zstd", zstd_bomb(512, 20), 400),
        // It asks for a window of 1 GiB.
        ("zstd", zstd_bomb(512, 30), 400),
    ] {
        for path in
            ["/api/42/envelope/", "/api/42/store/", "/api/42/unreal/5b0ff8a1e2c94d7fb7a3c1d2e4f60718/"]
        {
            let headers = [("x-sentry-auth", &*auth), ("content-encoding", encoding)];
            let headers = if path.contains("unreal") { &headers[1..] } else { &headers[..] };
            let answer = setup.post(path, headers, bomb.clone()).await;
            let expected = if path.contains("envelope") || bomb[5] == 0xa0 { status } else { 413 };
            assert_eq!(answer.status, expected, "{encoding} {path}: {}", answer.body);
        }
    }
    let grown = peak(&setup) - before;
    assert!(grown < 6 * MIB, "{grown} bytes");
    setup.finish(1).await;
}

/// Sends chunks of 1 MiB until all are sent or the connection ends.
async fn send_chunks(stream: &mut TcpStream, count: usize) {
    let chunk = [format!("{MIB:x}\r\n").into_bytes(), vec![b'x'; MIB], b"\r\n".to_vec()].concat();
    stream.write_all(format!("{}Transfer-Encoding: chunked\r\n\r\n", post()).as_bytes()).await.unwrap();
    for _ in 0..count {
        if stream.write_all(&chunk).await.is_err() {
            return;
        }
    }
    let _ = stream.write_all(b"0\r\n\r\n").await;
}

#[tokio::test]
async fn a_body_of_200_megabytes() {
    for (limit, most) in [("1MiB", 4 * MIB), ("20MiB", 26 * MIB)] {
        let setup = warm(&[("SENTRY_EXTENSION_MAX_BODY", limit)]).await;
        let before = peak(&setup);
        let mut stream = connect(setup.address).await;
        send_chunks(&mut stream, 200).await;
        read_answers(&mut stream, "HTTP/1.1 413", 1).await;
        let grown = peak(&setup) - before;
        assert!(grown < most, "{grown} bytes with a limit of {limit}");
        setup.finish(1).await;
    }
}

#[tokio::test]
async fn bodies_at_the_same_time_wait_for_room() {
    const BODY: usize = MIB;
    let setup = warm(&[("SENTRY_EXTENSION_BUFFER", "4MiB")]).await;
    let before = peak(&setup);
    let body = [b"{}\n{\"type\":\"x\"}\n".to_vec(), vec![b'x'; BODY]].concat();
    let mut clients = Vec::new();
    for at in 0..32 {
        let (address, body) = (setup.address, body.clone());
        clients.push(tokio::spawn(async move {
            let mut stream = connect(address).await;
            // Half of them do not say how long they are.
            let chunked = at % 2 == 0;
            let head = if chunked {
                format!("{}Transfer-Encoding: chunked\r\n\r\n{:x}\r\n", post(), body.len())
            } else {
                format!("{}Content-Length: {}\r\n\r\n", post(), body.len())
            };
            let (start, end) = body.split_at(body.len() - 1000);
            stream.write_all(head.as_bytes()).await.unwrap();
            stream.write_all(start).await.unwrap();
            // All have begun before any of them goes on.
            tokio::time::sleep(SECOND).await;
            stream.write_all(end).await.unwrap();
            if chunked {
                stream.write_all(b"\r\n0\r\n\r\n").await.unwrap();
            }
            let mut answer = [0; 12];
            stream.read_exact(&mut answer).await.unwrap();
            String::from_utf8_lossy(&answer).into_owned()
        }));
    }
    // Small ones pass.
    assert_eq!(setup.post("/api/42/envelope/", &[("x-sentry-auth", &auth())], ENVELOPE).await.status, 200);
    for client in clients {
        assert_eq!(client.await.unwrap(), "HTTP/1.1 200");
    }
    let grown = peak(&setup) - before;
    // The queue holds as much again, and each connection has a buffer to read into.
    assert!(grown < 16 * MIB, "{grown} bytes");
    setup.extension.terminate();
    let books = setup.extension.books().await;
    assert_eq!(books[0], 34);
}

#[tokio::test]
async fn a_thousand_idle_connections() {
    let setup = warm(&[]).await;
    let before = status(&setup, "VmRSS");
    let mut idle = Vec::new();
    for _ in 0..1000 {
        idle.push(connect(setup.address).await);
    }
    for stream in idle.iter_mut().step_by(10) {
        stream.write_all(whole().as_bytes()).await.unwrap();
        read_answers(stream, "HTTP/1.1 200", 1).await;
    }
    let grown = status(&setup, "VmRSS").saturating_sub(before);
    assert!(grown < 6 * MIB, "{grown} bytes");
    assert_eq!(setup.post("/api/42/envelope/", &[("x-sentry-auth", &auth())], ENVELOPE).await.status, 200);
    for stream in idle.iter_mut().step_by(7) {
        stream.write_all(whole().as_bytes()).await.unwrap();
        read_answers(stream, "HTTP/1.1 200", 1).await;
    }
    setup.finish(2 + 100 + 143).await;
}
