//! Tests Sentry's Relay when nothing fails.

use super::{SECOND, logs, start, start_with};
use crate::flush::{is_event_with, report};
use crate::support::{
    deliveries, extension::Extension, lambda_api::LambdaApi, layer::Layer, netns::isolated,
};
use nix::sys::signal::Signal;
use std::time::Duration;

#[test]
fn relay_starts_with_the_first_invocation_with_what_it_needs_and_nothing_else() {
    isolated(|| async {
        let layer = Layer::stand_in(&["ok"], Duration::ZERO);
        let api = LambdaApi::start().await;
        let settings = [
            ("SENTRY_DSN", "http://5b0ff8a1e2c94d7fb7a3c1d2e4f60718@sentry.example.com/42"),
            ("AWS_SECRET_ACCESS_KEY", "secret"),
            ("HTTPS_PROXY", "http://proxy.corp:3128"),
        ];
        let extension = Extension::in_lambda(&api, &settings);
        api.asked(1).await;
        // The function may still initialise. This is long enough to show a Relay that is started too early.
        tokio::time::sleep(SECOND / 2).await;
        assert_eq!(layer.story(), [""; 0]);
        api.invoke();
        let started = layer.event("started", 1).await;
        let words: Vec<_> =
            started["arguments"].as_array().unwrap().iter().map(|word| word.as_str().unwrap()).collect();
        assert_eq!(words[..2], ["run", "--mode=proxy"]);
        assert!(
            words[2].starts_with("--upstream=http://127.0.0.1:") && words[3] == "--host=127.0.0.1",
            "{words:?}"
        );
        assert_eq!(words[5..], ["--shutdown-timeout=1", "--config=/opt/relay"]);
        for kept_back in ["HTTPS_PROXY", "AWS_SECRET_ACCESS_KEY"] {
            assert!(started["environment"].get(kept_back).is_none(), "{started}");
        }
        assert_eq!(started["group"], started["pid"]);

        let line = logs(&extension, "relay: stand-in starts").await;
        assert!(line.len() < 1200 && line.contains("for 5b0ff8a1… xxx"), "{line}");
        api.shutdown("spindown", 2 * SECOND);
        assert_eq!(extension.final_counts().await, [0; 4]);
    });
}

#[test]
fn next_waits_until_sentry_has_what_went_through_relay() {
    isolated(|| async {
        let (mut environment, layer) = start("end", &["ok"], SECOND / 10).await;
        let mut reported = 0;
        loop {
            let request = environment.run().await;
            // At the first time, they are accepted while Sentry's Relay still starts.
            for marker in ["one", "two"] {
                report(marker).await;
            }
            reported += 2;
            environment.api.done(&request).await;
            // And for nothing else: it has no other bound here.
            environment.released().await;
            let received = environment.sentry.received();
            if received.len() == reported {
                assert!(received.iter().any(|one| is_event_with("two")(one)));
                break;
            }
            // The stand-in may get no CPU time on a busy machine. Then it is late, and nobody waits for it.
            assert!(reported < 20, "{:?}", layer.story());
            deliveries::wait_for(&environment.extension.log, reported).await;
        }
        assert!(environment.sentry.violations().is_empty(), "{:?}", environment.sentry.violations());
        environment.finish([reported as u64, reported as u64, 0, 0]).await;
    });
}

#[test]
fn an_envelope_before_the_first_invocation_starts_relay() {
    isolated(|| async {
        let (environment, layer) = start("continuous", &["ok"], Duration::ZERO).await;
        report("one").await;
        layer.event("handed on", 1).await;
        environment.sentry.wait_for("the envelope", is_event_with("one")).await;
        environment.finish([1, 1, 0, 0]).await;
    });
}

#[test]
fn an_environment_that_ends_before_an_invocation_starts_no_relay() {
    isolated(|| async {
        let (environment, layer) = start("continuous", &["ok"], Duration::ZERO).await;
        environment.finish([0; 4]).await;
        assert_eq!(layer.story(), [""; 0]);
    });
}

#[test]
fn the_built_in_relay_on_request() {
    isolated(|| async {
        let settings = [("SENTRY_EXTENSION_RELAY", "builtin")];
        let (mut environment, layer) = start_with("end", &["ok"], Duration::ZERO, &settings).await;
        let request = environment.run().await;
        report("one").await;
        environment.api.done(&request).await;
        environment.released().await;
        environment.finish([1, 1, 0, 0]).await;
        assert_eq!(layer.story(), [""; 0]);
    });
}

#[test]
fn a_freeze_is_no_failure() {
    isolated(|| async {
        // A freeze outlasts it.
        let settings = [("SENTRY_EXTENSION_TIMEOUT", "3s")];
        let (mut environment, layer) = start_with("continuous", &["ok"], SECOND, &settings).await;
        environment.run().await;
        report("one").await;
        let posted = layer.event("post", 1).await;
        freeze(&environment.extension, &posted, 4 * SECOND).await;
        environment.sentry.wait_for("the envelope", is_event_with("one")).await;
        let log = environment.extension.log.clone();
        environment.finish([1, 1, 0, 0]).await;
        assert!(!log.contains("started again") && !log.contains("\"warn\""), "{}", log.text());
    });
}

/// The extension and Sentry's Relay stand still.
async fn freeze(extension: &Extension, relay: &serde_json::Value, time: Duration) {
    Layer::signal(relay, Signal::SIGSTOP);
    extension.freeze();
    tokio::time::sleep(time).await;
    Layer::signal(relay, Signal::SIGCONT);
    extension.thaw();
}

#[test]
fn a_freeze_while_relay_is_slow_is_no_failure() {
    isolated(|| async {
        let (mut environment, layer) = start("continuous", &["slow"], Duration::ZERO).await;
        environment.run().await;
        report("one").await;
        // Sentry's Relay has neither answered the envelope nor the question whether it lives.
        let asked = layer.event("live", 1).await;
        freeze(&environment.extension, &asked, SECOND).await;
        environment.sentry.wait_for("the envelope", is_event_with("one")).await;
        let log = environment.extension.log.clone();
        let sentry = environment.finish_with_sentry([1, 1, 0, 0]).await;
        assert_eq!(sentry.received().len(), 1);
        assert!(!log.contains("started again") && !log.contains("\"warn\""), "{}", log.text());
    });
}

#[test]
fn what_comes_out_twice_is_delivered_once() {
    isolated(|| async {
        let (mut environment, layer) = start("continuous", &["twice"], Duration::ZERO).await;
        environment.run().await;
        report("one").await;
        layer.event("handed on", 2).await;
        let sentry = environment.finish_with_sentry([1, 1, 0, 0]).await;
        assert_eq!(sentry.received().len(), 1);
    });
}

#[test]
fn the_parts_of_what_is_split_are_all_delivered() {
    isolated(|| async {
        let (mut environment, layer) = start("continuous", &["split"], Duration::ZERO).await;
        environment.run().await;
        report("one").await;
        layer.event("handed on", 2).await;
        let sentry = environment.finish_with_sentry([2, 2, 0, 0]).await;
        assert_eq!(sentry.received().len(), 2);
    });
}
