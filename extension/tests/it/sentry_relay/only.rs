//! Tests `SENTRY_EXTENSION_RELAY=only`. It is for users whose Relay scrubs data: nothing may be sent without Sentry's
//! Relay, even if it fails.

use super::{SECOND, logs, start_with};
use crate::flush::{Environment, report};
use crate::support::{http, lambda_api::Subscription, layer::Layer, log::Log, netns::isolated, sdk::TUNNEL};
use hyper::{Method, StatusCode};
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
    let line = logs(&environment.extension, FAILED).await;
    assert!(line.contains(why) && line.contains("\"warn\""), "{line}");
    let request = environment.run().await;
    report("one").await;
    report("two").await;
    environment.api.done(&request).await;
    environment.released().await;
    let (status, said) = http::request(TUNNEL, Method::GET, "/api/0/anything/", &[], "").await.unwrap();
    assert_eq!(status, StatusCode::BAD_GATEWAY);
    assert!(String::from_utf8_lossy(&said).contains("nothing goes past it"), "{said:?}");
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
fn an_upstream_that_relay_cannot_take_lets_nothing_past() {
    isolated(|| async {
        let _layer = Layer::stand_in(&["ok"], Duration::ZERO);
        let upstream = ("SENTRY_EXTENSION_UPSTREAM", "http://127.0.0.1:9/prefix");
        let environment = Environment::start_with("end", Subscription::Accepted, &[ONLY, upstream]).await;
        keeps_all(environment, "cannot have a path").await;
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
        layer.event("passed", 1).await;
        let log = environment.extension.log.clone();
        environment.finish([1, 1, 0, 0]).await;
        assert_eq!(log.text().matches(FAILED).count(), 1, "{}", log.text());
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
        assert!(layer.story().contains(&"passed".to_owned()), "{:?}", layer.story());
        environment.api.shutdown("spindown", 2 * SECOND);
        assert_eq!(environment.extension.final_counts().await, [1, 1, 0, 0]);
    });
}
