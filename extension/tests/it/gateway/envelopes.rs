//! Tests envelopes: the forms of authentication and encoding, and what is sent upstream.

use super::{ENVELOPE, Headers, ID, KEY, Setup, auth, base64, gzip, zlib};
use crate::support::{HANG, sentry::Reply};

fn with_dsn(dsn: &str) -> String {
    ENVELOPE.replacen('{', &format!("{{\"dsn\":\"{dsn}\","), 1)
}

#[tokio::test]
async fn every_form_of_authentication_is_accepted() {
    let setup = Setup::new(&[]).await;
    let own = auth();
    let basic = format!("Basic {}", base64(format!("{KEY}:")));
    let flagged = format!("Sentry sentry_key={KEY}.no-cache, sentry_version=7.0");
    let query = format!("/api/42/envelope/?sentry_key={KEY}&sentry_version=7");
    let dsn = with_dsn(&format!("https://{KEY}@anywhere.example/42"));
    let cases: [(&str, Headers<'_>, &str); 10] = [
        ("/api/42/envelope/", &[("x-sentry-auth", &own)], ENVELOPE),
        ("/api/42/envelope/", &[("x-sentry-auth", &flagged)], ENVELOPE),
        ("/api/42/envelope", &[("authorization", &own)], ENVELOPE),
        ("//api/42//envelope/", &[("authorization", &basic)], ENVELOPE),
        (&query, &[("authorization", "Bearer something-else")], ENVELOPE),
        ("/envelope", &[], &dsn),
        ("/envelope/?x=y", &[], &dsn),
        ("/api/7/envelope/", &[("x-sentry-auth", "")], &dsn),
        ("/api/42/envelope/", &[("x-sentry-auth", &own)], &dsn),
        // The store route also accepts envelopes.
        (
            "/api/42/store/",
            &[("x-sentry-auth", &own), ("content-type", "application/x-sentry-envelope")],
            &dsn,
        ),
    ];
    let count = cases.len();
    for (path, headers, body) in cases {
        let answer = setup.post(path, headers, body.to_owned()).await;
        assert_eq!((answer.status, answer.body), (200, format!("{{\"id\":\"{ID}\"}}")), "{path} {headers:?}");
        assert!(!answer.headers.contains_key("retry-after"));
    }
    setup.sentry.wait_for("the last", |_| setup.sentry.received().len() == count).await;
    for one in setup.sentry.received() {
        assert_eq!((&*one.key, &*one.path), (KEY, "/api/42/envelope/"));
    }
    setup.finish(count as u64).await;
}

#[tokio::test]
async fn bytes_and_headers_go_upstream_as_they_came() {
    let setup = Setup::new(&[]).await;
    let auth = format!("Sentry sentry_key={KEY}, sentry_version=7, sentry_client=sentry.ruby/5.0");
    let body = gzip(ENVELOPE.as_bytes());
    let headers = [
        ("x-sentry-auth", &*auth),
        ("content-encoding", "gzip"),
        ("content-type", "application/x-sentry-envelope"),
        ("user-agent", "sentry-ruby/5.0"),
    ];
    let more =
        [("x-forwarded-for", "203.0.113.7"), ("referer", "https://page.example/a?b"), ("cookie", "secret")];
    let all = [&headers[..], &more].concat();
    assert_eq!(setup.post("/api/42/envelope/", &all, body.clone()).await.status, 200);
    let (one, _) = setup.arrives("event").await;
    assert_eq!(one.body, body);
    for (name, value) in headers {
        assert_eq!(one.headers[name], value);
    }
    assert_eq!(one.headers["x-forwarded-for"], "203.0.113.7");
    assert_eq!(one.headers["origin"], "https://page.example/a?b");
    assert!(!one.headers.contains_key("cookie"));
    setup.finish(1).await;
}

#[tokio::test]
async fn every_encoding_of_sentrys_relay_is_accepted() {
    let setup = Setup::new(&[]).await;
    let auth = auth();
    let plain = ENVELOPE.as_bytes();
    // `{}\n{"type":"log"}\n{}` by the reference encoders.
    let zstd = b"\x28\xb5\x2f\xfd\x20\x14\xa1\x00\x00{}\n{\"type\":\"log\"}\n{}";
    let brotli = b"\x8b\x09\x80{}\n{\"type\":\"log\"}\n{}\x03";
    let cases = [
        ("", plain.to_vec(), "event"),
        ("identity", plain.to_vec(), "event"),
        ("UTF-8", plain.to_vec(), "event"),
        ("gzip", gzip(plain), "event"),
        ("deflate", zlib(plain), "event"),
        ("zstd", zstd.to_vec(), "log"),
        ("br", brotli.to_vec(), "log"),
    ];
    let count = cases.len();
    for (at, (encoding, body, kind)) in cases.into_iter().enumerate() {
        let headers = [("x-sentry-auth", &*auth), ("content-encoding", encoding)];
        let answer = setup.post("/api/42/envelope/", &headers, body.clone()).await;
        assert_eq!(answer.status, 200, "{encoding:?}: {}", answer.body);
        let arrived = |_: &_| setup.sentry.received().len() > at;
        setup.sentry.wait_for(encoding, arrived).await;
        let one = setup.sentry.received().pop().unwrap();
        assert_eq!((&one.body[..], one.envelope.items[0].kind()), (&body[..], kind), "{encoding:?}");
    }
    setup.finish(count as u64).await;
}

#[tokio::test]
async fn an_event_without_an_id_gets_one() {
    let setup = Setup::new(&[]).await;
    let auth = auth();
    let body = gzip(b"{\"sdk\":{\"name\":\"x\"}}\n{\"type\":\"transaction\",\"length\":2}\n{}\n");
    let headers = [("x-sentry-auth", &*auth), ("content-encoding", "gzip")];
    let answer = setup.post("/api/42/envelope/", &headers, body).await;
    assert_eq!(answer.status, 200);
    let (one, item) = setup.arrives("transaction").await;
    let id = one.envelope.header["event_id"].as_str().unwrap();
    assert_eq!((id.len(), answer.body), (32, format!("{{\"id\":\"{id}\"}}")));
    assert_eq!(one.encoding(), None);
    assert_eq!((&item.payload[..], one.envelope.header["sdk"]["name"].as_str()), (&b"{}"[..], Some("x")));

    // Items that do not belong to an event need no id, and an empty envelope is accepted and ignored.
    for body in ["{}\n{\"type\":\"session\"}\n{}\n", "{}\n", "{}"] {
        let answer = setup.post("/api/42/envelope/", &[("x-sentry-auth", &auth)], body).await;
        assert_eq!((answer.status, &*answer.body), (200, "{}"), "{body}");
    }
    setup.finish(2).await;
}

#[tokio::test]
async fn an_outage_does_not_change_the_response_to_the_sdk() {
    let setup = Setup::new(&[]).await;
    setup.sentry.respond_with(|_| Reply::status(503));
    for _ in 0..3 {
        let answer = setup.post("/api/42/envelope/", &[("x-sentry-auth", &auth())], ENVELOPE).await;
        assert_eq!((answer.status, answer.header("retry-after")), (200, ""));
    }
    setup.sentry.respond_with(|_| Reply::ok());
    setup.finish(3).await;
}

#[tokio::test]
async fn rate_limits_of_upstream_are_passed_on_to_sdks() {
    let setup = Setup::new(&[]).await;
    let auth = auth();
    let signed = ("x-sentry-auth", &*auth);
    setup
        .sentry
        .respond_with(|_| Reply::status(429).header("x-sentry-rate-limits", "60:error;monitor:key:quota"));
    let envelope = "/api/42/envelope/";
    assert_eq!(setup.post(envelope, &[signed], ENVELOPE).await.status, 200);
    setup.arrives("event").await;
    setup.sentry.respond_with(|_| Reply::ok());

    // The extension knows the limit only once it has read the response of upstream, so this is repeated until it does.
    let limited = async {
        loop {
            let answer = setup.post(envelope, &[signed], ENVELOPE).await;
            if answer.status != 200 {
                return answer;
            }
        }
    };
    let limited = tokio::time::timeout(HANG, limited).await.expect("never limited");
    assert_eq!(limited.status, 429);
    assert!((1..=60).contains(&limited.header("retry-after").parse::<u32>().unwrap()));
    assert!(limited.header("x-sentry-rate-limits").ends_with(":error;monitor:key:quota"), "{limited:?}");
    assert!(limited.body.contains("rate limit"), "{}", limited.body);

    let other = setup.post(envelope, &[signed], "{}\n{\"type\":\"session\"}\n{}\n").await;
    assert_eq!((other.status, other.header("retry-after")), (200, ""));
    assert!(other.header("x-sentry-rate-limits").ends_with(":error;monitor:key:quota"), "{other:?}");

    let store = setup.post("/api/42/store/", &[signed], "{}").await;
    assert_eq!(store.status, 429);
    let cron = setup.post("/api/42/cron/nightly?status=ok", &[signed], "").await;
    assert_eq!((cron.status, cron.header("retry-after")), (202, ""));
    let unreal = setup.post(&format!("/api/42/unreal/{KEY}/"), &[], "crash").await;
    assert_eq!((unreal.status, unreal.header("retry-after")), (200, ""));
    setup.extension.terminate();
    setup.extension.final_counts().await;
}
