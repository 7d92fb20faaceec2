//! Tests each way in which Sentry's Relay can fail. No failure may disturb the function.

use super::{logs, start, start_with};
use crate::flush::{Environment, is_event_with, report};
use crate::support::{
    extension::BINARY,
    lambda_api::Subscription,
    layer::{Layer, of_another_machine},
    netns::isolated,
};
use nix::sys::signal::Signal;
use std::time::Duration;

/// The file cannot be executed, so one failure is enough.
const NOT_EXECUTABLE: &str = "its file cannot be executed here\",\"failures\":1}";
const TAKES_OVER: &str = "the built-in relay takes over";

/// Checks that the built-in relay delivers an envelope, and that there was one warning.
async fn falls_back(mut environment: Environment, why: &str) {
    let request = environment.run().await;
    report("one").await;
    environment.api.done(&request).await;
    let line = logs(&environment.extension, TAKES_OVER).await;
    assert!(line.contains(why) && line.contains("\"warn\""), "{line}");
    environment.sentry.wait_for("the envelope", |_| true).await;
    environment.released().await;
    let log = environment.extension.log.clone();
    environment.finish([1, 1, 0, 0]).await;
    assert_eq!(log.text().matches("\"warn\"").count(), 1, "{}", log.text());
}

/// Checks the same for a layer without the stand-in.
fn falls_back_from(layer: impl FnOnce() -> Layer + Send + 'static, why: &'static str) {
    isolated(move || async move {
        let _layer = layer();
        let settings = [("SENTRY_EXTENSION_RELAY", "process")];
        falls_back(Environment::start_with("end", Subscription::Accepted, &settings).await, why).await;
    });
}

#[test]
fn missing() {
    falls_back_from(Layer::empty, "does not hold Sentry's Relay");
}

#[test]
fn not_executable() {
    falls_back_from(|| Layer::with(b"#!/bin/sh\n", 0o644), NOT_EXECUTABLE);
}

#[test]
fn of_the_wrong_architecture() {
    falls_back_from(|| Layer::with(&of_another_machine(BINARY), 0o755), NOT_EXECUTABLE);
}

#[test]
fn exiting_at_once_five_times() {
    isolated(|| async {
        let (environment, layer) = start("end", &["exit"], Duration::ZERO).await;
        falls_back(environment, "it exited with 1").await;
        assert_eq!(layer.story(), ["started"; 5]);
    });
}

/// Lets the stand-in fail once in this way. The next start has to deliver. Returns the log line of the failure.
async fn recovers(behaviour: &str, settings: &[(&str, &str)], why: &str) {
    let (mut environment, layer) = start_with("end", &[behaviour, "ok"], Duration::ZERO, settings).await;
    let request = environment.run().await;
    report("one").await;
    environment.api.done(&request).await;
    let line = logs(&environment.extension, "is started again").await;
    assert!(line.contains(why), "{line}");
    environment.sentry.wait_for("the envelope", is_event_with("one")).await;
    Layer::reaped(&layer.event("started", 1).await).await;
    environment.finish([1, 1, 0, 0]).await;
}

#[test]
fn never_ready() {
    isolated(|| recovers("never-ready", &[], "was not ready in time"));
}

#[test]
fn never_listening() {
    isolated(|| recovers("deaf", &[], "was not ready in time"));
}

#[test]
fn hanging() {
    isolated(|| recovers("hang", &[("SENTRY_EXTENSION_TIMEOUT", "1500ms")], "did not answer any more"));
}

#[test]
fn eating_memory() {
    isolated(|| recovers("eat", &[("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "128")], "of memory"));
}

#[test]
fn too_busy() {
    isolated(|| recovers("overload", &[], "it answered an envelope with 503"));
}

/// Its connections break before the extension learns of its end. The log has to tell how it ended all the same.
#[test]
fn crashing_instead_of_answering() {
    isolated(|| recovers("crash", &[], "it exited with 3"));
}

#[test]
fn crashing_with_an_envelope_in_hand() {
    isolated(|| async {
        let (mut environment, layer) = start("continuous", &["keep", "ok"], Duration::ZERO).await;
        environment.run().await;
        report("taken twice").await;
        Layer::signal(&layer.event("post", 1).await, Signal::SIGUSR1);
        let line = logs(&environment.extension, "is started again").await;
        assert!(line.contains("it exited with 3") && line.contains("\"envelopes\":1,"), "{line}");
        environment.sentry.wait_for("the envelope", is_event_with("taken twice")).await;
        let sentry = environment.finish_with_sentry([1, 1, 0, 0]).await;
        assert_eq!(sentry.received().len(), 1);
    });
}

#[test]
fn refusing_an_envelope() {
    isolated(|| async {
        let (mut environment, _layer) = start("continuous", &["refuse"], Duration::ZERO).await;
        environment.run().await;
        report("one").await;
        environment.sentry.wait_for("the envelope as it was", is_event_with("one")).await;
        environment.finish([1, 1, 0, 0]).await;
    });
}

#[test]
fn refusals_of_one_status_are_warned_of_once() {
    isolated(|| async {
        let (mut environment, _layer) = start("continuous", &["refuse"], Duration::ZERO).await;
        environment.run().await;
        for marker in ["one", "two", "three"] {
            report(marker).await;
        }
        let lines = environment.extension.log.wait_for_lines("Sentry's Relay refuses an envelope", 3).await;
        let (first, others) = lines.split_first().unwrap();
        assert!(first.contains("\"warn\"") && first.contains("\"status\":400"), "{first}");
        assert!(others.iter().all(|line| line.contains("\"debug\"")), "{others:?}");
        environment.finish([3, 3, 0, 0]).await;
    });
}

#[test]
fn dropping_an_envelope_by_a_rule_at_the_end() {
    isolated(|| async {
        let (mut environment, layer) = start("continuous", &["drop"], Duration::ZERO).await;
        environment.run().await;
        report("one").await;
        layer.event("post", 1).await;
        let log = environment.extension.log.clone();
        let sentry = environment.finish_with_sentry([1, 0, 0, 1]).await;
        assert!(log.contains("relay_filtered=1"), "{}", log.text());
        assert!(sentry.received().is_empty());
    });
}

/// While it is not known yet whether an envelope was dropped, nobody pays for a hold.
#[test]
fn dropping_an_envelope_by_a_rule_holds_nothing_up() {
    isolated(|| async {
        let (mut environment, layer) = start("end", &["drop"], Duration::ZERO).await;
        let request = environment.run().await;
        report("one").await;
        layer.event("post", 1).await;
        environment.api.done(&request).await;
        environment.released().await;
        let line = logs(&environment.extension, "\"message\":\"flush\"").await;
        assert!(line.contains("\"accepted\":1,\"delivered\":0,\"rejected\":0,\"dropped\":0,"), "{line}");
        environment.finish([1, 0, 0, 1]).await;
    });
}

#[test]
fn dropping_an_envelope_by_a_rule() {
    isolated(|| async {
        let (mut environment, layer) = start("continuous", &["drop"], Duration::ZERO).await;
        environment.run().await;
        report("one").await;
        layer.event("post", 1).await;
        logs(&environment.extension, "Sentry's Relay has dropped an envelope").await;
        let log = environment.extension.log.clone();
        environment.finish([1, 0, 0, 1]).await;
        let counts = log.wait_for("\"message\":\"envelopes\"").await;
        assert!(counts.contains("relay_filtered=1") && counts.contains("\"info\""), "{counts}");
    });
}
