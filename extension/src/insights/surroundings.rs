//! What every event of the extension says of its surroundings: function, invocation, log stream, runtime and trace. The
//! names are those that Sentry's own SDKs use in Lambda. Pure but for the ids.

use super::invocation::{Invocation, Learnt};
use super::xray::XRay;
use crate::config::Function;
use crate::protocol::{EventId, percent_encoded};
use crate::telemetry::{InitPhase, InitStart};
use serde_json::{Map, Value, json};
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
        let mut set = |name: &str, value: Value| event.insert(name.to_owned(), value);
        set("event_id", id.to_string().into());
        set("timestamp", seconds(self.time).into());
        set("server_name", (&*function.name).into());
        set("transaction", (&*function.name).into());
        set("transaction_info", json!({ "source": "component" }));
        set("contexts", contexts(self, function, memory_size));
        set("sdk", json!({ "name": SDK, "version": env!("CARGO_PKG_VERSION") }));
        if let Some(release) = release {
            set("release", release.into());
        }
        if let Some(environment) = environment {
            set("environment", environment.into());
        }
        event
    }

    /// Returns the tags that every event has, and the given ones.
    pub(super) fn tags(&self, function: &Function, own: [(&str, Option<String>); 2]) -> Value {
        let [first, second] = own;
        object([
            ("aws_request_id", self.invocation.map(|invocation| invocation.request.to_string())),
            ("aws_region", Some(function.region.clone())),
            first,
            second,
            ("faas.coldstart", Some(is_cold_start(self, function).to_string())),
        ])
    }
}

/// Whether this was a cold start, which means the first invocation after an init on demand. After a fault the same
/// sandbox runs init again, and with provisioned concurrency init is over long before the first invocation.
fn is_cold_start(about: &Surroundings<'_>, function: &Function) -> bool {
    let start = about.start;
    let kind = start.map(|start| &*start.initialization_type).filter(|kind| !kind.is_empty());
    let is_ahead = kind.or(function.initialization_type.as_deref()) == Some("provisioned-concurrency");
    let is_again = start.is_some_and(|start| start.phase == InitPhase::Invoke);
    !is_ahead && !is_again && about.invocation.is_none_or(|invocation| invocation.is_first)
}

fn contexts(about: &Surroundings<'_>, function: &Function, memory_size: u64) -> Value {
    let mut contexts = Map::new();
    if let Some(invocation) = about.invocation {
        contexts.extend(trace(invocation, about.trace_status).map(|trace| ("trace".to_owned(), trace)));
    }
    contexts.insert("aws.lambda".to_owned(), lambda(about, function, memory_size));
    contexts.insert("aws.cloudwatch.logs".to_owned(), logs(about, function));
    let account = about.invocation.and_then(account).map(str::to_owned);
    let resource = object([
        ("type", Some("cloud_resource".to_owned())),
        ("cloud.provider", Some("aws".to_owned())),
        ("cloud.platform", Some("aws_lambda".to_owned())),
        ("cloud.region", Some(function.region.clone())),
        ("cloud.account.id", account),
    ]);
    contexts.insert("cloud_resource".to_owned(), resource);
    contexts.extend(runtime(about).map(|runtime| ("runtime".to_owned(), runtime)));
    Value::Object(contexts)
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
    Some(json!({
        "type": "trace",
        "trace_id": trace_id?,
        "span_id": span_id.unwrap_or_else(random),
        "op": "function.aws",
        "status": status,
    }))
}

fn lambda(about: &Surroundings<'_>, function: &Function, memory_size: u64) -> Value {
    let start = about.start;
    let kind = start.map(|start| start.initialization_type.clone()).filter(|kind| !kind.is_empty());
    let mut context = object([
        ("function_name", Some(function.name.clone())),
        ("function_version", Some(function.version.clone())),
        ("initialization_type", kind.or_else(|| function.initialization_type.clone())),
        ("error_type", about.error_type.map(str::to_owned)),
    ]);
    let Some(fields) = context.as_object_mut() else { return context };
    if let Some(size) = function.memory_mb {
        fields.insert("memory_size_mb".to_owned(), size.into());
    }
    let Some(invocation) = about.invocation else { return context };
    fields.insert("aws_request_id".to_owned(), invocation.request.to_string().into());
    fields.extend(invocation.arn.clone().map(|arn| ("invoked_function_arn".to_owned(), arn.into())));
    fields.extend(invocation.xray.clone().map(|xray| ("xray".to_owned(), xray.into())));
    let duration = duration(invocation, about.time);
    fields.extend(duration.map(|duration| ("execution_duration_in_millis".to_owned(), duration.into())));
    let left = invocation.deadline.map(|deadline| deadline.duration_since(about.time).unwrap_or_default());
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

fn logs(about: &Surroundings<'_>, function: &Function) -> Value {
    let stream = about.start.and_then(|start| start.instance.clone());
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
fn runtime(about: &Surroundings<'_>) -> Option<Value> {
    let (name, version) = about.start?.runtime_version.as_deref()?.split_once(':')?;
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
