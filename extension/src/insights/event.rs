//! Writes a fault as an event for Sentry. Its fields have the names that Sentry's own SDKs use in Lambda. It is pure,
//! except that it makes random ids.

use super::fault::{Fault, Subject};
use super::invocation::Invocation;
use super::xray::XRay;
use crate::config::{FaultKind, Function};
use crate::protocol::{EventId, percent_encoded};
use crate::telemetry::InitPhase;
use serde_json::{Map, Value, json};
use std::time::{Duration, SystemTime};

/// The name of the extension in the field in which an SDK writes its own name.
const SDK: &str = "sentry.aws-lambda-extension";
/// The longest value of a tag that Sentry accepts, in characters.
const MAX_TAG: usize = 200;

/// Returns the event of a fault, as JSON.
pub(super) fn event(fault: &Fault, function: &Function, memory_size: u64, id: &EventId) -> Value {
    let kind = fault.verdict.kind;
    let mut event = json!({
        "event_id": id.to_string(),
        "timestamp": seconds(fault.time),
        // With this platform, Sentry applies no language's rules for grouping.
        "platform": "other",
        "level": "fatal",
        "logger": "aws.lambda",
        "server_name": function.name,
        "transaction": function.name,
        "transaction_info": { "source": "component" },
        "fingerprint": ["aws.lambda.fault", function.name, kind.name()],
        "exception": { "values": [{
            "type": exception_type(kind),
            "value": fault.verdict.text,
            "mechanism": {
                "type": "aws_lambda",
                "handled": false,
                "synthetic": true,
                "data": { "evidence": fault.verdict.evidence },
            },
        }] },
        "tags": tags(fault, function),
        "contexts": contexts(fault, function, memory_size),
        "sdk": { "name": SDK, "version": env!("CARGO_PKG_VERSION") },
    });
    let learnt = &fault.learnt;
    let release =
        function.release.clone().or_else(|| learnt.release.clone()).or_else(|| function.published());
    let environment = function.environment.clone().or_else(|| learnt.environment.clone());
    if let Some(fields) = event.as_object_mut() {
        fields.extend(release.map(|release| ("release".to_owned(), release.into())));
        fields.extend(environment.map(|environment| ("environment".to_owned(), environment.into())));
    }
    event
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

fn tags(fault: &Fault, function: &Function) -> Value {
    let request = fault.invocation().map(|invocation| invocation.request.to_string());
    object([
        ("aws_request_id", request),
        ("aws_region", Some(function.region.clone())),
        ("lambda.fault", Some(fault.verdict.kind.name().to_owned())),
        ("lambda.error_type", fault.verdict.error_type.clone()),
        ("faas.coldstart", Some(is_cold_start(fault, function).to_string())),
    ])
}

/// Whether this was a cold start, which means the first invocation after an init on demand. After a fault the same
/// sandbox runs init again, and with provisioned concurrency init is over long before the first invocation.
fn is_cold_start(fault: &Fault, function: &Function) -> bool {
    let start = fault.start.as_ref();
    let kind = start.map(|start| &*start.initialization_type).filter(|kind| !kind.is_empty());
    let is_ahead = kind.or(function.initialization_type.as_deref()) == Some("provisioned-concurrency");
    let is_again = start.is_some_and(|start| start.phase == InitPhase::Invoke);
    !is_ahead && !is_again && fault.invocation().is_none_or(|invocation| invocation.is_first)
}

fn contexts(fault: &Fault, function: &Function, memory_size: u64) -> Value {
    let mut contexts = Map::new();
    if let Some(invocation) = fault.invocation() {
        contexts.extend(trace(invocation, fault.verdict.kind).map(|trace| ("trace".to_owned(), trace)));
    }
    contexts.insert("aws.lambda".to_owned(), lambda(fault, function, memory_size));
    contexts.insert("aws.cloudwatch.logs".to_owned(), logs(fault, function));
    let account = fault.invocation().and_then(account).map(str::to_owned);
    let resource = object([
        ("type", Some("cloud_resource".to_owned())),
        ("cloud.provider", Some("aws".to_owned())),
        ("cloud.platform", Some("aws_lambda".to_owned())),
        ("cloud.region", Some(function.region.clone())),
        ("cloud.account.id", account),
    ]);
    contexts.insert("cloud_resource".to_owned(), resource);
    contexts.extend(runtime(fault).map(|runtime| ("runtime".to_owned(), runtime)));
    Value::Object(contexts)
}

/// Returns the trace of the SDK, or else that of X-Ray. Sentry needs the ids of both trace and span.
fn trace(invocation: &Invocation, kind: FaultKind) -> Option<Value> {
    let xray = XRay::read(invocation.xray.as_deref().unwrap_or_default());
    let is_of_sdk = invocation.sdk.trace_id.is_some();
    let (trace_id, span_id) = if is_of_sdk {
        (invocation.sdk.trace_id.clone(), invocation.sdk.span_id.clone())
    } else {
        (xray.trace_id, xray.parent)
    };
    let random = || EventId::random().to_string().chars().take(16).collect();
    let status = if kind == FaultKind::Timeout { "deadline_exceeded" } else { "internal_error" };
    Some(json!({
        "type": "trace",
        "trace_id": trace_id?,
        "span_id": span_id.unwrap_or_else(random),
        "op": "function.aws",
        "status": status,
    }))
}

fn lambda(fault: &Fault, function: &Function, memory_size: u64) -> Value {
    let start = fault.start.as_ref();
    let kind = start.map(|start| start.initialization_type.clone()).filter(|kind| !kind.is_empty());
    let mut context = object([
        ("function_name", Some(function.name.clone())),
        ("function_version", Some(function.version.clone())),
        ("initialization_type", kind.or_else(|| function.initialization_type.clone())),
        ("error_type", fault.verdict.error_type.clone()),
    ]);
    let Some(fields) = context.as_object_mut() else { return context };
    if let Some(size) = function.memory_mb {
        fields.insert("memory_size_mb".to_owned(), size.into());
    }
    let Subject::Invocation(invocation) = &fault.subject else { return context };
    fields.insert("aws_request_id".to_owned(), invocation.request.to_string().into());
    fields.extend(invocation.arn.clone().map(|arn| ("invoked_function_arn".to_owned(), arn.into())));
    fields.extend(invocation.xray.clone().map(|xray| ("xray".to_owned(), xray.into())));
    let duration = duration(invocation, fault.time);
    fields.extend(duration.map(|duration| ("execution_duration_in_millis".to_owned(), duration.into())));
    let left = invocation.deadline.map(|deadline| deadline.duration_since(fault.time).unwrap_or_default());
    let left = left.map(|left| u64::try_from(left.as_millis()).unwrap_or(u64::MAX));
    fields.extend(left.map(|left| ("remaining_time_in_millis".to_owned(), left.into())));
    let used = memory_used(invocation, memory_size);
    fields.extend(used.map(|used| ("memory_used_mb".to_owned(), used)));
    context
}

/// Returns how long the invocation took, in milliseconds. The platform's own figure is preferred.
fn duration(invocation: &Invocation, time: SystemTime) -> Option<f64> {
    let ends = [&invocation.runtime_done, &invocation.report].into_iter().flatten();
    let measured = ends.into_iter().find_map(|end| end.metrics.duration_ms);
    let counted =
        || time.duration_since(invocation.started?).ok().map(|duration| duration.as_secs_f64() * 1000.0);
    measured.or_else(counted)
}

fn memory_used(invocation: &Invocation, memory_size: u64) -> Option<Value> {
    let reported = invocation.report.as_ref().and_then(|report| report.metrics.max_memory_used_mb);
    let peak = invocation.memory_peak.min(memory_size).div_ceil(1 << 20);
    reported.map(Value::from).or_else(|| (peak > 0).then(|| peak.into()))
}

fn logs(fault: &Fault, function: &Function) -> Value {
    let stream = fault.start.as_ref().and_then(|start| start.instance.clone());
    // AWS's console expects its fragment encoded twice, and writes `$25` for the `%` of the second encoding.
    let group = percent_encoded(&function.log_group);
    let url = format!(
        "https://console.aws.amazon.com/cloudwatch/home?region={}#logsV2:log-groups/log-group/{group}",
        function.region
    );
    object([
        ("log_group", Some(function.log_group.clone())),
        ("log_stream", stream.or_else(|| function.log_stream.clone())),
        ("url", Some(url)),
    ])
}

/// Returns the language and its version, for example Python 3.13 for `python:3.13.v58`.
fn runtime(fault: &Fault) -> Option<Value> {
    let (name, version) = fault.start.as_ref()?.runtime_version.as_deref()?.split_once(':')?;
    let version = version.rsplit_once(".v").map_or(version, |(version, _)| version);
    Some(json!({ "type": "runtime", "name": name, "version": version }))
}

/// Returns the account of an ARN such as `arn:aws:lambda:eu-central-1:123456789012:function:orders`.
fn account(invocation: &Invocation) -> Option<&str> {
    let account = invocation.arn.as_deref()?.split(':').nth(4)?;
    (!account.is_empty()).then_some(account)
}

/// Makes an object of the fields that have a value.
fn object<const N: usize>(fields: [(&str, Option<String>); N]) -> Value {
    let known =
        fields.into_iter().filter_map(|(name, value)| Some((name, value.filter(|value| !value.is_empty())?)));
    let short = |text: String| text.chars().take(MAX_TAG).collect::<String>();
    known.map(|(name, value)| (name.to_owned(), Value::from(short(value)))).collect::<Map<_, _>>().into()
}

/// Returns the time in seconds with milliseconds, as SDKs write it.
fn seconds(time: SystemTime) -> f64 {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    Duration::from_millis(u64::try_from(since.as_millis()).unwrap_or_default()).as_secs_f64()
}
