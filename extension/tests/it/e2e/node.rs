//! A Node function with a current SDK, which sends through its option `tunnel`.

use crate::support::{case::Case, function::Function, netns::isolated, tools::Arch};
use serde_json::{Value, json};

/// The size of the large event. The SDK compresses from 32 KiB on.
const LARGE: usize = 200 * 1024;

#[test]
fn error_transaction_and_large_event_arrive() {
    isolated(|| async {
        let mut case = Case::deploy(Arch::NATIVE, Function::node("node")).await;
        case.invoke(json!({ "large": LARGE })).await;

        let event = case.arrives("event", "/exception/values/0/value").await;
        assert_eq!(event.encoding(), None);
        case.arrives("transaction", "/transaction").await;

        let large = case.arrives("event", "/message").await;
        assert_eq!(large.encoding(), Some("gzip"));
        let payload = large.envelope.item("event").unwrap().json();
        let blob = payload.pointer("/extra/blob").and_then(Value::as_str).unwrap_or_default();
        assert_eq!(blob.len(), LARGE);
        case.finish().await;
    });
}
