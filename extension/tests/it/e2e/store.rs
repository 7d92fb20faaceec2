//! A Python function with an SDK of 2023, which sends errors to `/store/`. They are not envelopes, so the extension
//! makes envelopes of them.

use crate::support::{case::Case, function::Function, netns::isolated, tools::Arch};
use serde_json::json;

#[test]
fn an_event_becomes_an_envelope() {
    isolated(|| async {
        let function = Function::python("python-store", "test-1.22").env("EXTENSION_PORT", "5333");
        let mut case = Case::deploy(Arch::NATIVE, function).await;
        case.invoke(json!({})).await;

        let event = case.arrives("event", "/exception/values/0/value").await;
        let id = event.envelope.header.get("event_id").cloned();
        assert_eq!(id, event.envelope.item("event").unwrap().json().get("event_id").cloned());
        assert!(id.is_some());
        case.finish().await;
    });
}
