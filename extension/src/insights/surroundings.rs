//! What every event of the extension says of its surroundings: function, invocation, log stream, runtime and trace. The
//! names are those that Sentry's own SDKs use in Lambda. Pure but for the ids.

use super::invocation::{Invocation, Learnt};
use super::json::{object, set};
use super::xray::XRay;
use crate::config::Function;
use crate::protocol::{EventId, percent_encoded};
use crate::telemetry::InitStart;
use serde_json::{Map, Value};
use std::time::{Duration, SystemTime};

/// The name of the extension in the field in which an SDK writes its own name.
const SDK: &str = "sentry.aws-lambda-extension";
/// The longest value of a tag that Sentry accepts, in characters.
const MAX_TAG: usize = 200;

/// What is known of the place and the time of an event.
#[derive(Clone, Copy, Debug)]
pub(super) struct Surroundings<'a> {
    pub(super) time: SystemTime,
    /// The invocation, if it happened in one.
    pub(super) invocation: Option<&'a Invocation>,
    /// How the latest init began.
    pub(super) start: Option<&'a InitStart>,
    pub(super) learnt: &'a Learnt,
    pub(super) is_cold_start: bool,
    /// The name that Lambda has for what went wrong.
    pub(super) error_type: Option<&'a str>,
    /// The status of the trace, by Sentry's names.
    pub(super) trace_status: &'a str,
}

impl Surroundings<'_> {
    /// Returns the fields that every event has.
    pub(super) fn event(&self, function: &Function, memory_size: u64, id: &EventId) -> Map<String, Value> {
        let learnt = self.learnt;
        let release =
            function.release.clone().or_else(|| learnt.release.clone()).or_else(|| function.published());
        let environment = function.environment.clone().or_else(|| learnt.environment.clone());
        let mut event = Map::new();
        let mut set = |name: &str, value: Value| set(&mut event, name, value);
        set("event_id", id.to_string().into());
        set("timestamp", seconds(self.time).into());
        set("server_name", (&*function.name).into());
        set("transaction", (&*function.name).into());
        set("transaction_info", object(&mut [("source", "component".into())]));
        set("contexts", contexts(self, function, memory_size));
        let version = env!("CARGO_PKG_VERSION");
        set("sdk", object(&mut [("name", SDK.into()), ("version", version.into())]));
        if let Some(release) = release {
            set("release", release.into());
        }
        if let Some(environment) = environment {
            set("environment", environment.into());
        }
        event
    }

    /// Returns the tags that every event has, and the given ones.
    pub(super) fn tags(&self, function: &Function, own: [(&str, Option<&str>); 2]) -> Value {
        let [first, second] = own;
        let request = self.invocation.map(|invocation| invocation.request.to_string());
        texts(&[
            ("aws_request_id", request.as_deref()),
            ("aws_region", Some(&function.region)),
            first,
            second,
            ("faas.coldstart", Some(if self.is_cold_start { "true" } else { "false" })),
        ])
        .into()
    }
}

fn contexts(about: &Surroundings<'_>, function: &Function, memory_size: u64) -> Value {
    let mut contexts = Map::new();
    if let Some(invocation) = about.invocation {
        set_some(&mut contexts, "trace", trace(invocation, about.trace_status));
    }
    set(&mut contexts, "aws.lambda", lambda(about, function, memory_size).into());
    set(&mut contexts, "aws.cloudwatch.logs", logs(about, function));
    let resource = texts(&[
        ("type", Some("cloud_resource")),
        ("cloud.provider", Some("aws")),
        ("cloud.platform", Some("aws_lambda")),
        ("cloud.region", Some(&function.region)),
        ("cloud.account.id", about.invocation.and_then(account)),
    ]);
    set(&mut contexts, "cloud_resource", resource.into());
    set_some(&mut contexts, "runtime", runtime(about));
    contexts.into()
}

/// Returns the trace of the SDK, or else that of X-Ray. Sentry needs the ids of both trace and span.
fn trace(invocation: &Invocation, status: &str) -> Option<Value> {
    let xray = XRay::read(invocation.xray.as_deref().unwrap_or_default());
    let is_of_sdk = invocation.sdk.trace_id.is_some();
    let (trace_id, span_id) = if is_of_sdk {
        (invocation.sdk.trace_id.clone(), invocation.sdk.span_id.clone())
    } else {
        (xray.trace_id, xray.parent)
    };
    let random = || EventId::random().to_string().chars().take(16).collect();
    Some(object(&mut [
        ("type", "trace".into()),
        ("trace_id", trace_id?.into()),
        ("span_id", span_id.unwrap_or_else(random).into()),
        ("op", "function.aws".into()),
        ("status", status.into()),
    ]))
}

fn lambda(about: &Surroundings<'_>, function: &Function, memory_size: u64) -> Map<String, Value> {
    let start = about.start;
    let kind = start.map(|start| &*start.initialization_type).filter(|kind| !kind.is_empty());
    let mut context = texts(&[
        ("function_name", Some(&function.name)),
        ("function_version", Some(&function.version)),
        ("initialization_type", kind.or(function.initialization_type.as_deref())),
        ("error_type", about.error_type),
    ]);
    set_some(&mut context, "memory_size_mb", function.memory_mb.map(Value::from));
    let Some(invocation) = about.invocation else { return context };
    let left = invocation.deadline.map(|deadline| deadline.duration_since(about.time).unwrap_or_default());
    let left = left.map(|left| u64::try_from(left.as_millis()).unwrap_or(u64::MAX));
    for (name, value) in [
        ("aws_request_id", Some(invocation.request.to_string().into())),
        ("invoked_function_arn", invocation.arn.as_deref().map(Value::from)),
        ("xray", invocation.xray.as_deref().map(Value::from)),
        ("execution_duration_in_millis", duration(invocation, about.time).map(Value::from)),
        ("remaining_time_in_millis", left.map(Value::from)),
        ("memory_used_mb", memory_used(invocation, memory_size)),
    ] {
        set_some(&mut context, name, value);
    }
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

fn logs(about: &Surroundings<'_>, function: &Function) -> Value {
    let stream = about.start.and_then(|start| start.instance.as_deref());
    // AWS's console expects its fragment encoded twice, and writes `$25` for the `%` of the second encoding.
    let group = percent_encoded(&function.log_group);
    let url = format!(
        "https://console.aws.amazon.com/cloudwatch/home?region={}#logsV2:log-groups/log-group/{group}",
        function.region
    );
    texts(&[
        ("log_group", Some(&function.log_group)),
        ("log_stream", stream.or(function.log_stream.as_deref())),
        ("url", Some(&url)),
    ])
    .into()
}

/// Returns the language and its version, for example Python 3.13 for `python:3.13.v58`.
fn runtime(about: &Surroundings<'_>) -> Option<Value> {
    let (name, version) = about.start?.runtime_version.as_deref()?.split_once(':')?;
    let version = version.rsplit_once(".v").map_or(version, |(version, _)| version);
    Some(object(&mut [("type", "runtime".into()), ("name", name.into()), ("version", version.into())]))
}

/// Returns the account of an ARN such as `arn:aws:lambda:eu-central-1:123456789012:function:orders`.
fn account(invocation: &Invocation) -> Option<&str> {
    let account = invocation.arn.as_deref()?.split(':').nth(4)?;
    (!account.is_empty()).then_some(account)
}

fn set_some(object: &mut Map<String, Value>, name: &str, value: Option<Value>) {
    if let Some(value) = value {
        set(object, name, value);
    }
}

/// Makes an object of the texts that are known and not blank. Longer ones are cut, and they are on one line, because
/// Sentry accepts no other tag.
fn texts(fields: &[(&str, Option<&str>)]) -> Map<String, Value> {
    let mut object = Map::new();
    for (name, text) in fields {
        if let Some(text) = text.map(str::trim).filter(|text| !text.is_empty()) {
            let end = text.char_indices().nth(MAX_TAG).map_or(text.len(), |(end, _)| end);
            let text = text.get(..end).unwrap_or_default();
            set(&mut object, name, text.replace(['\n', '\r'], " ").into());
        }
    }
    object
}

/// Returns the time in seconds with milliseconds, as SDKs write it.
fn seconds(time: SystemTime) -> f64 {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    Duration::from_millis(u64::try_from(since.as_millis()).unwrap_or_default()).as_secs_f64()
}
