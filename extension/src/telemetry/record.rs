//! What Lambda tells in a telemetry batch, of schema 2022-12-13 or 2025-01-29.
//!
//! <https://docs.aws.amazon.com/lambda/latest/dg/telemetry-schema-reference.html>

mod read;

use super::request_id::RequestId;
use std::time::SystemTime;

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

#[cfg(test)]
mod tests;
