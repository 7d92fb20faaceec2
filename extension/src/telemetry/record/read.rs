//! Reads telemetry batches, one record at a time. A record or a field that cannot be read is left out, and the rest is
//! kept.

use super::{
    InitPhase, InitStart, InvocationEnd, InvocationMetrics, InvocationStart, PhaseEnd, PlatformEvent,
    PlatformFault, PlatformSpan, Record,
};
use crate::protocol::timestamp;
use crate::telemetry::request_id::RequestId;
use serde::de::{DeserializeSeed, Deserializer, SeqAccess, Visitor};
use serde_json::Value;
use serde_json::value::RawValue;
use std::fmt;

/// The most characters that are kept of a name or a type.
const SHORT: usize = 128;
/// The most characters that are kept of the platform's text about a fault, which is one line.
const TEXT: usize = 512;

impl Record {
    /// Returns the known records of a batch, in their order. What comes after broken JSON is lost, and what comes
    /// before it counts.
    pub(in crate::telemetry) fn batch(body: &[u8]) -> Vec<Self> {
        // Usually one pass is enough. If a part of the batch is not JSON, a second pass reads the rest.
        match serde_json::from_slice(body) {
            Ok(Value::Array(records)) => records.iter().filter_map(Self::read).collect(),
            Ok(_) => Vec::new(),
            Err(_) => Self::broken_batch(body),
        }
    }

    /// Reads a batch in which something is not JSON, or is nested too deeply.
    fn broken_batch(body: &[u8]) -> Vec<Self> {
        let mut records = Vec::new();
        let text = String::from_utf8_lossy(body);
        let mut json = serde_json::Deserializer::from_str(&text);
        // The result does not matter: the records before the end, or before the broken part, are read.
        let _ = Batch(&mut records).deserialize(&mut json);
        records
    }

    fn read(value: &Value) -> Option<Self> {
        let kind = text(value, "type")?.strip_prefix("platform.")?;
        let event = PlatformEvent::read(kind, value.get("record").unwrap_or(&Value::Null))?;
        Some(Self { time: text(value, "time").and_then(timestamp::parse), event })
    }
}

/// Reads the records of an array one by one.
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
            // Lambda knows three kinds of spans, so more than eight are not needed.
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
    /// Reads the record of a fault. The Logs API writes text (`RequestId: … Process exited before completing
    /// request`).
    /// An object is accepted too.
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
