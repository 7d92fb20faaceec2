//! How Relay ends: in order at SHUTDOWN, and never after the extension.

use super::{SECOND, logs, start};
use crate::flush::report;
use crate::support::{layer::Layer, netns::isolated, sentry::Reply};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use std::time::{Duration, Instant};

#[test]
fn deliveries_then_the_barrier_then_sigterm() {
    isolated(|| async {
        let (mut environment, layer) = start("continuous", &["ok"], SECOND / 5).await;
        // On a busy machine it might not be by the end, and be passed by.
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
        assert!(!Layer::runs(&layer.events()[0]));
    });
}

#[test]
fn a_relay_that_ignores_sigterm_is_killed_within_the_budget() {
    isolated(|| async {
        let (environment, layer) = start("continuous", &["stubborn"], Duration::ZERO).await;
        logs(&environment.extension, "Sentry's Relay is ready").await;
        let begun = Instant::now();
        environment.finish([0; 4]).await;
        assert!(begun.elapsed() < 2 * SECOND, "{:?}", begun.elapsed());
        assert!(!Layer::runs(&layer.event("SIGTERM", 1).await));
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
        assert!(!Layer::runs(&started));
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
        let deadline = Instant::now() + 2 * SECOND;
        while Layer::runs(&started) {
            assert!(Instant::now() < deadline, "Relay has survived the extension");
            tokio::time::sleep(SECOND / 100).await;
        }
    });
}

#[test]
fn a_relay_that_was_killed_leaves_no_zombie() {
    isolated(|| async {
        let (environment, layer) = start("continuous", &["never-ready", "ok"], Duration::ZERO).await;
        let first = layer.event("started", 1).await;
        logs(&environment.extension, "it was not ready in time").await;
        let process = std::path::PathBuf::from(format!("/proc/{}", first["pid"]));
        let deadline = Instant::now() + 10 * SECOND;
        while process.exists() {
            assert!(Instant::now() < deadline, "{}", std::fs::read_to_string(process.join("stat")).unwrap());
            tokio::time::sleep(SECOND / 100).await;
        }
        logs(&environment.extension, "Sentry's Relay is ready").await;
        environment.finish([0; 4]).await;
    });
}
