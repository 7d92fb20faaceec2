//! Tests CORS: the preflight requests of browsers, and the response headers that let a page read a response.

use super::{ENVELOPE, KEY, Setup};
use hyper::Method;
use std::collections::BTreeSet;

fn list(header: &str) -> BTreeSet<&str> {
    header.split(',').map(str::trim).collect()
}

#[tokio::test]
async fn every_ingestion_route_answers_preflights() {
    let setup = Setup::new(&[]).await;
    let preflight = [
        ("origin", "https://page.example"),
        ("access-control-request-method", "POST"),
        ("x-sentry-auth", "?"),
    ];
    for path in [
        "/api/42/envelope/",
        "/api/42/store/",
        "/api/42/security/?sentry_key=x",
        "/api/42/csp-report/",
        "/api/42/nel/",
        "/api/42/cron/nightly",
        "/api/42/minidump",
        "/api/42/unreal/x/",
        "/api/42/events/x/attachments/",
        "/api/42/integration/otlp/v1/traces",
        "/api/abc/envelope/",
    ] {
        let answer = setup.send(Method::OPTIONS, path, &preflight, "").await;
        assert_eq!((answer.status, &*answer.body), (200, ""), "{path}");
        assert_eq!(answer.header("access-control-allow-origin"), "*", "{path}");
        assert_eq!(answer.header("access-control-allow-methods"), "POST");
        assert_eq!(answer.header("access-control-max-age"), "3600");
        let allowed = list(answer.header("access-control-allow-headers"));
        let expected = "x-sentry-auth,x-requested-with,x-forwarded-for,origin,referer,accept,content-type,\
            authentication,authorization,content-encoding,transfer-encoding";
        assert_eq!(allowed, list(expected));
    }
    setup.finish(0).await;
}

#[tokio::test]
async fn pages_may_read_successes_and_errors() {
    let setup = Setup::new(&[]).await;
    let good = format!("/api/42/envelope/?sentry_key={KEY}");
    for (path, status) in [(&*good, 200), ("/api/42/envelope/", 401), ("/api/42/store/", 401)] {
        let answer = setup.post(path, &[("origin", "https://page.example")], ENVELOPE).await;
        assert_eq!(answer.status, status);
        assert_eq!(answer.header("access-control-allow-origin"), "*", "{path}");
        let exposed = list(answer.header("access-control-expose-headers"));
        assert_eq!(exposed, list("x-sentry-error,x-sentry-rate-limits,retry-after"));
        assert_eq!(answer.header("cross-origin-resource-policy"), "cross-origin");
    }
    let health = setup.send(Method::GET, "/api/relay/healthcheck/live/", &[], "").await;
    assert_eq!(health.header("access-control-allow-origin"), "");
    assert_eq!(setup.arrives("event").await.0.headers["origin"], "https://page.example/");
    setup.finish(1).await;
}
