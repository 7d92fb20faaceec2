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
fn deliveries_then_the_barrier_then_sigterm() {
    isolated(|| async {
        let (mut environment, layer) = start("continuous", &["ok"], SECOND / 20).await;
        // On a busy machine it might otherwise not be ready at SHUTDOWN, and envelopes would bypass it.
        logs(&environment.extension, "Sentry's Relay is ready").await;
        environment.run().await;
        environment.released().await;
        report("one").await;
        report("two").await;
        environment.finish([2, 2, 0, 0]).await;
        let story = layer.story();
        let at = |event: &str| story.iter().rposition(|one| one == event).unwrap();
        assert!(at("post") < at("barrier") && at("barrier") < at("passed"), "{story:?}");
        assert!(at("delivered") < at("passed") && at("passed") < at("SIGTERM"), "{story:?}");
        Layer::ended(&layer.events()[0]).await;
    });
}

#[test]
fn a_relay_that_ignores_sigterm_is_killed_within_the_budget() {
    isolated(|| async {
        let (environment, layer) = start("continuous", &["stubborn"], Duration::ZERO).await;
        logs(&environment.extension, "Sentry's Relay is ready").await;
        environment.finish([0; 4]).await;
        Layer::ended(&layer.event("SIGTERM", 1).await).await;
    });
}

#[test]
fn what_relay_cannot_deliver_by_the_end_is_booked_as_lost() {
    isolated(|| async {
        let (mut environment, layer) = start("continuous", &["ok"], Duration::ZERO).await;
        environment.sentry.respond_with(|_| Reply::status(503));
        environment.run().await;
        report("one").await;
        layer.event("post", 1).await;
        let log = environment.extension.log.clone();
        environment.finish([1, 0, 0, 1]).await;
        assert!(log.contains("relay_ended=1"), "{}", log.text());
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
fn relay_dies_with_the_extension() {
    isolated(|| async {
        let (environment, layer) = start("continuous", &["ok"], Duration::ZERO).await;
        logs(&environment.extension, "Sentry's Relay is ready").await;
        let started = layer.event("started", 1).await;
        assert!(Layer::runs(&started));
        kill(Pid::from_raw(i32::try_from(environment.extension.pid()).unwrap()), Signal::SIGKILL).unwrap();
        Layer::ended(&started).await;
    });
}
