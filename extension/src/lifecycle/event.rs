//! What `/event/next` answers, read leniently: RIE and Lambda differ, and unknown kinds will come.

use crate::telemetry::RequestId;
use serde::Deserialize;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// An event of the lifecycle.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The function is invoked.
    Invoke {
        /// Its name; empty where there is none.
        request: RequestId,
        /// When the invocation will be ended, by the wall clock.
        deadline: Option<SystemTime>,
        /// The ARN that it was invoked by.
        arn: Option<String>,
        /// X-Ray's header.
        trace: Option<String>,
    },
    /// The environment ends.
    Shutdown {
        /// When the processes will be killed, by the wall clock.
        deadline: Option<SystemTime>,
        /// `spindown`, `timeout`, `failure`, in whatever spelling.
        reason: String,
    },
    /// Something newer than this extension.
    Unknown(String),
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct EventJson {
    event_type: Option<String>,
    // Lambda sends an integer; a float or a string must not cost the whole event.
    deadline_ms: Option<serde_json::Value>,
    shutdown_reason: Option<serde_json::Value>,
    request_id: Option<serde_json::Value>,
    invoked_function_arn: Option<serde_json::Value>,
    tracing: Option<serde_json::Value>,
}

impl Event {
    /// Reads an answer's body; `None`: not even JSON.
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
    fn what_lambda_sends() {
        let invoke = br#"{"eventType":"INVOKE","deadlineMs":1700000000000,"requestId":"r","invokedFunctionArn":"arn:aws:lambda:us-east-1:123456789012:function:f","tracing":{"type":"X-Amzn-Trace-Id","value":"Root=1-5f35ae12"}}"#;
        let deadline = Some(UNIX_EPOCH + Duration::from_secs(1_700_000_000));
        let arn = Some("arn:aws:lambda:us-east-1:123456789012:function:f".to_owned());
        let trace = Some("Root=1-5f35ae12".to_owned());
        let event = Event::Invoke { request: RequestId::new("r"), deadline, arn, trace };
        assert_eq!(Event::parse(invoke), Some(event));
        let bare = br#"{"eventType":"INVOKE","requestId":"r","invokedFunctionArn":7,"tracing":[]}"#;
        let event = Event::Invoke { request: RequestId::new("r"), deadline: None, arn: None, trace: None };
        assert_eq!(Event::parse(bare), Some(event));
        for reason in ["spindown", "SandboxTerminated", "a reason of the future"] {
            let body = format!(
                r#"{{"eventType":"SHUTDOWN","shutdownReason":"{reason}","deadlineMs":1700000000000}}"#
            );
            let event = Event::Shutdown { deadline, reason: reason.to_owned() };
            assert_eq!(Event::parse(body.as_bytes()), Some(event));
        }
    }

    #[test]
    fn what_nobody_should_send() {
        let lenient = br#"{"eventType":"SHUTDOWN","deadlineMs":"soon","shutdownReason":7}"#;
        let event = Event::Shutdown { deadline: None, reason: "unknown".to_owned() };
        assert_eq!(Event::parse(lenient), Some(event));
        let strange = br#"{"eventType":"RESTORE"}"#;
        assert_eq!(Event::parse(strange), Some(Event::Unknown("RESTORE".to_owned())));
        assert_eq!(Event::parse(b"{}"), Some(Event::Unknown(String::new())));
        assert_eq!(Event::parse(b"<html>"), None);
    }
}
