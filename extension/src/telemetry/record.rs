//! What Lambda tells in a telemetry batch, of schema 2022-12-13 or 2025-01-29. It is read one record at a time, and
//! leniently: an odd record, or an odd field, costs only itself.
//!
//! <https://docs.aws.amazon.com/lambda/latest/dg/telemetry-schema-reference.html>

use super::request_id::RequestId;
use super::timestamp;
use serde::de::{DeserializeSeed, Deserializer, SeqAccess, Visitor};
use serde_json::Value;
use serde_json::value::RawValue;
use std::fmt;
use std::time::SystemTime;

/// Longer names and types are cut.
const SHORT: usize = 128;
/// The platform's own words on a fault are one line.
const TEXT: usize = 512;

/// One record of the platform.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Record {
    /// When it happened, by Lambda's clock.
    pub(crate) time: Option<SystemTime>,
    pub(crate) event: PlatformEvent,
}

/// A platform event that means something to the extension.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum PlatformEvent {
    /// Init has begun.
    InitStart(InitStart),
    /// The runtime is through with init.
    InitRuntimeDone(PhaseEnd),
    /// All are through with init.
    InitReport(PhaseEnd),
    /// A restore from a snapshot has begun.
    RestoreStart,
    /// The runtime is through with a restore.
    RestoreRuntimeDone(PhaseEnd),
    /// All are through with a restore.
    RestoreReport(PhaseEnd),
    /// The function was started for a request.
    Start(InvocationStart),
    /// The runtime is through with a request.
    RuntimeDone(InvocationEnd),
    /// All are through with a request. On Managed Instances this is the only word of a request's end.
    Report(InvocationEnd),
    /// The platform's own words on what went wrong.
    Fault(PlatformFault),
    /// Some records never came.
    Dropped,
}

/// How init began.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct InitStart {
    /// `on-demand`, `provisioned-concurrency`, `snap-start`, `lambda-managed-instances`.
    pub(crate) initialization_type: String,
    pub(crate) phase: InitPhase,
    /// `python:3.13.v58`
    pub(crate) runtime_version: Option<String>,
    /// The environment's name, which is also that of its log stream.
    pub(crate) instance: Option<String>,
}

/// Whether init was run ahead of an invocation, or again inside one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum InitPhase {
    #[default]
    Init,
    /// A first init failed, or the environment was reset after a fault.
    Invoke,
}

/// How init or a restore ended.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct PhaseEnd {
    pub(crate) phase: InitPhase,
    /// `success`, `failure`, `error`, `timeout`; some reports have none.
    pub(crate) status: Option<String>,
    pub(crate) error_type: Option<String>,
    pub(crate) duration_ms: Option<f64>,
}

/// How a request began.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct InvocationStart {
    pub(crate) request: RequestId,
    /// X-Ray's header.
    pub(crate) trace: Option<String>,
}

/// How a request ended.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct InvocationEnd {
    pub(crate) request: RequestId,
    /// `success`, `failure`, `error`, `timeout`.
    pub(crate) status: String,
    /// What went wrong, where Lambda knows.
    pub(crate) error_type: Option<String>,
    pub(crate) metrics: InvocationMetrics,
    /// Of a response that is streamed, and the overhead of runtime and extensions.
    pub(crate) spans: Vec<PlatformSpan>,
    /// X-Ray's header.
    pub(crate) trace: Option<String>,
}

/// What was measured of a request.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct InvocationMetrics {
    pub(crate) duration_ms: Option<f64>,
    pub(crate) billed_duration_ms: Option<f64>,
    pub(crate) init_duration_ms: Option<f64>,
    pub(crate) restore_duration_ms: Option<f64>,
    pub(crate) memory_size_mb: Option<f64>,
    pub(crate) max_memory_used_mb: Option<f64>,
    pub(crate) produced_bytes: Option<f64>,
}

/// A part of a request that the platform measured.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct PlatformSpan {
    pub(crate) name: String,
    pub(crate) start: Option<SystemTime>,
    pub(crate) duration_ms: Option<f64>,
}

/// The platform's own words on what went wrong.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct PlatformFault {
    pub(crate) request: Option<RequestId>,
    pub(crate) text: String,
}

impl Record {
    /// The known records of a batch, in their order. What comes behind broken JSON is lost, what comes before it counts.
    pub(super) fn batch(body: &[u8]) -> Vec<Self> {
        // The usual case takes one pass. Where something in it cannot be read, the rest can.
        match serde_json::from_slice(body) {
            Ok(Value::Array(records)) => records.iter().filter_map(Self::read).collect(),
            Ok(_) => Vec::new(),
            Err(_) => Self::broken_batch(body),
        }
    }

    /// Reads a batch in which something is no JSON, or nested too deeply.
    fn broken_batch(body: &[u8]) -> Vec<Self> {
        let mut records = Vec::new();
        let text = String::from_utf8_lossy(body);
        let mut json = serde_json::Deserializer::from_str(&text);
        // It ends where the array does, or where it is broken; either way the records until then are read.
        let _ = Batch(&mut records).deserialize(&mut json);
        records
    }

    fn read(value: &Value) -> Option<Self> {
        let kind = text(value, "type")?.strip_prefix("platform.")?;
        let event = PlatformEvent::read(kind, value.get("record").unwrap_or(&Value::Null))?;
        Some(Self { time: text(value, "time").and_then(timestamp::parse), event })
    }
}

/// Reads an array element by element.
struct Batch<'a>(&'a mut Vec<Record>);

impl<'de> DeserializeSeed<'de> for Batch<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Batch<'_> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an array of records")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut records: A) -> Result<(), A::Error> {
        while let Some(record) = records.next_element::<&RawValue>()? {
            let value = serde_json::from_str::<Value>(record.get());
            self.0.extend(value.ok().as_ref().and_then(Record::read));
        }
        Ok(())
    }
}

impl PlatformEvent {
    fn read(kind: &str, record: &Value) -> Option<Self> {
        Some(match kind {
            "start" => Self::Start(InvocationStart::read(record)?),
            "runtimeDone" => Self::RuntimeDone(InvocationEnd::read(record)?),
            "report" => Self::Report(InvocationEnd::read(record)?),
            "initStart" => Self::InitStart(InitStart::read(record)),
            "initRuntimeDone" => Self::InitRuntimeDone(PhaseEnd::read(record)),
            "initReport" => Self::InitReport(PhaseEnd::read(record)),
            "restoreStart" => Self::RestoreStart,
            "restoreRuntimeDone" => Self::RestoreRuntimeDone(PhaseEnd::read(record)),
            "restoreReport" => Self::RestoreReport(PhaseEnd::read(record)),
            "fault" => Self::Fault(PlatformFault::read(record)?),
            "logsDropped" => Self::Dropped,
            _ => return None,
        })
    }
}

impl InitStart {
    fn read(record: &Value) -> Self {
        Self {
            initialization_type: short(record, "initializationType").unwrap_or_default(),
            phase: InitPhase::read(record),
            runtime_version: short(record, "runtimeVersion"),
            instance: short(record, "instanceId"),
        }
    }
}

impl InitPhase {
    fn read(record: &Value) -> Self {
        if text(record, "phase") == Some("invoke") { Self::Invoke } else { Self::Init }
    }
}

impl PhaseEnd {
    fn read(record: &Value) -> Self {
        Self {
            phase: InitPhase::read(record),
            status: short(record, "status"),
            error_type: short(record, "errorType"),
            duration_ms: number(record.get("metrics"), "durationMs"),
        }
    }
}

impl InvocationStart {
    fn read(record: &Value) -> Option<Self> {
        Some(Self { request: request(record)?, trace: trace(record) })
    }
}

impl InvocationEnd {
    fn read(record: &Value) -> Option<Self> {
        let metrics = record.get("metrics");
        let spans = record.get("spans").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        Some(Self {
            request: request(record)?,
            status: short(record, "status").unwrap_or_else(|| "unknown".to_owned()),
            error_type: short(record, "errorType"),
            metrics: InvocationMetrics {
                duration_ms: number(metrics, "durationMs"),
                billed_duration_ms: number(metrics, "billedDurationMs"),
                init_duration_ms: number(metrics, "initDurationMs"),
                restore_duration_ms: number(metrics, "restoreDurationMs"),
                memory_size_mb: number(metrics, "memorySizeMB"),
                max_memory_used_mb: number(metrics, "maxMemoryUsedMB"),
                produced_bytes: number(metrics, "producedBytes"),
            },
            // There are three kinds of them.
            spans: spans.iter().take(8).filter_map(PlatformSpan::read).collect(),
            trace: trace(record),
        })
    }
}

impl PlatformSpan {
    fn read(span: &Value) -> Option<Self> {
        Some(Self {
            name: short(span, "name")?,
            start: text(span, "start").and_then(timestamp::parse),
            duration_ms: number(Some(span), "durationMs"),
        })
    }
}

impl PlatformFault {
    /// The Logs API writes text (`RequestId: … Process exited before completing request`); an object is taken too.
    fn read(record: &Value) -> Option<Self> {
        let words = record.as_str().or_else(|| text(record, "message"))?.trim();
        let named = words.strip_prefix("RequestId: ").and_then(|rest| rest.split_once(' '));
        let (request, words) = match named {
            Some((request, rest)) => (Some(RequestId::new(request)), rest.trim()),
            None => (request(record), words),
        };
        Some(Self { request, text: words.chars().take(TEXT).collect() })
    }
}

fn request(record: &Value) -> Option<RequestId> {
    text(record, "requestId").map(RequestId::new)
}

fn trace(record: &Value) -> Option<String> {
    let tracing = record.get("tracing")?;
    text(tracing, "value").map(|value| value.chars().take(2 * SHORT).collect())
}

fn text<'a>(value: &'a Value, name: &str) -> Option<&'a str> {
    value.get(name)?.as_str()
}

fn short(value: &Value, name: &str) -> Option<String> {
    text(value, name).map(|text| text.chars().take(SHORT).collect())
}

fn number(value: Option<&Value>, name: &str) -> Option<f64> {
    value?.get(name)?.as_f64().filter(|number| number.is_finite() && *number >= 0.0)
}

#[cfg(test)]
mod tests;
