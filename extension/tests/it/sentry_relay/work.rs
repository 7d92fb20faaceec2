//! Tests Sentry's Relay when nothing fails.

use super::{SECOND, logs, start, start_with};
use crate::flush::{is_event_with, report};
use crate::support::{extension::Extension, lambda_api::LambdaApi, layer::Layer, netns::isolated};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

fn since_epoch(instant: Instant) -> f64 {
    (SystemTime::now() - instant.elapsed()).duration_since(UNIX_EPOCH).unwrap().as_secs_f64()
}

#[test]
fn relay_starts_behind_the_first_next_with_what_it_needs_and_nothing_else() {
    isolated(|| async {
        let layer = Layer::stand_in(&["ok"], Duration::ZERO);
        let api = LambdaApi::start().await;
        // The registration takes long enough to show a Relay that is started too early.
        api.refuse(&[500, 500, 500]);
        let settings = [
            ("SENTRY_DSN", "http://5b0ff8a1e2c94d7fb7a3c1d2e4f60718@sentry.example.com/42"),
            ("AWS_SECRET_ACCESS_KEY", "secret"),
            ("HTTPS_PROXY", "http://proxy.corp:3128"),
        ];
        let extension = Extension::in_lambda(&api, &settings);
        let asked = api.asked(1).await;
        let started = layer.event("started", 1).await;
        assert!(started["at"].as_f64().unwrap() > since_epoch(asked), "{started}");
        let words: Vec<_> =
            started["arguments"].as_array().unwrap().iter().map(|word| word.as_str().unwrap()).collect();
        let upstream = "--upstream=http://sentry.example.com/";
        assert_eq!(words[..4], ["run", "--mode=proxy", upstream, "--host=127.0.0.1"]);
        assert_eq!(words[5..], ["--shutdown-timeout=1", "--config=/opt/relay"]);
        assert_eq!(started["environment"]["HTTPS_PROXY"], "http://proxy.corp:3128");
        assert!(started["environment"].get("AWS_SECRET_ACCESS_KEY").is_none(), "{started}");
        assert_eq!(started["group"], started["pid"]);

        let line = logs(&extension, "relay: stand-in starts").await;
        assert!(line.len() < 1200 && line.contains("for 5b0ff8a1… xxx"), "{line}");
        api.shutdown("spindown", 2 * SECOND);
        assert_eq!(extension.final_counts().await, [0; 4]);
    });
}

#[test]
fn next_waits_for_the_barrier_behind_the_last_envelope() {
    isolated(|| async {
        let (mut environment, layer) = start("end", &["ok"], SECOND / 3).await;
        let request = environment.run().await;
        // Envelopes are accepted while Sentry's Relay still starts.
        for marker in ["one", "two"] {
            report(marker).await;
        }
        environment.api.done(&request).await;
        // And for nothing else: it has no other bound here.
        environment.released().await;
        assert_eq!(environment.sentry.received().len(), 2, "{:?}", layer.story());
        assert!(environment.sentry.received().iter().any(|one| is_event_with("two")(one)));
        assert!(environment.sentry.violations().is_empty(), "{:?}", environment.sentry.violations());
        environment.finish([2, 2, 0, 0]).await;
    });
}

#[test]
fn a_hold_without_envelopes_costs_no_barrier() {
    isolated(|| async {
        let (mut environment, layer) = start("end", &["ok"], Duration::ZERO).await;
        logs(&environment.extension, "Sentry's Relay is ready").await;
        let request = environment.run().await;
        environment.api.done(&request).await;
        environment.released().await;
        environment.finish([0; 4]).await;
        assert!(!layer.story().contains(&"barrier".to_owned()), "{:?}", layer.story());
    });
}

#[test]
fn what_nobody_waits_for_is_pushed_and_accounted_for() {
    isolated(|| async {
        let (mut environment, layer) = start("continuous", &["ok"], Duration::ZERO).await;
        environment.run().await;
        report("one").await;
        environment.released().await;
        layer.event("passed", 1).await;
        environment.finish([1, 1, 0, 0]).await;
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
        let relay = &layer.event("barrier", 1).await["pid"];
        let relay = Pid::from_raw(i32::try_from(relay.as_i64().unwrap()).unwrap());
        kill(relay, Signal::SIGSTOP).unwrap();
        environment.extension.freeze();
        tokio::time::sleep(4 * SECOND).await;
        kill(relay, Signal::SIGCONT).unwrap();
        environment.extension.thaw();
        layer.event("passed", 1).await;
        let log = environment.extension.log.clone();
        environment.finish([1, 1, 0, 0]).await;
        assert!(!log.contains("started again") && !log.contains("\"warn\""), "{}", log.text());
    });
}
