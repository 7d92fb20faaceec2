//! Tests the stand-in itself, because other tests rely on its checks.

use super::{Gate, Reply, Sentry, Transport};
use crate::support::http;
use hyper::{Method, StatusCode};
use std::{io, net::SocketAddr, time::Duration};

const AUTH: &str = "Sentry sentry_key=a94ae32be2584e0bbd7a4cbb95971fee, sentry_version=7";
const EVENT: &str =
    "{\"event_id\":\"9ec79c33ec9942ab8353589fcb2e04dc\"}\n{\"type\":\"event\",\"length\":2}\n{}\n";
type Headers = &'static [(&'static str, &'static str)];

async fn post(
    sentry: &Sentry,
    path: &str,
    headers: &[(&str, &str)],
    body: &'static str,
) -> io::Result<(StatusCode, String)> {
    let to: SocketAddr = sentry.address;
    let (status, body) = http::request(to, Method::POST, path, headers, body).await?;
    Ok((status, String::from_utf8(body.to_vec()).unwrap()))
}

#[tokio::test]
async fn a_valid_envelope_is_kept_and_answered_with_its_id() {
    let sentry = Sentry::start(Transport::Plain).await;
    let (status, body) =
        post(&sentry, "/prefix/api/42/envelope/", &[("x-sentry-auth", AUTH)], EVENT).await.unwrap();
    assert_eq!((status.as_u16(), &body[..]), (200, r#"{"id":"9ec79c33ec9942ab8353589fcb2e04dc"}"#));
    let event = sentry.wait_for("event", |one| one.envelope.item("event").is_some()).await;
    assert_eq!((&event.key[..], &event.project[..]), ("a94ae32be2584e0bbd7a4cbb95971fee", "42"));
    assert!(sentry.dsn("key", "42").starts_with("http://key@127.0.0.1:"));
    assert_eq!(sentry.violations(), Vec::<String>::new());
}

#[tokio::test]
async fn misbehaving_clients_are_detected() {
    const SIGNED: Headers = &[("x-sentry-auth", AUTH)];
    const SHORT: Headers = &[("x-sentry-auth", "Sentry sentry_key=abc, sentry_version=7")];
    const GZIP: Headers = &[("x-sentry-auth", AUTH), ("content-encoding", "gzip")];
    const ROT13: Headers = &[("x-sentry-auth", AUTH), ("content-encoding", "rot13")];

    let sentry = Sentry::start(Transport::Plain).await;
    let path = "/api/42/envelope/";
    let cases: [(&str, Headers, &'static str, &str); 7] = [
        ("/api/42/store/", SIGNED, "{}", "does not end in /envelope/"),
        ("/api/forty-two/envelope/", SIGNED, EVENT, "is no project number"),
        (path, &[], EVENT, "no X-Sentry-Auth"),
        (path, SHORT, EVENT, "not 32 hex digits"),
        (path, GZIP, EVENT, "broken Content-Encoding"),
        (path, ROT13, EVENT, "unknown Content-Encoding"),
        (path, SIGNED, "{}\n{\"type\":\"event\",\"length\":9}\n{}", "only 2 bytes follow"),
    ];
    for (at, (path, headers, body, why)) in cases.into_iter().enumerate() {
        assert_eq!(post(&sentry, path, headers, body).await.unwrap().0, 400);
        let violations = sentry.violations();
        assert!(violations[at].contains(why), "{violations:?} does not say {why:?}");
        assert_eq!(violations.len(), at + 1);
    }
    assert!(sentry.received().is_empty());
}

#[tokio::test]
async fn responses_follow_the_script() {
    let sentry = Sentry::start(Transport::Plain).await;
    let headers = [("x-sentry-auth", AUTH)];
    sentry.respond_with(|_| Reply::status(429).header("retry-after", "7"));
    assert_eq!(post(&sentry, "/api/42/envelope/", &headers, EVENT).await.unwrap().0, 429);

    sentry.respond_with(|_| Reply::close());
    assert!(post(&sentry, "/api/42/envelope/", &headers, EVENT).await.is_err());

    let gate = Gate::closed();
    sentry.respond_with({
        let gate = gate.clone();
        move |_| Reply::ok().held_by(&gate).after(Duration::from_millis(1))
    });
    let held = post(&sentry, "/api/42/envelope/", &headers, EVENT);
    tokio::pin!(held);
    assert!(tokio::time::timeout(Duration::from_millis(50), &mut held).await.is_err());
    gate.open();
    assert_eq!(held.await.unwrap().0, 200);
    let answers: Vec<_> = sentry.received().iter().map(|one| one.status).collect();
    assert_eq!(answers, [Some(429), None, Some(200)]);
    assert_eq!(sentry.violations(), Vec::<String>::new());
}
