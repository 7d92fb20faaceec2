//! Tests from Lambda's side when `/next` is held, what is delivered by then, and what that costs.

mod docs;
mod holds;
mod telemetry;

use crate::support::{
    UNREACHED,
    extension::Extension,
    lambda_api::{LambdaApi, Subscription},
    sdk::{self, KEY, TUNNEL},
    sentry::{Received, Sentry, Transport},
};
use std::time::{Duration, Instant};

pub const SECOND: Duration = Duration::from_secs(1);
/// A time that is long enough to distinguish a hold from a slow machine.
pub const HELD: Duration = Duration::from_millis(300);

/// An execution environment: a scripted Lambda, a stand-in for Sentry, and the extension.
pub struct Environment {
    pub api: LambdaApi,
    pub sentry: Sentry,
    pub extension: Extension,
    invocations: usize,
    pub deadline: Duration,
}

impl Environment {
    pub async fn start(flush: &str, telemetry: Subscription) -> Self {
        Self::start_with(flush, telemetry, &[]).await
    }

    pub async fn start_with(flush: &str, telemetry: Subscription, settings: &[(&str, &str)]) -> Self {
        let api = LambdaApi::start().await;
        api.telemetry(telemetry);
        let sentry = Sentry::start(Transport::Plain).await;
        let dsn = sentry.dsn(KEY, "42");
        let far = format!("{}s", UNREACHED.as_secs());
        let env = [
            ("SENTRY_DSN", &*dsn),
            ("SENTRY_EXTENSION_FLUSH", flush),
            ("SENTRY_EXTENSION_LOG", "debug"),
            ("SENTRY_EXTENSION_TIMEOUT", &*far),
        ];
        let extension = Extension::in_lambda(&api, &[&env, settings].concat());
        api.asked(1).await;
        if matches!(telemetry, Subscription::Accepted) {
            // Telemetry is trusted now, even if a busy machine let the subscription take longer than the extension
            // waits.
            api.done("earlier").await;
        }
        Self { api, sentry, extension, invocations: 0, deadline: UNREACHED }
    }

    /// Starts an invocation.
    pub fn invoke(&mut self) -> String {
        self.invocations += 1;
        let request = format!("request-{}", self.invocations);
        self.api.invoke_as(&request, self.deadline);
        request
    }

    /// Starts an invocation, and sends the telemetry of its start.
    pub async fn run(&mut self) -> String {
        // This is sent before INVOKE, because after INVOKE the extension waits only 250 ms for the start record.
        self.api.started(&format!("request-{}", self.invocations + 1)).await;
        self.invoke()
    }

    /// Waits for the `/next` after the latest invocation, and returns when it came.
    pub async fn released(&self) -> Instant {
        self.api.asked(self.invocations + 1).await
    }

    /// Checks that the extension has finished the latest invocation without waiting for anything.
    pub async fn was_not_held(&self) {
        self.released().await;
        let line = format!("\"flush\",\"request\":\"request-{}\"", self.invocations);
        let line = self.extension.log.wait_for(&line).await;
        assert!(line.contains("\"waited_for\":\"nothing\""), "{line}");
    }

    pub fn is_held(&self) -> bool {
        self.api.asked_so_far() <= self.invocations
    }

    pub async fn stays_held(&self) {
        tokio::time::sleep(HELD).await;
        assert!(self.is_held(), "not held:\n{}", self.extension.log.text());
    }

    pub async fn finish(self, counts: [u64; 4]) {
        self.finish_with_sentry(counts).await;
    }

    /// Does the same, and returns the stand-in for Sentry with everything that it got until the end.
    pub async fn finish_with_sentry(self, counts: [u64; 4]) -> Sentry {
        self.api.shutdown("spindown", 2 * SECOND);
        let log = self.extension.log.clone();
        assert_eq!(self.extension.final_counts().await, counts, "{}", log.text());
        assert!(self.api.violations().is_empty(), "{:?}", self.api.violations());
        self.sentry
    }
}

pub async fn report(marker: &str) {
    assert_eq!(sdk::report(TUNNEL, marker).await, 200);
}

pub fn is_event_with(marker: &str) -> impl Fn(&Received) -> bool + '_ {
    move |one| one.envelope.item("event").is_some_and(|event| event.json()["marker"] == marker)
}
