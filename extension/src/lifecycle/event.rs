//! The events that `/event/next` returns. They are read leniently, because AWS's emulator and Lambda differ, and
//! because Lambda may add new kinds of events.

use crate::telemetry::RequestId;
use serde::Deserialize;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// An event from the Extensions API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The function has been invoked.
    Invoke {
        /// The invocation's identifier. It is empty if the event has none.
        request: RequestId,
        /// The wall-clock time at which Lambda ends the invocation.
        deadline: Option<SystemTime>,
        /// The ARN by which the function was invoked.
        arn: Option<String>,
        /// The tracing header of X-Ray.
        trace: Option<String>,
    },
    /// The environment is about to end.
    Shutdown {
        /// The wall-clock time at which Lambda kills all processes.
        deadline: Option<SystemTime>,
        /// The reason that Lambda gives, such as `spindown`, `timeout` or `failure`. The spelling differs between
        /// platforms.
        reason: String,
    },
    /// An event of another type, which is named here. A newer Lambda may send such events.
    Unknown(String),
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct EventJson {
    event_type: Option<String>,
    // Lambda sends an integer. If it is a float or a string, only the deadline is lost and not the whole event.
    deadline_ms: Option<serde_json::Value>,
    shutdown_reason: Option<serde_json::Value>,
    request_id: Option<serde_json::Value>,
    invoked_function_arn: Option<serde_json::Value>,
    tracing: Option<serde_json::Value>,
}

impl Event {
    /// Reads the body of a response. Returns `None` if it is not a JSON object.
    pub fn parse(body: &[u8]) -> Option<Self> {
        let json: EventJson = serde_json::from_slice(body).ok()?;
        let milliseconds = json.deadline_ms.as_ref().and_then(serde_json::Value::as_u64);
        let deadline = milliseconds.and_then(|ms| UNIX_EPOCH.checked_add(Duration::from_millis(ms)));
        let kind = json.event_type.unwrap_or_default();
        Some(match kind.as_str() {
            "INVOKE" => {
                let request = json.request_id.as_ref().and_then(|id| id.as_str()).unwrap_or_default();
                let short = |text: &str| text.chars().take(256).collect();
                let arn = json.invoked_function_arn.as_ref().and_then(|arn| arn.as_str()).map(short);
                let trace =
                    json.tracing.as_ref().and_then(|tracing| tracing.get("value")?.as_str()).map(short);
                Self::Invoke { request: RequestId::new(request), deadline, arn, trace }
            }
            "SHUTDOWN" => {
                let reason = json.shutdown_reason.as_ref().and_then(|r| r.as_str()).unwrap_or("unknown");
                Self::Shutdown { deadline, reason: reason.chars().take(64).collect() }
            }
            _ => Self::Unknown(kind.chars().take(64).collect()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_events_that_lambda_sends() {
        let invoke = br#"{"eventType":"INVOKE","deadlineMs":1700000000000,"requestId":"r",
            "invokedFunctionArn":"arn:aws:lambda:us-east-1:123456789012:function:f",
            "tracing":{"type":"X-Amzn-Trace-Id","value":"Root=1-5f35ae12"}}"#;
        let deadline = Some(UNIX_EPOCH + Duration::from_secs(1_700_000_000));
        let arn = Some("arn:aws:lambda:us-east-1:123456789012:function:f".to_owned());
        let trace = Some("Root=1-5f35ae12".to_owned());
        let event = Event::Invoke { request: RequestId::new("r"), deadline, arn, trace };
        assert_eq!(Event::parse(invoke), Some(event));
        let odd = br#"{"eventType":"INVOKE","requestId":"r","invokedFunctionArn":7,"tracing":[]}"#;
        let event = Event::Invoke { request: RequestId::new("r"), deadline: None, arn: None, trace: None };
        assert_eq!(Event::parse(odd), Some(event));
        for reason in ["spindown", "SandboxTerminated", "a reason of the future"] {
            let body = format!(
                r#"{{"eventType":"SHUTDOWN","shutdownReason":"{reason}","deadlineMs":1700000000000}}"#
            );
            let event = Event::Shutdown { deadline, reason: reason.to_owned() };
            assert_eq!(Event::parse(body.as_bytes()), Some(event));
        }
    }

    #[test]
    fn reads_events_with_missing_or_invalid_fields() {
        let lenient = br#"{"eventType":"SHUTDOWN","deadlineMs":"soon","shutdownReason":7}"#;
        let event = Event::Shutdown { deadline: None, reason: "unknown".to_owned() };
        assert_eq!(Event::parse(lenient), Some(event));
        let strange = br#"{"eventType":"RESTORE"}"#;
        assert_eq!(Event::parse(strange), Some(Event::Unknown("RESTORE".to_owned())));
        assert_eq!(Event::parse(b"{}"), Some(Event::Unknown(String::new())));
        assert_eq!(Event::parse(b"<html>"), None);
    }
}
