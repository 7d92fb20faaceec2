//! Tests what the extension says about the requests that it refuses itself: one warning for each kind, and a count.

use super::{ENVELOPE, Headers, KEY, auth, send};
use crate::support::{HANG, extension::Extension, log::Log};
use hyper::Method;
use serde_json::Value;
use std::net::SocketAddr;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Starts an extension that knows no upstream.
async fn without_upstream(level: &str) -> (Extension, SocketAddr) {
    let args = ["--standalone", "--listen", "127.0.0.1:0"];
    let env = [("SENTRY_EXTENSION_LOG", level)];
    let extension = Extension::start(crate::support::extension::BINARY, &args, &env);
    let line: Value = serde_json::from_str(&extension.log.wait_for("\"listening\"").await).unwrap();
    (extension, line["addr"].as_str().unwrap().parse().unwrap())
}

async fn finish(extension: Extension) -> (Vec<Value>, Value, Log) {
    extension.terminate();
    let (_, log) = extension.ended().await;
    let lines: Vec<Value> =
        log.text().lines().map(|line| serde_json::from_str(line).expect("a line is not JSON")).collect();
    let last = lines.iter().find(|line| line["message"] == "envelopes").unwrap().clone();
    (lines, last, log)
}

/// Sends bytes, and returns all that comes back.
async fn raw(to: SocketAddr, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(to).await.unwrap();
    stream.write_all(bytes).await.unwrap();
    let mut answer = Vec::new();
    // A reset ends the connection as well.
    let _ = tokio::time::timeout(HANG, stream.read_to_end(&mut answer)).await.expect("no end");
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test]
async fn each_kind_is_warned_of_once_and_all_are_counted() {
    let (extension, address) = without_upstream("info").await;
    let auth = auth();
    let signed = [("x-sentry-auth", &*auth)];
    let json = [("x-sentry-auth", &*auth), ("content-type", "application/json")];
    let encoded = [("x-sentry-auth", &*auth), ("content-encoding", "lzma")];
    let large = "x".repeat((1 << 20) + 1);
    let cases: [(u16, &str, Method, &str, Headers<'_>, &str); 10] = [
        (403, "no_upstream", Method::POST, "/api/42/envelope/", &signed, ENVELOPE),
        (401, "authentication", Method::POST, "/api/42/store/", &[], "{}"),
        (400, "authentication", Method::POST, "/api/42/cron/nightly/short", &[], ""),
        (404, "path", Method::POST, "/nowhere", &signed, ENVELOPE),
        (400, "path", Method::GET, "/api/relay/healthcheck/odd/", &[], ""),
        (405, "method", Method::PUT, "/envelope", &[], ENVELOPE),
        (400, "invalid", Method::POST, "/api/42/envelope/", &signed, "nonsense"),
        (422, "invalid", Method::POST, "/api/42/cron/nightly", &json, "{}"),
        (413, "too_large", Method::POST, "/api/42/store/", &signed, &large),
        (415, "unsupported", Method::POST, "/api/42/envelope/", &encoded, ENVELOPE),
    ];
    for (status, _, method, path, headers, body) in &cases {
        for _ in 0..3 {
            let answer = send(address, method.clone(), path, headers, body.to_string()).await;
            assert_eq!(answer.status, *status, "{path}: {}", answer.body);
        }
    }
    // An SDK with https in its DSN begins with TLS.
    for _ in 0..3 {
        raw(address, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03").await;
    }
    let huge = format!("POST /envelope HTTP/1.1\r\nHost: x\r\nX-Huge: {}\r\n\r\n", "x".repeat(200 * 1024));
    assert!(!raw(address, huge.as_bytes()).await.contains(" 200 "));
    let (lines, last, log) = finish(extension).await;
    for (status, reason, _, path, ..) in &cases {
        let of_kind: Vec<_> =
            lines.iter().filter(|line| line["status"] == *status && line["reason"] == **reason).collect();
        assert_eq!(of_kind.len(), 1, "{path}: {}", log.text());
        assert_eq!(of_kind[0]["level"], "warn");
        assert_ne!(of_kind[0]["why"], "", "{path}");
    }
    let not_http = lines.iter().filter(|line| line["reason"] == "not_http");
    assert_eq!(not_http.count(), 1, "{}", log.text());
    assert_eq!((&last["refused"], &last["level"]), (&34.into(), &"warn".into()), "{last}");
    assert_eq!((&last["accepted"], &last["rejected"]), (&0.into(), &0.into()), "{last}");
    let reasons = "refused_no_upstream=3 refused_authentication=6 refused_path=6 refused_method=3 refused_invalid=6 \
        refused_too_large=3 refused_unsupported=3 refused_not_http=4";
    assert_eq!(last["reasons"], reasons);
    assert!(!log.contains(KEY), "{}", log.text());
}

#[tokio::test]
async fn hosts_without_end_are_not_warned_of_without_end() {
    let (extension, address) = without_upstream("info").await;
    for n in 0..100 {
        let body = ENVELOPE.replacen('{', &format!("{{\"dsn\":\"https://{KEY}@{n}.example/42\","), 1);
        assert_eq!(send(address, Method::POST, "/envelope", &[], body).await.status, 403);
    }
    // Other kinds are warned of nevertheless.
    assert_eq!(send(address, Method::POST, "/nowhere", &[], "").await.status, 404);
    let (lines, last, _) = finish(extension).await;
    let warnings = |reason: &str| lines.iter().filter(|line| line["reason"] == reason).count();
    assert_eq!((warnings("host_not_allowed"), warnings("path")), (32, 1));
    assert_eq!(last["refused"], 101);
}

/// Puts a text where each route's parser quotes it in its error.
fn quoting(text: &str) -> Vec<(&'static str, &'static str, String)> {
    let json = serde_json::Value::from(text);
    let (envelope, cron) = ("/api/42/envelope/", "/api/42/cron/nightly");
    vec![
        (envelope, "", format!("{json}\n{{}}\n")),
        (envelope, "", format!("{{}}\n{{\"type\":\"log\",\"length\":{json}}}\n")),
        (envelope, "", format!("{{}}\n{{\"type\":\"log\",\"item_count\":{json}}}\n")),
        (envelope, "", format!("{{}}\n{json}\n")),
        (envelope, "", format!("{{\"dsn\":[{json}]}}\n{{}}\n")),
        (envelope, "", format!("{{\"event_id\":{json}}}\n{{\"type\":\"log\"}}\n")),
        (envelope, "", format!("{{\"dsn\":{json}}}\n{{\"type\":\"log\"}}\n")),
        (cron, "application/json", format!("{{\"status\":\"ok\",\"duration\":{json}}}")),
        (cron, "application/json", json.to_string()),
        (cron, "application/json", format!("{{\"status\":\"ok\",\"contexts\":{json}}}")),
        (cron, "application/json", format!("{{\"status\":\"ok\",\"check_in_id\":{json}}}")),
        ("/api/42/store/", "application/json", format!("{{\"event_id\":{{}},\"x\":{json}}}")),
        ("/api/42/store/", "application/json", json.to_string()),
    ]
}

#[tokio::test]
async fn what_an_error_quotes_is_cut_and_names_no_key() {
    let (extension, address) = without_upstream("debug").await;
    let auth = auth();
    let mut quoted = 0;
    for text in [
        format!("https://{KEY}@o1.example/42"),
        format!("https://{KEY}:{KEY}@x.example/42"),
        format!("/api/42/envelope/?sentry_key={KEY}"),
        KEY.to_owned(),
        format!("https://{KEY}.example/42"),
        format!("{}{KEY}{}", " ".repeat(190), " ".repeat(500)),
        format!("{}{KEY}", "x ".repeat(400_000)),
        "y".repeat(1_000_000),
    ] {
        for (path, kind, body) in quoting(&text) {
            let headers = [("x-sentry-auth", &*auth), ("content-type", kind)];
            for headers in [&headers[..], &headers[1..]] {
                let answer = send(address, Method::POST, path, headers, body.clone()).await;
                assert!((400..500).contains(&answer.status), "{path} {:.80}: {}", body, answer.body);
                assert!(answer.body.len() < 2000, "{} bytes for {path}", answer.body.len());
                assert!(!answer.body.contains(&KEY[..8]), "{path}: {}", answer.body);
                quoted += usize::from(answer.body.contains("invalid type: string"));
            }
        }
    }
    // A host stands in the log, too.
    for host in [format!("{KEY}.example"), format!("{KEY}@localhost"), format!("https://{KEY}@localhost")] {
        let request = format!("GET /api/0/x/ HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
        let answer = raw(address, request.as_bytes()).await;
        assert!(answer.starts_with("HTTP/1.1 421") && !answer.contains(&KEY[..8]), "{answer}");
    }
    assert!(quoted > 20, "only {quoted} errors quote anything");
    let (_, _, log) = finish(extension).await;
    assert!(!log.contains(&KEY[..8]), "{}", log.text());
    assert!(log.text().lines().all(|line| line.len() < 2000), "a line is too long");
}
