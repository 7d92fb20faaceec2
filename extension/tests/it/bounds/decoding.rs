//! Compressed bodies that cost the decoder time and give nothing. The extension has one thread, so that while it
//! decodes nobody else is answered.

use crate::gateway::{ENVELOPE, Setup, auth, gzip};
use crate::support::memory::cpu_time;

const SIZE: usize = 7 << 20;

/// Empty deflate blocks with fixed codes: three bits that say so, and seven for the end.
fn empty_blocks() -> Vec<u8> {
    let mut body = vec![0x78, 0x9c];
    // Four blocks have five bytes.
    let four: u64 = (0..4).map(|block| 0b010 << (10 * block)).sum();
    while body.len() < SIZE {
        body.extend(&four.to_le_bytes()[..5]);
    }
    body
}

#[tokio::test]
async fn bodies_that_decode_to_nothing_cost_no_time() {
    let setup = Setup::new(&[]).await;
    let auth = auth();
    let pid = setup.extension.pid();
    let member = gzip(b"");
    let frame = [0x28, 0xb5, 0x2f, 0xfd, 0x20, 0, 1, 0, 0];
    for (what, encoding, body) in [
        ("gzip members", "gzip", member.repeat(SIZE / member.len())),
        ("zstd frames", "zstd", frame.repeat(SIZE / frame.len())),
        ("deflate blocks", "deflate", empty_blocks()),
        // Metadata of no bytes, which a byte says.
        ("brotli blocks", "br", [vec![0x0c], vec![0x06; SIZE]].concat()),
    ] {
        for path in ["/api/42/envelope/", "/api/42/minidump/", "/api/0/forwarded/"] {
            let begun = cpu_time(pid);
            let headers = [("x-sentry-auth", &*auth), ("content-encoding", encoding)];
            let answer = setup.post(path, &headers, body.clone()).await;
            assert_eq!(answer.status, 400, "{what} {path}: {}", answer.body);
            assert!(answer.body.contains("too many"), "{what} {path}: {}", answer.body);
            eprintln!("{what} to {path}: {:?} of CPU time", cpu_time(pid).saturating_sub(begun));
        }
    }
    assert_eq!(setup.post("/api/42/envelope/", &[("x-sentry-auth", &auth)], ENVELOPE).await.status, 200);
    setup.finish(1).await;
}
