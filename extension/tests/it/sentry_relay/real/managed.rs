//! The mode `managed` of the real Sentry's Relay: registered with Sentry, it scrubs by the rules of the project.

use super::READY;
use crate::relay::delivery_test::SECOND;
use crate::support::{
    extension::Extension,
    lambda_api::LambdaApi,
    layer::Layer,
    log::Log,
    netns::isolated,
    sdk::{KEY, TUNNEL, envelope, item, post},
    sentry::{Received, Reply, Sentry, Transport},
    tools,
};
use serde_json::{Value, json};
use std::{fs, path::Path, process::Command, time::Duration};

const SECRET: &str = "4571 2345 6789 0111";

/// An environment with Sentry's Relay in the mode `managed`, and a Sentry that knows it.
pub struct Managed {
    pub api: LambdaApi,
    pub sentry: Sentry,
    pub extension: Extension,
    _layer: Layer,
    _folder: tempfile::TempDir,
}

impl Managed {
    /// `configs` decides the response to a request for project configs.
    async fn start(relay: &str, configs: impl Fn() -> Reply + Send + Sync + 'static) -> Self {
        Self::start_with(&[("SENTRY_EXTENSION_RELAY", relay)], configs).await
    }

    /// Does the same with these settings.
    pub async fn start_with(
        settings: &[(&str, &str)],
        configs: impl Fn() -> Reply + Send + Sync + 'static,
    ) -> Self {
        Self::start_under(LambdaApi::start().await, settings, configs).await
    }

    /// Does the same under this Lambda.
    pub async fn start_under(
        api: LambdaApi,
        settings: &[(&str, &str)],
        configs: impl Fn() -> Reply + Send + Sync + 'static,
    ) -> Self {
        let layer = super::layer();
        let folder = tempfile::tempdir().unwrap();
        register(folder.path());
        let sentry = Sentry::start(Transport::Plain).await;
        let global = |body: &[u8]| {
            let asked: Value = serde_json::from_slice(body).unwrap_or_default();
            asked["publicKeys"].as_array().is_none_or(Vec::is_empty)
        };
        sentry.answer_api(move |path, body| match path {
            "/api/0/relays/register/challenge/" | "/api/0/relays/register/response/" => {
                let asked: Value = serde_json::from_slice(body).unwrap();
                // The token is of the form that Sentry signs, and Sentry's Relay only hands it back.
                answer(&json!({ "relay_id": asked["relay_id"], "token": "123" }))
            }
            "/api/0/relays/projectconfigs/" if global(body) => answer(
                &json!({ "configs": {}, "global": { "measurements": null }, "global_status": "ready" }),
            ),
            "/api/0/relays/projectconfigs/" => configs(),
            _ => Reply::status(404),
        });
        let dsn = sentry.dsn(KEY, "42");
        let config = folder.path().to_str().unwrap().to_owned();
        let env = [
            ("SENTRY_DSN", &*dsn),
            ("SENTRY_EXTENSION_LOG", "debug"),
            ("SENTRY_EXTENSION_TIMEOUT", "10s"),
            ("SENTRY_EXTENSION_RELAY_CONFIG", &config),
        ];
        let extension = Extension::in_lambda(&api, &[&env, settings].concat());
        api.asked(1).await;
        Self { api, sentry, extension, _layer: layer, _folder: folder }
    }

    /// Sends an event with a card number and a password.
    async fn report(&self) {
        let event = json!({
            "event_id": "9ec79c33ec9942ab8353589fcb2e04dc",
            "marker": "managed",
            "message": format!("card {SECRET} refused"),
            "extra": { "password": "hunter2", "order": "4711" },
        });
        assert_eq!(post(TUNNEL, item("event", &event)).await, 200);
    }

    /// Ends the environment. Returns its counts, its log, and Sentry.
    pub async fn end(self) -> ([u64; 4], Log, Sentry) {
        let log = self.extension.log.clone();
        self.api.shutdown("spindown", 2 * SECOND);
        (self.extension.final_counts().await, log, self.sentry)
    }
}

/// Makes credentials and a configuration in this folder, as a user does.
fn register(folder: &Path) {
    fs::write(folder.join("config.yml"), super::CONFIG.replace("mode: proxy", "mode: managed")).unwrap();
    let made = Command::new(tools::sentry_relay())
        .args(["--config", folder.to_str().unwrap(), "credentials", "generate"])
        .output()
        .unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
}

fn answer(body: &Value) -> Reply {
    Reply::ok().header("content-type", "application/json").body(body.to_string())
}

/// The config of a project whose rules remove card numbers and passwords.
fn rules() -> Reply {
    project(&json!({
        "piiConfig": { "rules": {}, "applications": { "$string": ["@creditcard"], "**": ["@password"] } },
    }))
}

/// A project with this in its config.
pub fn project(more: &Value) -> Reply {
    let mut config = json!({ "allowedDomains": ["*"], "trustedRelays": [] });
    config.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    answer(&json!({ "pending": [], "configs": { KEY: {
        "projectId": 42,
        "slug": "shop",
        "publicKeys": [{ "publicKey": KEY, "isEnabled": true, "numericId": 1 }],
        "rev": "5ceaea8c919811e8ae7daae9fe877901",
        "disabled": false,
        "lastFetch": "2026-11-26T00:00:00.000Z",
        "lastChange": "2026-11-26T00:00:00.000Z",
        "organizationId": 1,
        "config": config,
    } } }))
}

/// A project with a filter for the message of the event that the tests send.
fn filter() -> Reply {
    project(&json!({ "filterSettings": { "errorMessages": { "patterns": ["card * refused"] } } }))
}

fn scrubbed(one: &Received) -> bool {
    let Some(event) = one.envelope.item("event").map(crate::support::envelope::Item::json) else {
        return false;
    };
    let text = event.to_string();
    assert!(!text.contains(SECRET) && !text.contains("hunter2"), "{text}");
    assert_eq!(event["extra"]["order"], "4711");
    text.contains("[creditcard]")
}

#[test]
fn card_numbers_and_passwords_do_not_leave() {
    isolated(|| async {
        for relay in ["auto", "only"] {
            let managed = Managed::start(relay, rules).await;
            managed.report().await;
            let found = managed.sentry.wait_for("the event", scrubbed).await;
            let names: Vec<&String> = found.envelope.header.keys().collect();
            assert_eq!(names, ["event_id", "sent_at"], "{:?}", found.envelope.header);
            assert!(found.headers.contains_key("x-sentry-relay-signature"));
            let (counts, ..) = managed.end().await;
            assert_eq!(counts, [1, 1, 0, 0]);
        }
    });
}

#[test]
fn all_parts_of_an_envelope_arrive_once() {
    isolated(|| async {
        let managed = Managed::start("only", rules).await;
        let session = json!({ "sid": "7c7b6585-f901-4351-bf8d-02711b721929", "started": "2026-11-27T07:00:00Z",
            "init": true, "attrs": { "release": "shop@1" } });
        let id = "7c7b6585f9014351bf8d02711b721929";
        let check_in = json!({ "check_in_id": id, "monitor_slug": "nightly", "status": "ok" });
        let further = [("session", session), ("check_in", check_in)];
        let further = further.map(|(kind, payload)| format!("{{\"type\":\"{kind}\"}}\n{payload}\n"));
        let body = envelope("parts", &["event", "from_the_future"]) + &further.concat();
        assert_eq!(post(TUNNEL, body).await, 200);
        let kinds = ["event", "from_the_future", "session", "check_in"];
        for kind in kinds {
            managed.sentry.wait_for(kind, |one| one.envelope.item(kind).is_some()).await;
        }
        let (counts, log, sentry) = managed.end().await;
        assert_eq!((counts, sentry.received().len()), ([4, 4, 0, 0], 4), "{}", log.text());
    });
}

#[test]
fn what_a_filter_of_the_project_drops_is_counted_and_its_reason_logged() {
    isolated(|| async {
        let managed = Managed::start("only", filter).await;
        managed.report().await;
        // Sentry's Relay collects what it has dropped for some seconds before it reports that to Sentry.
        let line = managed.extension.log.wait_for("Sentry's Relay has dropped data by its rules").await;
        assert!(line.contains("\"reasons\":\"error-message=1\""), "{line}");
        let reported = |one: &Received| one.envelope.item("client_report").is_some();
        managed.sentry.wait_for("the client report of Sentry's Relay", reported).await;
        let (counts, log, sentry) = managed.end().await;
        assert_eq!(counts, [2, 1, 0, 1], "{}", log.text());
        assert!(log.contains("relay_filtered=1"), "{}", log.text());
        assert!(sentry.received().iter().all(|one| one.envelope.item("event").is_none()));
    });
}

#[test]
fn a_slow_project_config_is_waited_for() {
    isolated(|| async {
        // It takes longer than an envelope may take without a reason.
        let managed = Managed::start("only", || rules().after(Duration::from_millis(2500))).await;
        managed.report().await;
        managed.sentry.wait_for("the event", scrubbed).await;
        let (counts, log, _) = managed.end().await;
        assert_eq!(counts, [1, 1, 0, 0], "{}", log.text());
    });
}

#[test]
fn without_a_project_config_nothing_leaves_if_only_sentrys_relay_may_send() {
    isolated(|| async {
        let managed = Managed::start("only", || Reply::status(500)).await;
        managed.report().await;
        managed.extension.log.wait_for(READY).await;
        tokio::time::sleep(5 * SECOND).await;
        let (counts, log, sentry) = managed.end().await;
        assert_eq!(counts, [1, 0, 0, 1]);
        assert!(log.contains("relay_unavailable=1"), "{}", log.text());
        assert!(sentry.received().is_empty());
    });
}

#[test]
fn without_a_project_config_the_original_leaves_at_the_end_where_that_is_allowed() {
    isolated(|| async {
        let managed = Managed::start("auto", || Reply::status(500)).await;
        managed.report().await;
        managed.extension.log.wait_for(READY).await;
        let (counts, log, sentry) = managed.end().await;
        assert_eq!(counts, [1, 1, 0, 0], "{}", log.text());
        assert_eq!(sentry.received().len(), 1);
    });
}
