//! Tests requests that are rejected, and the errors that the client gets.

use super::{ENVELOPE, Headers, KEY, Setup, auth, base64, gzip, zlib};
use hyper::Method;

const ENVELOPES: &str = "/api/42/envelope/";

/// The expected status, the path, the headers and the body.
type Case<'a> = (u16, &'a str, Vec<(&'a str, &'a str)>, Vec<u8>);

/// Makes an envelope with one item.
fn item(header: &str, payload: usize) -> Vec<u8> {
    [format!("{{}}\n{header}\n").into_bytes(), vec![b' '; payload]].concat()
}

#[tokio::test]
async fn requests_without_valid_authentication_are_rejected() {
    let setup = Setup::new(&[]).await;
    let signed = auth();
    let basic = format!("Basic {}", base64(format!("{KEY}:")));
    let twice = format!("{ENVELOPES}?sentry_key={KEY}");
    let unreal = format!("/api/42/unreal/{KEY}/?sentry_key={KEY}");
    let bad = "bad sentry DSN public key";
    let malformed = "bad x-sentry-auth header";
    let multiple = "multiple authorization payloads detected";
    let missing = "missing authorization information";
    let project = "bad project path parameter";
    let cases: [(u16, &str, &str, Headers<'_>); 19] = [
        (401, "bad envelope authentication header", ENVELOPES, &[]),
        (401, "bad envelope authentication header", "/envelope", &[]),
        (401, missing, "/api/42/store/", &[]),
        (401, missing, "/api/42/security/", &[("content-type", "application/json")]),
        (401, missing, "/api/42/minidump", &[]),
        (401, missing, "/api/42/events/x/attachments/", &[]),
        (401, missing, "/api/42/cron/nightly", &[]),
        (401, multiple, &twice, &[("x-sentry-auth", &signed)]),
        (401, multiple, ENVELOPES, &[("x-sentry-auth", &signed), ("authorization", &signed)]),
        (401, multiple, ENVELOPES, &[("x-sentry-auth", &signed), ("authorization", &basic)]),
        (401, multiple, &unreal, &[]),
        (401, malformed, ENVELOPES, &[("x-sentry-auth", "Sentry sentry_version=7")]),
        (401, malformed, "/api/42/envelope/?sentry_version=7", &[]),
        (400, bad, ENVELOPES, &[("x-sentry-auth", "Sentry sentry_key=short")]),
        (400, bad, "/api/42/unreal/short/", &[]),
        (400, bad, "/api/42/cron/nightly/short", &[]),
        (400, project, "/api/abc/envelope/", &[("x-sentry-auth", &signed)]),
        (400, project, "/api/-1/store/", &[("x-sentry-auth", &signed)]),
        (400, project, "/api/abc/cron/nightly", &[]),
    ];
    for (status, detail, path, headers) in cases {
        let answer = setup.post(path, headers, ENVELOPE).await;
        assert_eq!(answer.status, status, "{path} {headers:?}: {}", answer.body);
        let error: serde_json::Value = serde_json::from_str(&answer.body).unwrap();
        assert_eq!(error["detail"], detail, "{path} {headers:?}");
    }
    let version = [("x-sentry-auth", &*format!("Sentry sentry_key={KEY}, sentry_version=8"))];
    let answer = setup.post(ENVELOPES, &version, ENVELOPE).await;
    assert_eq!((answer.status, &*answer.body), (400, "{\"detail\":\"unsupported protocol version (8)\"}"));
    setup.finish(0).await;
}

#[tokio::test]
async fn malformed_envelopes_are_rejected() {
    let setup = Setup::new(&[("SENTRY_EXTENSION_MAX_BODY", "2MiB")]).await;
    let auth = auth();
    let with_dsn = |dsn: String| ENVELOPE.replacen('{', &format!("{{\"dsn\":\"{dsn}\","), 1).into_bytes();
    let other = with_dsn("https://ffffffffffffffffffffffffffffffff@x.example/42".to_owned());
    let elsewhere = with_dsn(format!("https://{KEY}@x.example/43"));
    let bomb = gzip(&item("{\"type\":\"no such type\"}", 3 << 20));
    assert!(bomb.len() < 10_000);
    let many = [b"{}\n".to_vec(), b"{\"type\":\"span\"}\n{}\n".repeat(501)].concat();
    let invalid = "invalid event envelope";
    let size = |name| {
        format!(
            "envelope exceeded size limits for type '{name}' (https://develop.sentry.dev/sdk/envelopes/#size-limits)"
        )
    };
    let cases: Vec<(u16, &str, &str, Vec<u8>, String)> = vec![
        (400, "", "public key", other, invalid.into()),
        (400, "", "project id", elsewhere, invalid.into()),
        (400, "", "", vec![], "empty request body".into()),
        (400, "", "invalid envelope header", b"no json\n".to_vec(), invalid.into()),
        (
            400,
            "",
            "invalid envelope header",
            b"{\"event_id\":\"x\"}\n{\"type\":\"log\"}\n".to_vec(),
            invalid.into(),
        ),
        (400, "", "invalid item header", b"{}\n{\"length\":2}\n{}".to_vec(), invalid.into()),
        (
            400,
            "",
            "unexpected end of file",
            b"{}\n{\"type\":\"log\",\"length\":9}\n{}".to_vec(),
            invalid.into(),
        ),
        (400, "", "missing newline", b"{}\n{\"type\":\"log\",\"length\":1}\n{}".to_vec(), invalid.into()),
        (400, "", "more than 500 items", many, invalid.into()),
        (400, "gzip", "", ENVELOPE.into(), "failed to decode the request body".into()),
        (400, "br", "", ENVELOPE.into(), "failed to decode the request body".into()),
        (400, "zstd", "", ENVELOPE.into(), "failed to decode the request body".into()),
        (
            400,
            "deflate",
            "",
            zlib(ENVELOPE.as_bytes())[..20].into(),
            "failed to decode the request body".into(),
        ),
        (415, "lzma", "", ENVELOPE.into(), "unsupported content encoding".into()),
        (415, "GZIP", "", ENVELOPE.into(), "unsupported content encoding".into()),
        (415, "gzip, br", "", ENVELOPE.into(), "unsupported content encoding".into()),
        (413, "", "", item("{\"type\":\"no such type\"}", 3 << 20), "length limit exceeded".into()),
        (413, "gzip", "", bomb, "length limit exceeded".into()),
        (413, "", "", item("{\"type\":\"event\"}", (1 << 20) + 1), size("event")),
        (413, "", "", item("{\"type\":\"check_in\",\"length\":102401}", 102_401), size("check_in")),
        (
            413,
            "",
            "",
            [item("{\"type\":\"event\"}", 2), item("\n{\"type\":\"event\"}", 2)[3..].into()].concat(),
            size("event"),
        ),
    ];
    for (status, encoding, cause, body, detail) in cases {
        let start = String::from_utf8_lossy(&body[..body.len().min(60)]).into_owned();
        let headers = [("x-sentry-auth", &*auth), ("content-encoding", encoding)];
        let answer = setup.post(ENVELOPES, &headers, body).await;
        assert_eq!(answer.status, status, "{encoding} {start:?}: {}", answer.body);
        let error: serde_json::Value = serde_json::from_str(&answer.body).unwrap();
        assert_eq!(error["detail"], *detail, "{start:?}");
        let listed = error["causes"].to_string();
        assert!(listed.contains(cause), "{start:?}: {listed}");
    }
    setup.finish(0).await;
}

#[tokio::test]
async fn malformed_bodies_of_other_routes_are_rejected() {
    let setup = Setup::new(&[]).await;
    let auth = auth();
    let signed = ("x-sentry-auth", &*auth);
    let json = ("content-type", "application/json");
    let form = ("content-type", "multipart/form-data; boundary=x");
    let dump = ("content-type", "application/octet-stream");
    let large = || vec![b' '; (1 << 20) + 1];
    let no_dump =
        || b"--x\r\nContent-Disposition: form-data; name=\"a\"; filename=\"a\"\r\n\r\nMDMP\r\n--x--".to_vec();
    let key = format!("/api/42/unreal/{KEY}/");
    let security = "/api/42/security/";
    let attachments = "/api/42/events/f3d98fbd851e4cfeb5a6d4e45a253049/attachments/";
    let cases: Vec<Case<'_>> = vec![
        (400, "/api/42/store/", vec![signed], vec![]),
        (400, "/api/42/store/", vec![signed], b"{nonsense".to_vec()),
        (400, "/api/42/store/", vec![signed], b"{\"event_id\":\"nonsense\"}".to_vec()),
        (413, "/api/42/store/", vec![signed], large()),
        (413, "/api/42/store/", vec![signed, ("content-encoding", "gzip")], gzip(&large())),
        (400, security, vec![signed], b"{}".to_vec()),
        (400, security, vec![signed, json], vec![]),
        (413, security, vec![signed, json], large()),
        (415, security, vec![signed, ("content-type", "text/plain")], b"{}".to_vec()),
        (400, "/api/42/cron/nightly", vec![signed], vec![]),
        (400, "/api/42/cron/nightly", vec![signed, json], b"{".to_vec()),
        (422, "/api/42/cron/nightly", vec![signed, json], b"{}".to_vec()),
        (413, "/api/42/cron/nightly", vec![signed, json], large()),
        (400, "/api/42/minidump", vec![signed, dump], b"content".to_vec()),
        (400, "/api/42/minidump", vec![signed, dump], b"BZh91AY".to_vec()),
        (400, "/api/42/minidump", vec![signed], b"MDMP".to_vec()),
        (400, "/api/42/minidump", vec![signed, form], no_dump()),
        (400, "/api/42/minidump", vec![signed, form], b"--x\r\n".to_vec()),
        (400, &key, vec![], vec![]),
        (400, attachments, vec![signed, form], b"--x\r\nhalf".to_vec()),
        (400, "/api/42/events/x/attachments/", vec![signed, form], no_dump()),
        (404, "/", vec![signed], ENVELOPE.into()),
        (404, "/api/", vec![signed], ENVELOPE.into()),
        (404, "/anything/else", vec![signed], ENVELOPE.into()),
    ];
    for (status, path, headers, body) in cases {
        let answer = setup.post(path, &headers, body).await;
        assert_eq!(answer.status, status, "{path} {headers:?}: {}", answer.body);
        let error: serde_json::Value = serde_json::from_str(&answer.body).unwrap();
        assert!(error["detail"].as_str().is_some_and(|d| !d.is_empty()), "{}", answer.body);
    }
    setup.finish(0).await;
}

#[tokio::test]
async fn health_checks_are_answered_and_wrong_methods_rejected() {
    let setup = Setup::new(&[]).await;
    for (method, path, status) in [
        (Method::GET, "/api/relay/healthcheck/live/", 200),
        (Method::HEAD, "/api/relay/healthcheck/ready/", 200),
        (Method::GET, "//api//relay/healthcheck/ready/", 200),
        (Method::GET, "/api/0/relays/live/", 200),
        (Method::POST, "/api/0/relays/live/", 405),
        (Method::GET, "/api/relay/healthcheck/live", 404),
        (Method::GET, "/api/relay/healthcheck/odd/", 400),
        (Method::POST, "/api/relay/healthcheck/live/", 405),
        (Method::GET, "/api/relay/other/", 404),
        (Method::GET, "/envelope", 405),
        (Method::PUT, "/api/42/envelope/", 405),
        (Method::GET, "/api/42/minidump", 405),
        (Method::GET, "/api/42/security/", 405),
        (Method::DELETE, "/api/42/store/", 405),
        (Method::PUT, "/api/42/cron/nightly", 405),
    ] {
        let answer = setup.send(method.clone(), path, &[], "").await;
        assert_eq!(answer.status, status, "{method} {path}");
        assert_eq!(answer.headers.contains_key("allow"), status == 405, "{method} {path}");
    }
    setup.finish(0).await;
}
