//! What Sentry gets from the real Sentry's Relay: the envelope and the headers of the SDK, and nothing of this machine.

use super::{CONFIG, READY};
use crate::relay::delivery_test::DeliveryTest;
use crate::support::{
    extension::Extension,
    lambda_api::LambdaApi,
    netns::isolated,
    proxy::Proxy,
    scripted_upstream::ScriptedUpstream,
    sdk::{KEY, TUNNEL, envelope, item, post, report, tunnel},
    sentry::{Received, Sentry, Transport},
};
use hyper::Method;
use serde_json::json;
use std::sync::Arc;

fn says(one: &Received, marker: &str) -> bool {
    one.envelope.item("event").is_some_and(|event| event.json()["marker"] == marker)
}

/// Starts an extension that sends to `sentry`, sends these envelopes, and returns what Sentry got for the marker.
async fn arrival(sentry: Sentry, env: &[(&str, &str)], body: String, marker: &str) -> Arc<Received> {
    let layer = super::layer();
    assert_eq!(layer.configuration(), CONFIG);
    let api = LambdaApi::start().await;
    let extension = Extension::in_lambda(&api, &[&[("SENTRY_EXTENSION_LOG", "debug")], env].concat());
    api.asked(1).await;
    assert_eq!(post(TUNNEL, body).await, 200);
    extension.log.wait_for(READY).await;
    let found = sentry.wait_for("the event", |one| says(one, marker)).await;
    api.shutdown("spindown", 2 * crate::relay::delivery_test::SECOND);
    assert_eq!(extension.final_counts().await, [1, 1, 0, 0]);
    assert!(sentry.violations().is_empty(), "{:?}", sentry.violations());
    found
}

#[test]
fn nothing_that_sentrys_relay_adds_reaches_sentry() {
    isolated(|| async {
        let sentry = Sentry::start(Transport::Plain).await;
        let dsn = sentry.dsn(KEY, "42");
        let body = envelope("clean", &["event", "from_the_future"]).replacen(
            '{',
            "{\"sent_at\":\"2026-11-26T01:02:03Z\",\"trace\":{\"trace_id\":\"67d448e83ae320be0e2cdf2f53ccdaba\",\
             \"public_key\":\"5b0ff8a1e2c94d7fb7a3c1d2e4f60718\"},\"unknown\":{\"a\":1},",
            1,
        );
        let found = arrival(sentry, &[("SENTRY_DSN", &dsn)], body, "clean").await;
        let header = &found.envelope.header;
        let mut names: Vec<&str> = header.keys().map(String::as_str).collect();
        names.sort_unstable();
        assert_eq!(names, ["event_id", "sent_at", "trace", "unknown"], "{header:?}");
        assert_eq!(header["unknown"], json!({ "a": 1 }));
        assert!(found.envelope.item("from_the_future").is_some());
        let auth = found.headers["x-sentry-auth"].to_str().unwrap();
        assert!(auth.contains("sentry_client=test/1"), "{auth}");
    });
}

#[test]
fn tls_with_roots_of_the_users_own_and_a_path_in_the_upstream() {
    isolated(|| async {
        let sentry = Sentry::start(Transport::Tls).await;
        let upstream = format!("{}/prefix", sentry.url());
        let roots = sentry.ca_file().to_str().unwrap().to_owned();
        let env = [("SENTRY_EXTENSION_UPSTREAM", &*upstream), ("SENTRY_EXTENSION_CA_BUNDLE", &*roots)];
        let found = arrival(sentry, &env, envelope("far", &["event"]), "far").await;
        assert_eq!(found.path, "/prefix/api/42/envelope/");
    });
}

#[test]
fn the_proxy_of_the_settings_is_used_for_sentry_and_not_on_loopback() {
    isolated(|| async {
        let _layer = super::layer();
        let upstream = ScriptedUpstream::start(false).await;
        let proxy = Proxy::start(upstream.address()).await;
        let address = format!("http://{}", proxy.address());
        let dsn = format!("http://{KEY}@sentry.example.com/42");
        let test = DeliveryTest::with(upstream, &[("SENTRY_DSN", &dsn), ("HTTP_PROXY", &address)]).await;
        assert_eq!(report(TUNNEL, "proxied").await, 200);
        test.upstream.wait_until_taken(&["proxied".to_owned()]).await;
        assert_eq!(test.shut_down().await.0.delivered, 1);
        let lines: Vec<_> = proxy.requests().into_iter().map(|request| request.line).collect();
        assert_eq!(lines, ["POST http://sentry.example.com/api/42/envelope/ HTTP/1.1"]);
    });
}

#[test]
fn each_envelope_goes_to_the_host_of_its_own_dsn() {
    isolated(|| async {
        let _layer = super::layer();
        let upstream = ScriptedUpstream::start(false).await;
        let test = DeliveryTest::with(upstream, &[("SENTRY_EXTENSION_ALLOWED_HOSTS", "127.0.0.1")]).await;
        let dsn = test.upstream.dsn("127.0.0.1", KEY);
        assert_eq!(tunnel(TUNNEL, &dsn, "tunnelled").await, 200);
        test.upstream.wait_until_taken(&["tunnelled".to_owned()]).await;
        let (counts, upstream) = test.shut_down().await;
        assert_eq!(counts.delivered, 1);
        let body = String::from_utf8(upstream.arrivals()[0].body.clone()).unwrap();
        assert!(body.starts_with(&format!("{{\"dsn\":\"{dsn}\",")), "{body}");
    });
}

#[test]
fn what_is_no_envelope_comes_out_as_one() {
    isolated(|| async {
        let sentry = Sentry::start(Transport::Plain).await;
        let dsn = sentry.dsn(KEY, "42");
        let _layer = super::layer();
        let api = LambdaApi::start().await;
        let env = [("SENTRY_EXTENSION_LOG", "debug"), ("SENTRY_DSN", &*dsn)];
        let extension = Extension::in_lambda(&api, &env);
        api.asked(1).await;
        let report = json!([{ "age": 1, "type": "network-error", "url": "https://example.com/", "body": {
            "elapsed_time": 1, "method": "GET", "phase": "dns", "protocol": "http/1.1", "referrer": "",
            "sampling_fraction": 1.0, "server_ip": "", "status_code": 0, "type": "dns.name_not_resolved" } }]);
        let path = format!("/api/42/nel/?sentry_key={KEY}");
        let headers = [("content-type", "application/reports+json")];
        let (status, _) =
            crate::support::http::request(TUNNEL, Method::POST, &path, &headers, report.to_string())
                .await
                .unwrap();
        assert_eq!(status, 200);
        let found = sentry.wait_for("the report", |one| one.envelope.item("integration").is_some()).await;
        assert_eq!(found.path, "/api/42/envelope/");
        assert_eq!(post(TUNNEL, item("event", &json!({ "marker": "next" }))).await, 200);
        sentry.wait_for("the event", |one| says(one, "next")).await;
        api.shutdown("spindown", 2 * crate::relay::delivery_test::SECOND);
        assert_eq!(extension.final_counts().await, [2, 2, 0, 0]);
    });
}
