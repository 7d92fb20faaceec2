//! The events that `/event/next` returns. They are read leniently, because AWS's emulator and Lambda differ, and
//! because Lambda may add new kinds of events.

use crate::telemetry::{Fields, Number, RequestId, Text};
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

/// Longer names of the function and headers of X-Ray are cut, in bytes.
const LONG: usize = 256;
/// Longer reasons and kinds of events are cut, in bytes.
const SHORT: usize = 64;

impl Event {
    /// Reads the body of a response. Returns `None` if it is not a JSON object. A field of an unexpected type counts as
    /// missing, so that it does not cost the whole event.
    pub fn parse(body: &[u8]) -> Option<Self> {
        let fields = Fields::of_event(body)?;
        let deadline = fields.number(Number::DeadlineMs).and_then(time);
        Some(match fields.text(Text::EventType).unwrap_or_default() {
            "INVOKE" => Self::Invoke {
                request: RequestId::new(fields.text(Text::RequestId).unwrap_or_default()),
                deadline,
                arn: fields.short(Text::FunctionArn, LONG),
                trace: fields.short(Text::Tracing, LONG),
            },
            "SHUTDOWN" => {
                let reason =
                    fields.short(Text::ShutdownReason, SHORT).unwrap_or_else(|| "unknown".to_owned());
                Self::Shutdown { deadline, reason }
            }
            _ => Self::Unknown(fields.short(Text::EventType, SHORT).unwrap_or_default()),
        })
    }
}

/// The time that is this many milliseconds after 1970. `None` if no clock can show it.
fn time(milliseconds: f64) -> Option<SystemTime> {
    // What is larger than the type is the largest value, which no clock can show either. Lambda sends an integer.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    let milliseconds = milliseconds as u64;
    UNIX_EPOCH.checked_add(Duration::from_millis(milliseconds))
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
