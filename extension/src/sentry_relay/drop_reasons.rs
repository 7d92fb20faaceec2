//! Reads why Sentry's Relay has dropped data, from the client reports that it sends to Sentry. They count what a rule
//! dropped, and name no envelope.

use crate::protocol::split_envelope;
use serde_json::Value;
use std::fmt::Write as _;

/// The longest text, in bytes. A project may have any number of rules.
const MAX_TEXT: usize = 500;
/// The lists of what it has dropped by itself. What SDKs have dropped is in the same reports, in a list of its own.
const LISTS: [&str; 3] = ["filtered_events", "filtered_sampling_events", "rate_limited_events"];

/// Returns the reasons in an uncompressed envelope, each with how much it dropped, or `None` if there are none.
pub(super) fn of(envelope: &[u8]) -> Option<String> {
    let mut text = String::new();
    let (_, payloads) = split_envelope(envelope);
    for report in payloads.filter_map(|payload| serde_json::from_slice::<Value>(payload).ok()) {
        for dropped in LISTS.iter().filter_map(|list| report.get(list)?.as_array()).flatten() {
            if let (Some(Value::String(reason)), Some(quantity)) =
                (dropped.get("reason"), dropped.get("quantity"))
                && text.len() + reason.len() < MAX_TEXT
            {
                let separator = if text.is_empty() { "" } else { " " };
                let _ = write!(text, "{separator}{reason}={quantity}");
            }
        }
    }
    Some(text).filter(|text| !text.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_sentrys_relay_itself_dropped_counts() {
        let envelope = concat!(
            "{\"dsn\":\"http://k@127.0.0.1:4/42\"}\n{\"type\":\"client_report\"}\n",
            r#"{"timestamp":1,"discarded_events":[{"reason":"before_send","category":"error","quantity":9}],"#,
            r#""filtered_events":[{"reason":"error-message","category":"error","quantity":2}],"#,
            r#""rate_limited_events":[{"reason":"quota","category":"span","quantity":1}]}"#,
            "\n{\"type\":\"metric_buckets\"}\n[{\"name\":\"c:x\"}]\n"
        );
        assert_eq!(of(envelope.as_bytes()).as_deref(), Some("error-message=2 quota=1"));
        let of_the_sdk =
            "{}\n{\"type\":\"client_report\"}\n{\"discarded_events\":[{\"reason\":\"x\",\"quantity\":1}]}";
        for none in [of_the_sdk, "", "{}\n", "no"] {
            assert_eq!(of(none.as_bytes()), None);
        }
    }

    #[test]
    fn the_text_is_bounded() {
        let dropped = format!("{{\"reason\":\"{}\",\"quantity\":1}}", "r".repeat(90));
        let report = vec![dropped; 99].join(",");
        let report = format!("{{}}\n{{\"type\":\"client_report\"}}\n{{\"filtered_events\":[{report}]}}");
        assert!(of(report.as_bytes()).is_some_and(|text| text.len() < MAX_TEXT + 9));
    }
}
