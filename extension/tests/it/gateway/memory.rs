//! Tests how much memory clients can make the extension use. The kernel reports its peak of resident memory.

use super::clients::{connect, post, read_answers, whole};
use super::{ENVELOPE, SECOND, Setup, auth, gzip, zlib};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

const MIB: usize = 1 << 20;

/// Returns a value of `/proc/PID/status`, in bytes.
fn status(setup: &Setup, name: &str) -> usize {
    let status = std::fs::read_to_string(format!("/proc/{}/status", setup.extension.pid())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
    let kib: usize = line.trim_start_matches(':').trim().trim_end_matches(" kB").parse().unwrap();
    kib * 1024
}

/// The peak so far. The kernel adds it up from counters that lag behind, so that a later value can be a little smaller.
fn peak(setup: &Setup) -> usize {
    status(setup, "VmHWM")
}

/// Starts an extension and sends one request, so that the code and buffers of any request are already in memory.
async fn warmed_up(env: super::Headers<'_>) -> Setup {
    let setup = Setup::new(env).await;
    assert_eq!(setup.post("/api/42/envelope/", &[("x-sentry-auth", &auth())], ENVELOPE).await.status, 200);
    setup.arrives("event").await;
    setup
}

/// Makes a Zstandard frame with this number of blocks of 128 KiB of blanks, and a window of 2^`window` bytes.
fn zstd_bomb(blocks: usize, window: u8) -> Vec<u8> {
    let mut frame = vec![0x28, 0xb5, 0x2f, 0xfd, 0x00, (window - 10) << 3];
    for block in 0..blocks {
        let last = u32::from(block + 1 == blocks);
        // An RLE block contains one byte, and repeats it as often as its size says.
        let header = last | (1 << 1) | ((128 * 1024) << 3);
        frame.extend(&header.to_le_bytes()[..3]);
        frame.push(b' ');
    }
    frame
}

#[tokio::test]
async fn decompression_bombs_cost_no_memory() {
    let setup = warmed_up(&[("SENTRY_EXTENSION_MAX_BODY", "1MiB")]).await;
    let before = peak(&setup);
    let plain = vec![b' '; 64 * MIB];
    let envelope = [b"{}\n{\"type\":\"x\"}\n".to_vec(), plain.clone()].concat();
    let auth = auth();
    for (encoding, bomb, status) in [
        ("gzip", gzip(&envelope), 413),
        ("deflate", zlib(&envelope), 413),
        // The envelope header is longer than allowed. This must be found out without holding it.
        ("zstd", zstd_bomb(512, 20), 400),
        // The frame asks for a window of 1 GiB.
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
    let grown = peak(&setup).saturating_sub(before);
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
        let setup = warmed_up(&[("SENTRY_EXTENSION_MAX_BODY", limit)]).await;
        let before = peak(&setup);
        let mut stream = connect(setup.address).await;
        send_chunks(&mut stream, 200).await;
        read_answers(&mut stream, "HTTP/1.1 413", 1).await;
        let grown = peak(&setup).saturating_sub(before);
        assert!(grown < most, "{grown} bytes with a limit of {limit}");
        setup.finish(1).await;
    }
}

#[tokio::test]
async fn concurrent_bodies_wait_for_memory() {
    const BODY: usize = MIB;
    let setup = warmed_up(&[("SENTRY_EXTENSION_BUFFER", "4MiB")]).await;
    let before = peak(&setup);
    let body = [b"{}\n{\"type\":\"x\"}\n".to_vec(), vec![b'x'; BODY]].concat();
    let mut clients = Vec::new();
    for at in 0..32 {
        let (address, body) = (setup.address, body.clone());
        clients.push(tokio::spawn(async move {
            let mut stream = connect(address).await;
            // Half of the bodies do not announce their length.
            let chunked = at % 2 == 0;
            let head = if chunked {
                format!("{}Transfer-Encoding: chunked\r\n\r\n{:x}\r\n", post(), body.len())
            } else {
                format!("{}Content-Length: {}\r\n\r\n", post(), body.len())
            };
            let (start, end) = body.split_at(body.len() - 1000);
            stream.write_all(head.as_bytes()).await.unwrap();
            stream.write_all(start).await.unwrap();
            // All bodies are begun before any of them continues.
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
    // Small bodies are still accepted.
    assert_eq!(setup.post("/api/42/envelope/", &[("x-sentry-auth", &auth())], ENVELOPE).await.status, 200);
    for client in clients {
        assert_eq!(client.await.unwrap(), "HTTP/1.1 200");
    }
    let grown = peak(&setup).saturating_sub(before);
    // The queue may hold as much again, and each connection has a read buffer.
    assert!(grown < 16 * MIB, "{grown} bytes");
    setup.extension.terminate();
    let counts = setup.extension.final_counts().await;
    assert_eq!(counts[0], 34);
}

#[tokio::test]
async fn a_thousand_idle_connections() {
    let setup = warmed_up(&[]).await;
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
