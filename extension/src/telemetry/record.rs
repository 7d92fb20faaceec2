//! The records of a telemetry batch that mean something to the extension, by schema 2022-12-13 or 2025-01-29.
//!
//! <https://docs.aws.amazon.com/lambda/latest/dg/telemetry-schema-reference.html>

mod read;

use super::request_id::RequestId;
use std::time::SystemTime;

/// One record that the platform has sent.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Record {
    /// The time of the event, by Lambda's clock.
    pub(crate) time: Option<SystemTime>,
    pub(crate) event: PlatformEvent,
}

/// A platform event that means something to the extension.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum PlatformEvent {
    /// Init has begun.
    InitStart(InitStart),
    /// The runtime has finished init.
    InitRuntimeDone(PhaseEnd),
    /// The runtime and all extensions have finished init.
    InitReport(PhaseEnd),
    /// A restore from a snapshot has begun.
    RestoreStart,
    /// The runtime has finished a restore.
    RestoreRuntimeDone(PhaseEnd),
    /// The runtime and all extensions have finished a restore.
    RestoreReport(PhaseEnd),
    /// The function was started for a request.
    Start(InvocationStart),
    /// The runtime has finished a request.
    RuntimeDone(InvocationEnd),
    /// The runtime and all extensions have finished a request. On Managed Instances only this reports a request's end.
    Report(InvocationEnd),
    /// The platform's text about what went wrong.
    Fault(PlatformFault),
    /// Lambda has dropped some records.
    Dropped,
}

/// How init began.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct InitStart {
    /// One of `on-demand`, `provisioned-concurrency`, `snap-start`, `lambda-managed-instances`.
    pub(crate) initialization_type: String,
    pub(crate) phase: InitPhase,
    /// The runtime and its version, such as `python:3.13.v58`.
    pub(crate) runtime_version: Option<String>,
    /// The name of the environment, which is also the name of its log stream.
    pub(crate) instance: Option<String>,
}

/// Whether init ran before the first invocation, or inside an invocation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum InitPhase {
    #[default]
    Init,
    /// Init runs inside an invocation, because the first init failed or the environment was reset after a fault.
    Invoke,
}

/// How init or a restore ended.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct PhaseEnd {
    pub(crate) phase: InitPhase,
    /// One of `success`, `failure`, `error`, `timeout`. Some reports have none.
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
    /// One of `success`, `failure`, `error`, `timeout`.
    pub(crate) status: String,
    /// Lambda's name for what went wrong, if it knows.
    pub(crate) error_type: Option<String>,
    pub(crate) metrics: InvocationMetrics,
}

/// What the platform measured of a request.
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

/// The platform's text about what went wrong.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct PlatformFault {
    pub(crate) request: Option<RequestId>,
    pub(crate) text: String,
}

#[cfg(test)]
mod tests;
