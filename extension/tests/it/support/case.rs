//! The common part of all end-to-end tests: a layer under RIE, a stand-in for Sentry, and the checks at the end.

use super::{
    function::Function,
    log::Log,
    rie::Rie,
    sentry::{Received, Sentry, Transport},
    tools::Arch,
};
use serde_json::{Value, json};
use std::{sync::Arc, time::SystemTime};

/// The public key and the project of the DSN.
pub const KEY: &str = "5b0ff8a1e2c94d7fb7a3c1d2e4f60718";
pub const PROJECT: &str = "4242";

/// A function with the layer attached.
pub struct Case {
    pub rie: Rie,
    pub sentry: Sentry,
    /// A text that is unique to this run. Whatever arrives with it was sent by this case.
    pub marker: String,
}

impl Case {
    pub async fn deploy(arch: Arch, function: Function) -> Self {
        let sentry = Sentry::start(Transport::Tls).await;
        let rie = Rie::start(arch, function.reports_to(&sentry, KEY, PROJECT)).await;
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
        Self { rie, sentry, marker: format!("case-{:x}", now.as_nanos()) }
    }

    /// Invokes the function with the marker and the fields of `event`. The response has to be the marker.
    pub async fn invoke(&mut self, mut event: Value) {
        event["marker"] = json!(self.marker);
        let answer = self.rie.invoke(&event).await;
        assert_eq!(answer, json!({ "marker": self.marker }), "{}", self.rie.log.text());
    }

    /// Invokes the function, which has to fail with an error that contains the marker.
    pub async fn fails(&mut self, mut event: Value) {
        event["marker"] = json!(self.marker);
        let answer = self.rie.invoke(&event).await;
        let said = answer["errorMessage"].as_str().is_some_and(|text| text.contains(&self.marker));
        assert!(said, "{answer}:\n{}", self.rie.log.text());
    }

    /// Waits for an item of this type whose payload has the marker at this JSON pointer.
    pub async fn arrives(&self, kind: &str, pointer: &str) -> Arc<Received> {
        let wanted = |one: &Received| {
            one.envelope.items.iter().filter(|item| item.kind() == kind).any(|item| {
                let payload = item.json();
                let found = payload.pointer(pointer).and_then(Value::as_str);
                found.is_some_and(|text| text.contains(&self.marker))
            })
        };
        let found = self.sentry.wait_for(&format!("{kind} with {pointer}"), wanted).await;
        assert_eq!((&found.key[..], &found.project[..]), (KEY, PROJECT));
        found
    }

    /// Ends the environment, and makes the checks that every case has in common.
    pub async fn finish(self) {
        self.rie.terminate();
        self.ended().await;
    }

    /// Waits for the end of an environment that was told to end. Returns the log, and the stand-in with all envelopes.
    pub async fn ended(self) -> (Log, Sentry) {
        let log = self.rie.ended().await;
        let registered = log.text().lines().any(|line| {
            line.contains("External agent sentry-lambda-extension (")
                && line.contains(") registered, subscribed to [INVOKE SHUTDOWN]")
        });
        assert!(registered, "not registered for INVOKE and SHUTDOWN:\n{}", log.text());
        assert!(log.contains(r#""message":"shutting down""#), "no SHUTDOWN:\n{}", log.text());
        for bad in ["fatal error", "Sending SIGKILL", "Extension.Crash", "panicked"] {
            assert!(!log.contains(bad), "{bad:?} in:\n{}", log.text());
        }
        let violations = self.sentry.violations();
        assert!(violations.is_empty(), "{violations:#?}\n{}", log.text());
        (log, self.sentry)
    }
}
