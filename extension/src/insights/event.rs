//! Writes a fault as an event for Sentry. It is pure, except that it makes random ids.

use super::fault::Fault;
use super::json::{object, set};
use super::surroundings::Surroundings;
use crate::config::{FaultKind, Function};
use crate::protocol::EventId;
use serde_json::Value;

/// Returns the event of a fault, as JSON.
pub(super) fn event(fault: &Fault, function: &Function, memory_size: u64, id: &EventId) -> Value {
    let kind = fault.verdict.kind;
    let about = Surroundings {
        time: fault.time,
        invocation: fault.invocation(),
        start: fault.start.as_ref(),
        learnt: &fault.learnt,
        is_cold_start: fault.is_cold_start,
        error_type: fault.verdict.error_type.as_deref(),
        trace_status: if kind == FaultKind::Timeout { "deadline_exceeded" } else { "internal_error" },
    };
    let mut event = about.event(function, memory_size, id);
    let own_tags =
        [("lambda.fault", Some(kind.name())), ("lambda.error_type", fault.verdict.error_type.as_deref())];
    let data = object(&mut [("evidence", (&*fault.verdict.evidence).into())]);
    let mechanism = object(&mut [
        ("type", "aws_lambda".into()),
        ("handled", false.into()),
        ("synthetic", true.into()),
        ("data", data),
    ]);
    let exception = object(&mut [
        ("type", exception_type(kind).into()),
        ("value", (&*fault.verdict.text).into()),
        ("mechanism", mechanism),
    ]);
    let fingerprint = ["aws.lambda.fault", &function.name, kind.name()];
    for (name, value) in [
        // With this platform, Sentry applies no language's rules for grouping.
        ("platform", "other".into()),
        ("level", "fatal".into()),
        ("logger", "aws.lambda".into()),
        ("fingerprint", Value::from(&fingerprint[..])),
        ("exception", object(&mut [("values", vec![exception].into())])),
        ("tags", about.tags(function, own_tags)),
    ] {
        set(&mut event, name, value);
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
