//! Reads telemetry batches, one record at a time. A record or a field that cannot be read is left out, and the rest is
//! kept.

use super::{
    InitPhase, InitStart, InvocationEnd, InvocationMetrics, InvocationStart, PhaseEnd, PlatformEvent,
    PlatformFault, Record,
};
use crate::protocol::{json_fields, timestamp};
use crate::telemetry::cursor::{Advance, Cursor};
use crate::telemetry::fields::{Fields, Number, Text, cut};
use crate::telemetry::request_id::RequestId;

/// The most bytes that are kept of a name or a type.
const SHORT: usize = 128;
/// The most bytes that are kept of the platform's text about a fault, which is one line.
const LINE: usize = 512;

impl Record {
    /// Returns the known records of a batch, in their order. A part that is not JSON is skipped.
    pub(in crate::telemetry) fn batch(body: &[u8]) -> Vec<Self> {
        let mut records = Vec::new();
        // Usually one pass is enough. If a part of the batch is not JSON, a second pass reads the rest.
        let read = Fields::of_batch(body, |fields| records.extend(Self::read(fields)));
        if read.is_ok() { records } else { Self::broken_batch(body) }
    }

    /// Reads a batch in which something is not JSON, or is nested too deeply.
    fn broken_batch(body: &[u8]) -> Vec<Self> {
        let mut records = Vec::new();
        let batch = String::from_utf8_lossy(body);
        let Some(mut cursor) = Cursor::new(&batch) else { return records };
        let mut read = |rest: &'_ str| {
            let element = json_fields::leading(rest.as_bytes())?.get();
            records.extend(Fields::of_entry(element).as_ref().and_then(Self::read));
            Some(element.len())
        };
        while cursor.advance(|rest| rest.get(read(rest)?..)) != Advance::Ended {}
        records
    }

    fn read(fields: &Fields<'_>) -> Option<Self> {
        let kind = fields.text(Text::RecordType)?.strip_prefix("platform.")?;
        let event = PlatformEvent::read(kind, fields)?;
        Some(Self { time: fields.text(Text::Time).and_then(timestamp::parse), event })
    }
}

impl PlatformEvent {
    fn read(kind: &str, fields: &Fields<'_>) -> Option<Self> {
        Some(match kind {
            "start" => Self::Start(InvocationStart::read(fields)?),
            "runtimeDone" => Self::RuntimeDone(InvocationEnd::read(fields)?),
            "report" => Self::Report(InvocationEnd::read(fields)?),
            "initStart" => Self::InitStart(InitStart::read(fields)),
            "initRuntimeDone" => Self::InitRuntimeDone(PhaseEnd::read(fields)),
            "initReport" => Self::InitReport(PhaseEnd::read(fields)),
            "restoreStart" => Self::RestoreStart,
            "restoreRuntimeDone" => Self::RestoreRuntimeDone(PhaseEnd::read(fields)),
            "restoreReport" => Self::RestoreReport(PhaseEnd::read(fields)),
            "fault" => Self::Fault(PlatformFault::read(fields)?),
            "logsDropped" => Self::Dropped,
            _ => return None,
        })
    }
}

impl InitStart {
    fn read(fields: &Fields<'_>) -> Self {
        Self {
            initialization_type: fields.short(Text::InitializationType, SHORT).unwrap_or_default(),
            phase: InitPhase::read(fields),
            runtime_version: fields.short(Text::RuntimeVersion, SHORT),
            instance: fields.short(Text::InstanceId, SHORT),
        }
    }
}

impl InitPhase {
    fn read(fields: &Fields<'_>) -> Self {
        if fields.text(Text::Phase) == Some("invoke") { Self::Invoke } else { Self::Init }
    }
}

impl PhaseEnd {
    fn read(fields: &Fields<'_>) -> Self {
        Self {
            phase: InitPhase::read(fields),
            status: fields.short(Text::Status, SHORT),
            error_type: fields.short(Text::ErrorType, SHORT),
            duration_ms: fields.number(Number::DurationMs),
        }
    }
}

impl InvocationStart {
    fn read(fields: &Fields<'_>) -> Option<Self> {
        Some(Self { request: request(fields)?, trace: fields.short(Text::Tracing, 2 * SHORT) })
    }
}

impl InvocationEnd {
    fn read(fields: &Fields<'_>) -> Option<Self> {
        Some(Self {
            request: request(fields)?,
            status: cut(fields.text(Text::Status).unwrap_or("unknown"), SHORT).to_owned(),
            error_type: fields.short(Text::ErrorType, SHORT),
            metrics: InvocationMetrics {
                duration_ms: fields.number(Number::DurationMs),
                billed_duration_ms: fields.number(Number::BilledDurationMs),
                init_duration_ms: fields.number(Number::InitDurationMs),
                restore_duration_ms: fields.number(Number::RestoreDurationMs),
                memory_size_mb: fields.number(Number::MemorySizeMb),
                max_memory_used_mb: fields.number(Number::MaxMemoryUsedMb),
                produced_bytes: fields.number(Number::ProducedBytes),
            },
        })
    }
}

impl PlatformFault {
    /// Reads the record of a fault. The Logs API writes text (`RequestId: … Process exited before completing
    /// request`). An object is accepted too.
    fn read(fields: &Fields<'_>) -> Option<Self> {
        let words = fields.text(Text::Record).or_else(|| fields.text(Text::Message))?.trim();
        let named = words.strip_prefix("RequestId: ").and_then(|rest| rest.split_once(' '));
        let (request, words) = match named {
            Some((request, rest)) => (Some(RequestId::new(request)), rest.trim()),
            None => (request(fields), words),
        };
        Some(Self { request, text: cut(words, LINE).to_owned() })
    }
}

fn request(fields: &Fields<'_>) -> Option<RequestId> {
    fields.text(Text::RequestId).map(RequestId::new)
}
