//! Ends an environment while Sentry is slow. Everything that was accepted has to be delivered first.

use crate::support::{
    case::Case,
    function::Function,
    netns::isolated,
    sentry::{Gate, Reply},
    tools::Arch,
};
use serde_json::{Value, json};
use std::{collections::BTreeSet, time::Duration};

const EVENTS: usize = 6;

#[test]
fn everything_queued_arrives_before_the_end() {
    isolated(|| async {
        // With `continuous`, the invocation ends although nothing is delivered yet.
        let function = Function::python("python", "test")
            .env("EXTENSION_PORT", "5333")
            .env("SENTRY_EXTENSION_FLUSH", "continuous");
        let mut case = Case::deploy(Arch::NATIVE, function).await;
        let gate = Gate::closed();
        case.sentry.respond_with({
            let gate = gate.clone();
            move |_| Reply::ok().held_by(&gate).after(Duration::from_millis(50))
        });
        case.invoke(json!({ "messages": EVENTS })).await;
        assert!(case.sentry.received().is_empty(), "nothing has been answered so far");

        case.rie.terminate();
        gate.open();
        let marker = case.marker.clone();
        let (log, sentry) = case.ended().await;
        let expected: BTreeSet<_> = (0..EVENTS).map(|at| format!("{marker} {at}")).collect();
        let received = sentry.received();
        let events = received.iter().filter_map(|one| one.envelope.item("event"));
        let arrived: BTreeSet<_> = events
            .filter_map(|event| Some(event.json().get("message").and_then(Value::as_str)?.to_owned()))
            .collect();
        assert_eq!(arrived, expected, "{}", log.text());
    });
}
