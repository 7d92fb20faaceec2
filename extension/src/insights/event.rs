//! Writes a fault as an event for Sentry. It is pure, except that it makes random ids.

use super::fault::Fault;
use super::surroundings::Surroundings;
use crate::config::{FaultKind, Function};
use crate::protocol::EventId;
use serde_json::{Value, json};

/// Returns the event of a fault, as JSON.
pub(super) fn event(fault: &Fault, function: &Function, memory_size: u64, id: &EventId) -> Value {
    let kind = fault.verdict.kind;
    let about = Surroundings {
        time: fault.time,
        invocation: fault.invocation(),
        start: fault.start.as_ref(),
        learnt: &fault.learnt,
        error_type: fault.verdict.error_type.as_deref(),
        trace_status: if kind == FaultKind::Timeout { "deadline_exceeded" } else { "internal_error" },
    };
    let mut event = about.event(function, memory_size, id);
    let own_tags = [
        ("lambda.fault", Some(kind.name().to_owned())),
        ("lambda.error_type", fault.verdict.error_type.clone()),
    ];
    let exception = json!({
        "type": exception_type(kind),
        "value": fault.verdict.text,
        "mechanism": {
            "type": "aws_lambda",
            "handled": false,
            "synthetic": true,
            "data": { "evidence": fault.verdict.evidence },
        },
    });
    for (name, value) in [
        // With this platform, Sentry applies no language's rules for grouping.
        ("platform", "other".into()),
        ("level", "fatal".into()),
        ("logger", "aws.lambda".into()),
        ("fingerprint", json!(["aws.lambda.fault", function.name, kind.name()])),
        ("exception", json!({ "values": [exception] })),
        ("tags", about.tags(function, own_tags)),
    ] {
        event.insert(name.to_owned(), value);
    }
    event.into()
}

fn exception_type(kind: FaultKind) -> &'static str {
    match kind {
        FaultKind::Timeout => "Lambda.Timeout",
        FaultKind::OutOfMemory => "Lambda.OutOfMemory",
        FaultKind::RuntimeExit => "Lambda.RuntimeExit",
        FaultKind::InitError => "Lambda.InitError",
        FaultKind::SandboxFailure => "Lambda.SandboxFailure",
    }
}
