//! Tests the user's own configuration of Sentry's Relay: what it may decide, and what the extension sets.

use super::{SECOND, logs};
use crate::flush::Environment;
use crate::support::{lambda_api::Subscription, layer::Layer, netns::isolated};
use serde_json::{Value, json};
use std::{fs, time::Duration};

/// Starts an environment with a configuration that has these settings.
async fn start(settings: Value) -> (Environment, Layer, tempfile::TempDir) {
    let layer = Layer::stand_in(&["exit", "ok"], Duration::ZERO);
    let folder = tempfile::tempdir().unwrap();
    let mut config: Value = serde_json::from_str(&layer.configuration()).unwrap();
    config.as_object_mut().unwrap().extend(settings.as_object().unwrap().clone());
    fs::write(folder.path().join("config.yml"), config.to_string()).unwrap();
    let file = folder.path().join("config.yml");
    let env = [("SENTRY_EXTENSION_RELAY_CONFIG", file.to_str().unwrap()), ("RELAY_SECRET_KEY", "s3cr3t")];
    let mut environment = Environment::start_with("continuous", Subscription::Accepted, &env).await;
    environment.run().await;
    (environment, layer, folder)
}

/// Returns the event of the second start.
async fn starts_with(settings: Value) -> Value {
    let (environment, layer, folder) = start(settings).await;
    logs(&environment.extension, "Sentry's Relay is ready").await;
    let started = layer.event("started", 2).await;
    assert_eq!(started["environment"]["RELAY_SECRET_KEY"], "s3cr3t");
    let words = started["arguments"].to_string();
    assert!(words.contains(folder.path().to_str().unwrap()), "{words}");
    for forced in ["--upstream=http://127.0.0.1:", "--host=127.0.0.1", "--port=", "--shutdown-timeout=1"] {
        assert!(words.contains(forced), "{words}");
    }
    environment.api.shutdown("spindown", 2 * SECOND);
    environment.extension.final_counts().await;
    started["arguments"].clone()
}

fn forces_proxy(arguments: &Value) -> bool {
    arguments.as_array().unwrap().contains(&json!("--mode=proxy"))
}

#[test]
fn its_mode_wins() {
    isolated(|| async {
        let arguments = starts_with(json!({ "relay": { "mode": "managed" } })).await;
        assert!(!forces_proxy(&arguments), "{arguments}");
    });
}

/// The default of the setting is the layer's own configuration, which a user may have replaced.
#[test]
fn the_mode_in_the_layers_configuration_wins() {
    isolated(|| async {
        let layer = Layer::stand_in(&["ok"], Duration::ZERO);
        let mut config: Value = serde_json::from_str(&layer.configuration()).unwrap();
        config["relay"] = json!({ "mode": "managed" });
        layer.configure(&config.to_string());
        let mut environment = Environment::start("continuous", Subscription::Accepted).await;
        environment.run().await;
        let started = layer.event("started", 1).await;
        assert!(!forces_proxy(&started["arguments"]), "{started}");
        assert!(started["arguments"].to_string().contains("--config=/opt/relay\""), "{started}");
        environment.finish([0; 4]).await;
    });
}

#[test]
fn without_a_mode_it_is_proxy() {
    isolated(|| async {
        let arguments = starts_with(json!({ "limits": { "max_concurrent_requests": 100 } })).await;
        assert!(forces_proxy(&arguments), "{arguments}");
    });
}

#[test]
fn the_mode_static_is_explained() {
    isolated(|| async {
        let (environment, layer, _folder) = start(json!({ "relay": { "mode": "static" } })).await;
        let line = logs(&environment.extension, "the built-in relay takes over").await;
        assert!(line.contains("does not have any more") && line.contains("`managed`"), "{line}");
        environment.finish([0; 4]).await;
        assert_eq!(layer.story(), [""; 0]);
    });
}
