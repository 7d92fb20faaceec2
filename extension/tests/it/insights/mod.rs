//! Tests what the extension itself reports to Sentry, under the scripted Lambda.

mod bad_records;
mod emulator;
mod errors;
mod faults;
mod logs;
mod managed;
mod measurements;
mod spans;
mod traced;
mod valid;

use valid::normalised;

use crate::support::{
    extension::Extension,
    lambda_api::{LambdaApi, Subscription, record},
    sdk::KEY,
    sentry::{Received, Sentry, Transport},
};
use serde_json::{Value, json};
use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

pub const SECOND: Duration = Duration::from_secs(1);
/// The time that an invocation may take.
pub const DEADLINE: Duration = Duration::from_secs(3);

/// Tells whether a text names a time-out of this many seconds at most. The extension counts from when it reads INVOKE,
/// so each whole second by which a busy machine delays that is missing.
pub fn names_time_out(text: &str, limit: Duration) -> bool {
    let seconds =
        text.strip_prefix("Task timed out after ").and_then(|rest| rest.strip_suffix(".00 seconds"));
    seconds
        .and_then(|seconds| seconds.parse().ok())
        .is_some_and(|seconds| (1..=limit.as_secs()).contains(&seconds))
}

/// An environment: a scripted Lambda, a stand-in for Sentry, and the extension.
pub struct Environment {
    pub api: LambdaApi,
    pub sentry: Sentry,
    pub extension: Extension,
    pub asked: usize,
}

impl Environment {
    pub async fn start(telemetry: Subscription, settings: &[(&str, &str)]) -> Self {
        let api = LambdaApi::start().await;
        api.telemetry(telemetry);
        let sentry = Sentry::start(Transport::Plain).await;
        let dsn = sentry.dsn(KEY, "42");
        let env = [
            ("SENTRY_DSN", &*dsn),
            ("SENTRY_EXTENSION_LOG", "debug"),
            ("AWS_LAMBDA_FUNCTION_NAME", "orders"),
            ("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST"),
            ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "256"),
            ("AWS_REGION", "eu-central-1"),
        ];
        let extension = Extension::in_lambda(&api, &[&env, settings].concat());
        api.asked(1).await;
        Self { api, sentry, extension, asked: 1 }
    }

    /// Begins an invocation, and waits until the extension has asked for the next event.
    pub async fn invoke(&mut self, request: &str) {
        self.api.invoke_as(request, DEADLINE);
        self.asked += 1;
        self.api.asked(self.asked).await;
    }

    pub async fn post_telemetry(&self, kind: &str, body: &Value) {
        self.api.post_telemetry(&json!([record(kind, body)])).await;
    }

    pub async fn runtime_done(&self, request: &str, status: &str, error_type: Option<&str>) {
        let mut body = json!({ "requestId": request, "status": status, "metrics": { "durationMs": 2999.5 } });
        if let Some(error_type) = error_type {
            body["errorType"] = error_type.into();
        }
        self.post_telemetry("platform.runtimeDone", &body).await;
    }

    /// Ends the environment, and returns the faults that Sentry has received.
    pub async fn end(self, reason: &str) -> Vec<Value> {
        self.api.shutdown(reason, 2 * SECOND);
        self.ended().await
    }

    /// Ends the environment, and then a record arrives. The extension is frozen meanwhile, so it finds both at the same
    /// time, and reads SHUTDOWN first.
    pub async fn end_with(self, reason: &str, kind: &str, body: &Value) -> Vec<Value> {
        let to = self.api.destination().await;
        let body = json!([record(kind, body)]).to_string();
        self.extension.freeze();
        self.api.shutdown(reason, 2 * SECOND);
        // The scripted Lambda is on this thread, and writes SHUTDOWN meanwhile.
        tokio::time::sleep(Duration::from_millis(20)).await;
        let mut posted = std::net::TcpStream::connect(to).unwrap();
        write!(posted, "POST / HTTP/1.1\r\nhost: sandbox\r\ncontent-length: {}\r\n\r\n{body}", body.len())
            .unwrap();
        self.extension.thaw();
        self.ended().await
    }

    /// Waits for the end, and returns the faults that Sentry has received.
    pub async fn ended(self) -> Vec<Value> {
        let (status, log) = self.extension.ended().await;
        assert!(status.success(), "{status}:\n{}", log.text());
        assert!(self.api.violations().is_empty(), "{:?}", self.api.violations());
        assert!(self.sentry.violations().is_empty(), "{:?}", self.sentry.violations());
        faults(&self.sentry.received())
    }
}

/// Returns the events of faults among these envelopes.
pub fn faults(received: &[Arc<Received>]) -> Vec<Value> {
    let events = received.iter().filter_map(|one| Some(one.envelope.item("event")?.json()));
    events.filter(|event| event["logger"] == "aws.lambda").collect()
}

/// Returns the kind of a fault, which its tag names.
pub fn kind(event: &Value) -> &str {
    event["tags"]["lambda.fault"].as_str().unwrap_or_default()
}
