//! Tests requests that are not envelopes. They are forwarded while the client waits, or queued without changes.

use super::{Headers, KEY, auth, gzip, recorder::Recorder, send};
use crate::support::{HANG, extension::Extension};
use hyper::Method;
use std::net::SocketAddr;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

async fn start(env: Headers<'_>) -> (Recorder, Extension, SocketAddr) {
    let recorder = Recorder::start().await;
    let (extension, address) = Extension::standalone(&format!("{}/prefix/", recorder.url), env).await;
    (recorder, extension, address)
}

async fn finish(extension: Extension, envelopes: u64) {
    extension.terminate();
    assert_eq!(extension.final_counts().await, [envelopes, envelopes, 0, 0]);
}

#[tokio::test]
async fn other_requests_are_forwarded_to_upstream() {
    let (recorder, extension, address) = start(&[]).await;
    let body = gzip(b"content");
    let headers = [
        ("content-encoding", "gzip"),
        ("content-type", "application/octet-stream"),
        ("authorization", "Bearer token"),
        ("accept-encoding", "gzip"),
        ("connection", "close, x-hop"),
        ("x-hop", "1"),
        ("te", "trailers"),
        ("x-forwarded-for", "203.0.113.7"),
        ("cookie", "a=1"),
        ("x-own", "kept"),
    ];
    let answer = send(address, Method::PUT, "//api/0//teapot/?q=//a%20b", &headers, body.clone()).await;
    assert_eq!((answer.status, &*answer.body), (418, "from upstream"));
    assert_eq!((answer.header("content-type"), answer.header("x-own")), ("text/x-own", "1"));
    assert_eq!(answer.headers.get_all("set-cookie").iter().count(), 2);
    assert!(!answer.headers.contains_key("keep-alive"));

    let got = recorder.arrived(1).await;
    assert_eq!((got.method, &*got.path), (Method::PUT, "/prefix/api/0/teapot/?q=//a%20b"));
    assert_eq!(got.body, body);
    for (name, value) in [
        ("content-encoding", Some("gzip")),
        ("content-type", Some("application/octet-stream")),
        ("authorization", Some("Bearer token")),
        ("accept-encoding", Some("gzip")),
        ("x-own", Some("kept")),
        ("x-forwarded-for", Some("203.0.113.7")),
        ("cookie", None),
        ("host", Some(recorder.url.strip_prefix("http://").unwrap())),
        ("x-hop", None),
        ("te", None),
        ("connection", None),
    ] {
        assert_eq!(got.headers.get(name).map(|v| v.to_str().unwrap()), value, "{name}");
    }

    for (at, (method, path)) in [
        (Method::GET, "/api/foo"),
        (Method::HEAD, "/api/foo/bar"),
        (Method::DELETE, "/api/42/nonsense/"),
        (Method::POST, "/api/0/relays/projectconfigs/?version=3"),
    ]
    .into_iter()
    .enumerate()
    {
        let answer = send(address, method.clone(), path, &[], "").await;
        assert_eq!(answer.status, 200, "{path}");
        let got = recorder.arrived(at + 2).await;
        assert_eq!((got.method, got.path), (method, format!("/prefix{path}")));
    }
    finish(extension, 0).await;
}

#[tokio::test]
async fn forwarding_is_bounded_in_size_and_time() {
    let (recorder, extension, address) = start(&[("SENTRY_EXTENSION_TIMEOUT", "300ms")]).await;
    let large = vec![b'x'; (20 << 20) + 1];
    let zipped = [("content-encoding", "gzip")];
    let upload = "/api/0/upload/";
    assert_eq!(send(address, Method::POST, upload, &zipped, gzip(&large)).await.status, 413);
    assert_eq!(send(address, Method::POST, upload, &[], large).await.status, 413);
    assert_eq!(send(address, Method::POST, upload, &zipped, "no gzip").await.status, 400);
    assert_eq!(send(address, Method::POST, upload, &[("content-encoding", "x")], "").await.status, 415);
    recorder.answers(false);
    assert_eq!(send(address, Method::GET, "/api/0/slow/", &[], "").await.status, 504);
    drop(recorder);
    let answer = send(address, Method::GET, "/api/0/gone/", &[], "").await;
    assert_eq!(answer.status, 502);
    assert!(answer.body.contains("error while forwarding request"), "{}", answer.body);
    finish(extension, 0).await;
}

#[tokio::test]
async fn telemetry_in_other_formats_is_queued_without_changes() {
    let (recorder, extension, address) = start(&[]).await;
    let auth = auth();
    // The function does not wait for upstream, which would have to answer first.
    recorder.answers(false);
    let protobuf = b"\x0a\x00\xff\xfe".to_vec();
    let cases: [(&str, &str, &str, Vec<u8>); 5] = [
        ("/api/42/integration/otlp/v1/traces", "application/x-protobuf", "", protobuf.clone()),
        ("/api/42/integration/otlp/v1/logs/?x=y", "application/x-protobuf", "gzip", gzip(&protobuf)),
        ("/api/42/integration/otlp/v1/logs", "application/json", "", b"{\"resourceLogs\":[]}".to_vec()),
        ("/api/42/nel/", "application/reports+json", "", b"[]".to_vec()),
        ("/api/store/", "application/json", "", b"{}".to_vec()),
    ];
    for (path, content_type, encoding, body) in &cases {
        let headers = [
            ("x-sentry-auth", &*auth),
            ("content-type", content_type),
            ("content-encoding", encoding),
            ("x-own", "kept"),
        ];
        let answer = send(address, Method::POST, path, &headers, body.clone()).await;
        let is_protobuf = *content_type == "application/x-protobuf";
        let expected = if is_protobuf { (200, "") } else { (200, "{}") };
        assert_eq!((answer.status, &*answer.body), expected, "{path}");
        assert_eq!(is_protobuf, answer.header("content-type") == "application/x-protobuf");
    }
    recorder.answers(true);
    let mut got = Vec::new();
    for at in 1..=cases.len() {
        got.push(recorder.arrived(at).await);
    }
    for (path, content_type, encoding, body) in cases {
        let one = got.iter().find(|one| one.path == format!("/prefix{path}")).expect(path);
        assert_eq!(one.body, body, "{path}");
        for (name, value) in [
            ("x-sentry-auth", &*auth),
            ("content-type", content_type),
            ("content-encoding", encoding),
            ("x-own", "kept"),
        ] {
            assert_eq!(one.headers[name], value, "{path}");
        }
    }
    finish(extension, 5).await;
}

#[tokio::test]
async fn telemetry_without_a_known_sender_is_forwarded_to_upstream() {
    let (recorder, extension, address) = start(&[]).await;
    let path = "/api/42/integration/otlp/v1/traces?teapot";
    let answer = send(address, Method::POST, path, &[("authorization", "Bearer x")], "body").await;
    assert_eq!((answer.status, &*answer.body), (418, "from upstream"));
    let by_query = format!("/api/42/integration/otlp/v1/logs?sentry_key={KEY}");
    assert_eq!(send(address, Method::POST, &by_query, &[], "body").await.body, "{}");
    assert_eq!(recorder.arrived(2).await.path, format!("/prefix{by_query}"));
    finish(extension, 1).await;
}

#[tokio::test]
async fn paths_that_lead_out_of_the_api_are_refused() {
    let (recorder, extension, address) = start(&[]).await;
    for path in [
        "/api/0/../../admin/",
        "/api/0/..",
        "/api/./0/",
        "/api/0/%2e%2e/%2E%2e/admin/",
        "/api/0/.%2e/admin/",
        "/api/0/x%2f..%2f..%2fadmin/",
        "/api/0/%252e%252e/admin/",
        "/api/0/..;x/admin/",
        "/api/0/..%5cadmin/",
        "//api//..//admin/?x=1",
        "/api/42/otlp/v1/traces/../../../x",
    ] {
        let answer = send(address, Method::GET, path, &[], "").await;
        assert_eq!(answer.status, 400, "{path}: {}", answer.body);
    }
    // Dots elsewhere are no segments of the path.
    assert_eq!(send(address, Method::GET, "/api/0/v1.0/..x/?q=/../", &[], "").await.status, 200);
    assert_eq!(recorder.arrived(1).await.path, "/prefix/api/0/v1.0/..x/?q=/../");
    finish(extension, 0).await;
}

/// Sends a request head, and returns the status of the response.
async fn status_of(to: SocketAddr, head: &str) -> u16 {
    let mut stream = super::clients::connect(to).await;
    stream.write_all(format!("{head}\r\n\r\n").as_bytes()).await.unwrap();
    let mut answer = [0; 12];
    tokio::time::timeout(HANG, stream.read_exact(&mut answer)).await.expect("no answer").unwrap();
    std::str::from_utf8(&answer[9..]).unwrap().parse().unwrap()
}

#[tokio::test]
async fn requests_for_other_hosts_are_not_forwarded() {
    let (recorder, extension, address) = start(&[]).await;
    let port = address.port();
    for (status, head) in [
        (200, "GET /api/0/x/ HTTP/1.1\r\nHost: localhost".to_owned()),
        (200, format!("GET /api/0/x/ HTTP/1.1\r\nHost: 127.0.0.1:{port}")),
        (200, format!("GET /api/0/x/ HTTP/1.1\r\nhost: [::1]:{port}")),
        (200, format!("GET http://localhost:{port}/api/0/x/ HTTP/1.1\r\nHost: localhost")),
        (200, "GET /api/0/x/ HTTP/1.0".to_owned()),
        (421, "GET /api/0/x/ HTTP/1.1\r\nHost: evil.example".to_owned()),
        (421, format!("GET /api/0/x/ HTTP/1.1\r\nHost: evil.example:{port}")),
        (421, "GET /api/0/x/ HTTP/1.1\r\nHost: localhost.evil.example".to_owned()),
        (421, "GET /api/0/x/ HTTP/1.1\r\nHost: localhost@evil.example".to_owned()),
        (421, "GET /api/0/x/ HTTP/1.1\r\nHost: 10.0.0.1".to_owned()),
        (421, "GET /api/0/x/ HTTP/1.1\r\nHost: l\u{f6}calhost".to_owned()),
        (421, "GET http://evil.example/api/0/x/ HTTP/1.1\r\nHost: localhost".to_owned()),
        (421, "GET http://localhost/api/0/x/ HTTP/1.1\r\nHost: evil.example".to_owned()),
        (400, "GET /api/0/x/ HTTP/1.1\r\nHost: localhost\r\nHost: evil.example".to_owned()),
        (400, "GET /api/0/x/ HTTP/1.1\r\nHost: localhost\r\nHost: localhost".to_owned()),
        (421, "POST /api/42/otlp/v1/traces HTTP/1.1\r\nHost: evil.example\r\nContent-Length: 0".to_owned()),
        (404, "CONNECT evil.example:443 HTTP/1.1\r\nHost: evil.example:443".to_owned()),
        (404, "OPTIONS * HTTP/1.1\r\nHost: localhost".to_owned()),
    ] {
        assert_eq!(status_of(address, &head).await, status, "{head}");
    }
    // Envelopes go to Sentry alone, and their sender sees nothing of Sentry's API. Some SDKs send odd hosts.
    let envelope = super::clients::whole().replace("Host: x", "Host: sentry.local");
    let mut stream = super::clients::connect(address).await;
    stream.write_all(envelope.as_bytes()).await.unwrap();
    super::clients::read_answers(&mut stream, "HTTP/1.1 200", 1).await;
    assert_eq!(recorder.arrived(6).await.path, "/prefix/api/42/envelope/");
    finish(extension, 1).await;
}
