//! An extension between a scripted Lambda and a misbehaving upstream, and its counts at the end.

use crate::support::{
    extension::Extension,
    lambda_api::LambdaApi,
    log::Log,
    scripted_upstream::ScriptedUpstream,
    sdk::{KEY, TUNNEL, report},
};
use serde_json::Value;
use std::time::Duration;

pub const SECOND: Duration = Duration::from_secs(1);

/// Lambda, extension and upstream. The test has to run in a network of its own (`isolated`).
pub struct DeliveryTest {
    pub upstream: ScriptedUpstream,
    pub api: LambdaApi,
    pub extension: Extension,
    asked: usize,
}

/// The counts that the extension logs at its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FinalCounts {
    pub accepted: u64,
    pub delivered: u64,
    pub rejected: u64,
    pub dropped: u64,
    pub unanswered: u64,
}

impl DeliveryTest {
    pub async fn start(env: &[(&str, &str)]) -> Self {
        let upstream = ScriptedUpstream::start(false).await;
        let dsn = upstream.dsn("127.0.0.1", KEY);
        Self::with(upstream, &[&[("SENTRY_DSN", &*dsn)], env].concat()).await
    }

    /// Starts with this upstream, which `env` has to name.
    pub async fn with(upstream: ScriptedUpstream, env: &[(&str, &str)]) -> Self {
        let api = LambdaApi::start().await;
        let extension = Extension::in_lambda(&api, &[&[("SENTRY_EXTENSION_LOG", "debug")], env].concat());
        api.asked(1).await;
        Self { upstream, api, extension, asked: 1 }
    }

    pub fn log(&self) -> Log {
        self.extension.log.clone()
    }

    /// Reports errors with these markers, as a function does.
    pub async fn reports(&self, markers: &[String]) {
        for marker in markers {
            assert_eq!(report(TUNNEL, marker).await, 200);
        }
    }

    /// An invocation that reports errors with these markers, until the next `/next`.
    pub async fn invoke(&mut self, markers: &[String]) {
        self.api.invoke();
        self.reports(markers).await;
        self.asked += 1;
        self.api.asked(self.asked).await;
    }

    /// In how many invocations so far the extension has waited for anything before it asked for the next event.
    pub async fn held(&self) -> usize {
        let lines = self.log().wait_for_lines("\"message\":\"flush\"", self.asked - 1).await;
        lines.iter().filter(|line| !line.contains("\"waited_for\":\"nothing\"")).count()
    }

    /// Sends SHUTDOWN with two seconds to go. Returns the counts, and the upstream for further checks.
    pub async fn shut_down(self) -> (FinalCounts, ScriptedUpstream) {
        let log = self.log();
        self.api.shutdown("spindown", 2 * SECOND);
        let [accepted, delivered, rejected, dropped] = self.extension.final_counts().await;
        let line = log.wait_for("\"message\":\"envelopes\"").await;
        let line: Value = serde_json::from_str(&line).unwrap();
        let unanswered = line["unanswered"].as_u64().unwrap();
        (FinalCounts { accepted, delivered, rejected, dropped, unanswered }, self.upstream)
    }
}

/// Returns the markers `prefix-0`, `prefix-1`, …
pub fn markers(prefix: &str, count: usize) -> Vec<String> {
    (0..count).map(|n| format!("{prefix}-{n}")).collect()
}
