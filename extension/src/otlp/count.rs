//! Counts the spans or logs in a request, for rate limits and client reports. The request itself goes to Sentry as the
//! client has sent it.

use super::Signal;
use super::message::Message;
use super::value::{Fields, Malformed};

/// The three lists around spans and logs.
const SPANS: [Fields; 3] = [&[(1, "resourceSpans")], &[(2, "scopeSpans")], &[(2, "spans")]];
const LOGS: [Fields; 3] = [&[(1, "resourceLogs")], &[(2, "scopeLogs")], &[(2, "logRecords")]];

/// Returns the number of spans or logs. Fails if the lists around them, or the messages in them, are malformed. What is
/// within a span or a log is for Sentry to judge.
pub(crate) fn count(signal: Signal, request: Message<'_>) -> Result<u32, Malformed> {
    let [resources, scopes, items] = if signal == Signal::Logs { LOGS } else { SPANS };
    let mut count = 0_u32;
    request.visit_messages(resources, &mut |resource| {
        resource.visit_messages(scopes, &mut |scope| {
            scope.visit_messages(items, &mut |_| {
                count = count.saturating_add(1);
                Ok(())
            })
        })
    })?;
    Ok(count)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::otlp::samples::message;

    #[test]
    fn spans_and_logs_are_counted_in_both_encodings() {
        let span: (u32, &[u8]) = (2, b"\x2a\x01x");
        let scope = |spans: usize| message(&[(2, &message(&vec![span; spans]))]);
        let request =
            message(&[(1, &scope(2)), (1, &scope(0)), (1, &message(&[(1, b""), (2, b"")])), (1, &scope(1))]);
        for signal in [Signal::Traces, Signal::Logs] {
            assert_eq!(count(signal, Message::Protobuf(&request)), Ok(3));
        }
        let json = r#"{"resourceSpans":[{"resource":{},"scopeSpans":[{"spans":[{},{"name":"x"}]},{}]},{}],
            "resourceLogs":[{"scopeLogs":[{"logRecords":[{}]}]}]}"#;
        assert_eq!(count(Signal::Traces, Message::Json(json)), Ok(2));
        assert_eq!(count(Signal::Logs, Message::Json(json)), Ok(1));
        assert_eq!(count(Signal::Traces, Message::Protobuf(b"")), Ok(0));
    }

    #[test]
    fn what_is_no_request_is_malformed() {
        for json in
            ["", "[]", r#"{"resourceSpans":[7]}"#, r#"{"resourceSpans":[{"scopeSpans":[{"spans":"x"}]}]}"#]
        {
            assert!(count(Signal::Traces, Message::Json(json)).is_err(), "{json}");
        }
        for protobuf in [&b"\x0a\x05"[..], b"\x0a\x02\x12\x05", b"\x08\x01", b"not protobuf"] {
            assert!(count(Signal::Traces, Message::Protobuf(protobuf)).is_err(), "{protobuf:?}");
        }
    }
}
