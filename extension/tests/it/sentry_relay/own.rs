//! Tests the user's own configuration of Sentry's Relay: what it may decide, and what it should contain.

use super::{SECOND, logs};
use crate::flush::Environment;
use crate::support::{lambda_api::Subscription, layer::Layer, netns::isolated};
use serde_json::{Value, json};
use std::{fs, time::Duration};

const WARNING: &str = "SENTRY_EXTENSION_RELAY_CONFIG has no `max_concurrent_requests: 1`";

/// Returns the event of the second start, and how often the extension has warned.
async fn starts_with(settings: Value) -> (Value, usize) {
    let layer = Layer::stand_in(&["exit", "ok"], Duration::ZERO);
    let folder = tempfile::tempdir().unwrap();
    let mut config: Value = serde_json::from_str(&layer.configuration()).unwrap();
    config.as_object_mut().unwrap().extend(settings.as_object().unwrap().clone());
    fs::write(folder.path().join("config.yml"), config.to_string()).unwrap();
    let file = folder.path().join("config.yml");
    let env = [("SENTRY_EXTENSION_RELAY_CONFIG", file.to_str().unwrap()), ("RELAY_SECRET_KEY", "s3cr3t")];
    let environment = Environment::start_with("continuous", Subscription::Accepted, &env).await;
    logs(&environment.extension, "Sentry's Relay is ready").await;
    let started = layer.event("started", 2).await;
    assert_eq!(started["environment"]["RELAY_SECRET_KEY"], "s3cr3t");
    let words = started["arguments"].to_string();
    assert!(words.contains(folder.path().to_str().unwrap()), "{words}");
    for forced in ["--upstream=", "--host=127.0.0.1", "--port=", "--shutdown-timeout=1"] {
        assert!(words.contains(forced), "{words}");
    }
    let log = environment.extension.log.clone();
    environment.api.shutdown("spindown", 2 * SECOND);
    environment.extension.final_counts().await;
    (started["arguments"].clone(), log.text().matches(WARNING).count())
}

fn forces_proxy(arguments: &Value) -> bool {
    arguments.as_array().unwrap().contains(&json!("--mode=proxy"))
}

#[test]
fn its_mode_wins() {
    isolated(|| async {
        let settings = json!({ "relay": { "mode": "managed" }, "limits": { "max_concurrent_requests": 1 } });
        let (arguments, warnings) = starts_with(settings).await;
        assert!(!forces_proxy(&arguments), "{arguments}");
        assert_eq!(warnings, 0);
    });
}

#[test]
fn without_a_mode_it_is_proxy_and_a_barrier_that_leaks_is_warned_of_once() {
    isolated(|| async {
        let settings = json!({ "limits": { "max_concurrent_requests": 100 } });
        let (arguments, warnings) = starts_with(settings).await;
        assert!(forces_proxy(&arguments), "{arguments}");
        assert_eq!(warnings, 1);
    });
}
