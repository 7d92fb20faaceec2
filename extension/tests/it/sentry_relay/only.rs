//! Tests `SENTRY_EXTENSION_RELAY=only`. It is for users whose Relay scrubs data: nothing may be sent without Sentry's
//! Relay, even if it fails.

use super::{SECOND, logs, start_with};
use crate::flush::{Environment, is_event_with, report};
use crate::support::{
    http, lambda_api::Subscription, layer::Layer, log::Log, netns::isolated, sdk, sdk::TUNNEL, sentry::Reply,
};
use hyper::Method;
use std::time::Duration;

const ONLY: (&str, &str) = ("SENTRY_EXTENSION_RELAY", "only");
const FAILED: &str = "Sentry's Relay has failed: nothing is sent past it";

/// Ends the environment. This number of envelopes has to be counted as lost because Sentry's Relay did not run, and
/// Sentry must have received nothing.
async fn nothing_left(environment: Environment, envelopes: u64) -> Log {
    let Environment { api, sentry, extension, .. } = environment;
    let log = extension.log.clone();
    api.shutdown("spindown", 2 * SECOND);
    assert_eq!(extension.final_counts().await, [envelopes, 0, 0, envelopes]);
    assert!(log.contains(&format!("relay_unavailable={envelopes}")), "{}", log.text());
    assert!(sentry.received().is_empty() && sentry.violations().is_empty());
    log
}

/// Checks that envelopes are accepted, the function is not held, nothing arrives, and the counts give the reason.
async fn keeps_all(mut environment: Environment, why: &str) {
    let request = environment.run().await;
    let line = logs(&environment.extension, FAILED).await;
    assert!(line.contains(why) && line.contains("\"warn\""), "{line}");
    report("one").await;
    report("two").await;
    environment.api.done(&request).await;
    environment.released().await;
    let log = nothing_left(environment, 2).await;
    assert_eq!(log.text().matches(FAILED).count(), 1, "{}", log.text());
}

#[test]
fn a_relay_that_is_missing_lets_nothing_past() {
    isolated(|| async {
        let _layer = Layer::empty();
        let environment = Environment::start_with("end", Subscription::Accepted, &[ONLY]).await;
        keeps_all(environment, "its file cannot be executed here").await;
    });
}

#[test]
fn an_envelope_that_relay_refuses_is_dropped() {
    isolated(|| async {
        let (mut environment, layer) = start_with("continuous", &["refuse"], Duration::ZERO, &[ONLY]).await;
        environment.run().await;
        report("one").await;
        layer.event("post", 1).await;
        let log = environment.extension.log.clone();
        let sentry = environment.finish_with_sentry([1, 0, 0, 1]).await;
        assert!(log.contains("relay_refused=1"), "{}", log.text());
        // It gets the client report about the loss.
        assert!(!sentry.received().iter().any(|one| is_event_with("one")(one)));
    });
}

#[test]
fn a_relay_that_hangs_at_the_end_is_not_passed_by() {
    isolated(|| async {
        let (mut environment, layer) = start_with("continuous", &["hang"], Duration::ZERO, &[ONLY]).await;
        environment.run().await;
        report("one").await;
        layer.event("post", 1).await;
        nothing_left(environment, 1).await;
    });
}

#[test]
fn envelopes_wait_beyond_the_fifth_failure() {
    isolated(|| async {
        let lives = ["exit", "exit", "exit", "exit", "exit", "ok"];
        let (mut environment, layer) = start_with("end", &lives, Duration::ZERO, &[ONLY]).await;
        let request = environment.run().await;
        report("one").await;
        environment.api.done(&request).await;
        environment.released().await;
        logs(&environment.extension, FAILED).await;
        assert!(environment.sentry.received().is_empty());
        layer.event("handed on", 1).await;
        let log = environment.extension.log.clone();
        environment.finish([1, 1, 0, 0]).await;
        assert_eq!(log.text().matches(FAILED).count(), 1, "{}", log.text());
    });
}

#[test]
fn an_envelope_that_ends_relay_each_time_is_dropped_and_the_others_arrive() {
    isolated(|| async {
        let (mut environment, layer) =
            start_with("continuous", &["poisonable"], Duration::ZERO, &[ONLY]).await;
        environment.run().await;
        report("poison").await;
        layer.event("post", 1).await;
        report("one").await;
        let line = logs(&environment.extension, "\"dropped\":1}").await;
        assert!(line.contains("\"warn\"") && line.contains("it exited with 3"), "{line}");
        environment.sentry.wait_for("the other envelope", is_event_with("one")).await;
        let log = environment.extension.log.clone();
        let sentry = environment.finish_with_sentry([2, 1, 0, 1]).await;
        assert!(log.contains("relay_refused=1"), "{}", log.text());
        assert!(!sentry.received().iter().any(|one| is_event_with("poison")(one)));
    });
}

#[test]
fn a_relay_that_is_not_ready_by_the_end_is_not_passed_by() {
    isolated(|| async {
        let (mut environment, layer) = start_with("continuous", &["deaf"], Duration::ZERO, &[ONLY]).await;
        environment.run().await;
        report("one").await;
        layer.event("started", 1).await;
        nothing_left(environment, 1).await;
    });
}

#[test]
fn a_relay_that_works_is_used() {
    isolated(|| async {
        let (mut environment, layer) = start_with("end", &["ok"], Duration::ZERO, &[ONLY]).await;
        let request = environment.run().await;
        report("one").await;
        environment.api.done(&request).await;
        environment.released().await;
        layer.event("handed on", 1).await;
        environment.api.shutdown("spindown", 2 * SECOND);
        assert_eq!(environment.extension.final_counts().await, [1, 1, 0, 0]);
    });
}

#[test]
fn what_relay_cannot_filter_is_refused() {
    isolated(|| async {
        let (mut environment, _layer) = start_with("continuous", &["ok"], Duration::ZERO, &[ONLY]).await;
        environment.sentry.answer_api(|_, _| Reply::ok());
        environment.run().await;
        let requests = [
            (Method::POST, "/api/42/upload/"),
            (Method::POST, "/api/42/integration/vercel/logs/"),
            (Method::GET, "/api/0/organizations/"),
            // These are data, but without a key nothing can be counted, so they would be forwarded at once.
            (Method::POST, "/api/42/nel/"),
            (Method::POST, "/api/42/integration/otlp/v1/traces"),
            (Method::POST, "/api/store/"),
        ];
        for (method, path) in requests {
            let (status, body) = http::request(TUNNEL, method, path, &[], "{}").await.unwrap();
            let body = String::from_utf8_lossy(&body);
            assert!(status == 403 && body.contains("SENTRY_EXTENSION_RELAY=only"), "{path}: {status} {body}");
        }
        let log = environment.extension.log.clone();
        let sentry = environment.finish_with_sentry([0; 4]).await;
        assert!(sentry.received().is_empty() && sentry.violations().is_empty(), "{:?}", sentry.violations());
        assert!(log.contains("refused_unfiltered=6"), "{}", log.text());
        let lines = log.text();
        let warned = |line: &&str| line.contains("refused a request") && line.contains("\"warn\"");
        assert_eq!(lines.lines().filter(warned).count(), 1, "{lines}");
    });
}

#[test]
fn an_envelope_that_has_grown_beyond_the_limit_is_filtered() {
    isolated(|| async {
        let settings = [ONLY, ("SENTRY_EXTENSION_MAX_BODY", "4096")];
        let (mut environment, _layer) = start_with("continuous", &["ok"], Duration::ZERO, &settings).await;
        environment.run().await;
        let envelope = |filling: usize| {
            let payload = format!("{{\"marker\":\"large\",\"filling\":\"{}\"}}", "x".repeat(filling));
            format!("{{}}\n{{\"type\":\"event\",\"length\":{}}}\n{payload}\n", payload.len())
        };
        // The extension adds an id to the header.
        let filling = 4096 - envelope(1000).len() + 1000;
        assert_eq!(sdk::post(TUNNEL, envelope(filling)).await, 200);
        assert_eq!(sdk::post(TUNNEL, envelope(filling + 1)).await, 413);
        environment.sentry.wait_for("the envelope", is_event_with("large")).await;
        environment.finish([1, 1, 0, 0]).await;
    });
}
