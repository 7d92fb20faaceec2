//! Tests the end of Sentry's Relay: in order at SHUTDOWN, and never after the extension.

use super::{SECOND, logs, start};
use crate::flush::report;
use crate::support::{layer::Layer, netns::isolated, sentry::Reply};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use std::time::Duration;

#[test]
fn deliveries_come_before_sigint() {
    isolated(|| async {
        let (mut environment, layer) = start("continuous", &["ok"], SECOND / 20).await;
        environment.run().await;
        logs(&environment.extension, "Sentry's Relay is ready").await;
        report("one").await;
        report("two").await;
        environment.finish([2, 2, 0, 0]).await;
        let story = layer.story();
        let at = |event: &str| story.iter().rposition(|one| one == event).unwrap();
        assert!(at("post") < at("handed on") && at("handed on") < at("SIGINT"), "{story:?}");
        Layer::ended(&layer.events()[0]).await;
    });
}

#[test]
fn a_relay_that_ignores_sigint_is_killed_within_the_budget() {
    isolated(|| async {
        let (mut environment, layer) = start("continuous", &["stubborn"], Duration::ZERO).await;
        environment.run().await;
        logs(&environment.extension, "Sentry's Relay is ready").await;
        environment.finish([0; 4]).await;
        Layer::ended(&layer.event("SIGINT", 1).await).await;
    });
}

#[test]
fn what_sentry_does_not_take_by_the_end_is_lost_upstream_and_not_in_relay() {
    isolated(|| async {
        let (mut environment, layer) = start("continuous", &["ok"], Duration::ZERO).await;
        environment.sentry.respond_with(|_| Reply::status(503));
        environment.run().await;
        report("one").await;
        layer.event("handed on", 1).await;
        let log = environment.extension.log.clone();
        environment.finish([1, 0, 0, 1]).await;
        assert!(log.contains("upstream_error=1"), "{}", log.text());
    });
}

#[test]
fn a_relay_that_is_not_ready_by_the_end_is_passed_by() {
    isolated(|| async {
        let (mut environment, layer) = start("continuous", &["deaf"], Duration::ZERO).await;
        environment.run().await;
        report("one").await;
        let started = layer.event("started", 1).await;
        environment.finish([1, 1, 0, 0]).await;
        Layer::ended(&started).await;
    });
}

#[test]
fn what_a_hanging_relay_has_at_the_end_is_taken_back_and_delivered_once() {
    isolated(|| async {
        let (mut environment, layer) = start("continuous", &["hang"], Duration::ZERO).await;
        environment.run().await;
        report("one").await;
        let posted = layer.event("post", 1).await;
        let sentry = environment.finish_with_sentry([1, 1, 0, 0]).await;
        assert_eq!(sentry.received().len(), 1);
        Layer::ended(&posted).await;
    });
}

#[test]
fn relay_dies_with_the_extension() {
    isolated(|| async {
        let (mut environment, layer) = start("continuous", &["ok"], Duration::ZERO).await;
        environment.run().await;
        logs(&environment.extension, "Sentry's Relay is ready").await;
        let started = layer.event("started", 1).await;
        assert!(Layer::runs(&started));
        kill(Pid::from_raw(i32::try_from(environment.extension.pid()).unwrap()), Signal::SIGKILL).unwrap();
        Layer::ended(&started).await;
    });
}
