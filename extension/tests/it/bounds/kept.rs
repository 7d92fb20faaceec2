//! Everything that is kept beside an envelope counts, and what can never be kept is refused at the door.

use crate::gateway::clients::{connect, read_answers};
use crate::gateway::{KEY, Setup, auth, gzip};
use crate::support::memory::Memory;
use tokio::io::AsyncWriteExt;

const MIB: usize = 1 << 20;
const BUFFER: usize = 4 * MIB;

/// A standalone extension whose upstream never answers.
async fn without_upstream(env: &[(&str, &str)]) -> Setup {
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let sentry = crate::support::sentry::Sentry::start(crate::support::sentry::Transport::Plain).await;
    let (extension, address) =
        crate::support::extension::Extension::standalone(&format!("http://{closed}"), env).await;
    Setup { extension, sentry, address }
}

/// Posts the same request many times over one connection. Each has to be accepted.
async fn post_many(setup: &Setup, request: &[u8], count: usize) {
    let mut stream = connect(setup.address).await;
    for _ in 0..count {
        stream.write_all(request).await.unwrap();
        read_answers(&mut stream, "HTTP/1.1 200", 1).await;
    }
}

fn request(path: &str, headers: &str, body: &[u8]) -> Vec<u8> {
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: x\r\nX-Sentry-Auth: Sentry sentry_key={KEY}\r\n\
         {headers}Content-Length: {}\r\n\r\n",
        body.len()
    );
    [head.as_bytes(), body].concat()
}

#[tokio::test]
async fn what_is_kept_beside_envelopes_counts() {
    const SMALL: &[u8] = b"{\"event_id\":\"f3d98fbd851e4cfeb5a6d4e45a253049\"}\n{\"type\":\"event\"}\n{}";
    let long = "x".repeat(60_000);
    let session = |n: usize| format!("{{\"type\":\"session\"}}\n{{\"sid\":\"{n}\"}}\n");
    let sessions = (0..100).map(session).collect::<Vec<_>>().concat();
    let sessions = gzip(format!("{{}}\n{sessions}").as_bytes());
    let headers = (0..90).map(|n| format!("X-Own-{n}: 1\r\n")).collect::<Vec<_>>().concat();
    for (what, request, count) in [
        ("a long User-Agent", request("/api/42/envelope/", &format!("User-Agent: {long}\r\n"), SMALL), 1000),
        (
            "a long Origin",
            request("/api/42/envelope/", &format!("Referer: http://a/{long}\r\n"), SMALL),
            1000,
        ),
        ("a long query", request(&format!("/api/42/otlp/v1/traces?{long}"), "", b"{}"), 1000),
        ("many headers", request("/api/42/otlp/v1/traces", &headers, b"{}"), 3000),
        ("many sessions", request("/api/42/envelope/", "Content-Encoding: gzip\r\n", &sessions), 3000),
    ] {
        let setup = without_upstream(&[("SENTRY_EXTENSION_BUFFER", "4MiB")]).await;
        post_many(&setup, &request, 3).await;
        let before = Memory::of(setup.extension.pid()).now;
        post_many(&setup, &request, count).await;
        let grown = Memory::of(setup.extension.pid()).most.saturating_sub(before);
        eprintln!("{what}: {} KiB more", grown / 1024);
        assert!(grown < BUFFER + 6 * MIB, "{what}: {grown} bytes");
        drop(setup);
    }
}

#[tokio::test]
async fn a_dsn_in_the_header_is_bounded() {
    let setup = Setup::new(&[]).await;
    let envelope = format!(
        "{{\"dsn\":\"https://{KEY}@sentry.io/{}/42\"}}\n{{\"type\":\"log\"}}\n[]",
        "x".repeat(60_000)
    );
    let answer = setup.post("/envelope", &[("content-encoding", "gzip")], gzip(envelope.as_bytes())).await;
    assert_eq!(answer.status, 401, "{}", answer.body);
    assert!(answer.body.contains("longer than 1024 bytes"), "{}", answer.body);
    setup.finish(0).await;
}

#[tokio::test]
async fn what_can_never_be_kept_is_refused() {
    let setup = Setup::new(&[("SENTRY_EXTENSION_BUFFER", "1MiB")]).await;
    let auth = auth();
    let long = "x".repeat(50_000);
    let body = |length: usize| {
        let header = "{\"event_id\":\"f3d98fbd851e4cfeb5a6d4e45a253049\"}\n{\"type\":\"x\"}\n";
        format!("{header}{}", "y".repeat(length - header.len()))
    };
    let mut accepted = 0;
    // What a large body takes is rounded up to pages.
    for missing in [0, 1, 500, 1000, 1023, 1500, 4000, 6000, 60_000] {
        for agent in ["sdk", &long] {
            let headers = [("x-sentry-auth", &*auth), ("user-agent", agent)];
            let answer = setup.post("/api/42/envelope/", &headers, body(MIB - missing)).await;
            match answer.status {
                200 => {
                    accepted += 1;
                    // It is delivered before the next comes, which would push it out.
                    setup.sentry.wait_for("all", |_| setup.sentry.received().len() == accepted).await;
                }
                413 => assert!(missing < 60_000, "{}", answer.body),
                other => panic!("{other} {}", answer.body),
            }
        }
    }
    assert_eq!(accepted, 3);
    // A request that is passed on as it is has headers that count, too.
    for (missing, agent) in [(0, "sdk"), (1000, "sdk"), (2000, &*long)] {
        let headers = [("x-sentry-auth", &*auth), ("user-agent", agent)];
        let answer = setup.post("/api/42/otlp/v1/traces", &headers, body(MIB - missing)).await;
        assert_eq!(answer.status, 413, "{missing}: {}", answer.body);
    }
    // An envelope that grows by its new id.
    let without_id = body(MIB - 1040).replace("\"event_id\":\"f3d98fbd851e4cfeb5a6d4e45a253049\"", "");
    let answer = setup.post("/api/42/envelope/", &[("x-sentry-auth", &*auth)], without_id).await;
    assert!([200, 413].contains(&answer.status));
    accepted += usize::from(answer.status == 200);
    setup.finish(accepted as u64).await;
}
