//! Decides from the evidence on an invocation or an init whether a fault has happened, and which. At most one fault
//! comes of it, and it names its evidence. It is pure.
//!
//! An error that the runtime caught is no fault: then the runtime asks for the next invocation, and the platform
//! reports `success`. A fault ends the runtime's process, so Lambda ends the environment with SHUTDOWN. The reason of
//! SHUTDOWN is enough evidence where there is no telemetry.

use super::invocation::Invocation;
use crate::config::FaultKind;
use crate::telemetry::{InvocationEnd, PhaseEnd};
use std::time::Duration;

/// A function that was killed while it used at least this share of its memory was killed because of its memory. Reports
/// of 127 of 128 MB have been seen.
const FULL_PERCENT: u64 = 99;
/// The tolerance of times. A deadline counts from a moment before INVOKE is read, and clocks are not exact.
const JITTER: Duration = Duration::from_millis(50);

/// The longest time-out that Lambda allows.
const LONGEST_SECONDS: u64 = 900;

/// Why the environment ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ShutdownReason {
    Timeout,
    Failure,
    /// Lambda does not need the environment any more.
    Other,
}

/// Everything that is known about an invocation.
#[derive(Debug)]
pub(super) struct Evidence<'a> {
    pub(super) invocation: &'a Invocation,
    /// Why the environment ends, if it does and this is its latest invocation.
    pub(super) shutdown: Option<ShutdownReason>,
    /// The init inside this invocation, if it failed.
    pub(super) failed_init: Option<&'a PhaseEnd>,
    /// The function's memory, in bytes.
    pub(super) memory_size: u64,
}

/// What has happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Verdict {
    pub(super) kind: FaultKind,
    /// Lambda's own name for what happened.
    pub(super) error_type: Option<String>,
    /// One sentence that says what happened.
    pub(super) text: String,
    /// The evidence, such as `platform.runtimeDone=timeout; SHUTDOWN=timeout`.
    pub(super) evidence: String,
    /// Whether no further evidence could change the verdict.
    pub(super) is_final: bool,
}

impl ShutdownReason {
    /// Reads SHUTDOWN's reason, as Lambda or as its emulator spells it.
    pub(super) fn read(reason: &str) -> Self {
        match reason.to_ascii_lowercase().as_str() {
            "timeout" => Self::Timeout,
            "failure" | "releasefail" => Self::Failure,
            _ => Self::Other,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Timeout => "timeout",
            Self::Failure => "failure",
            Self::Other => "spindown",
        }
    }
}

/// Whether an init or a restore failed.
pub(super) fn has_failed(end: &PhaseEnd) -> bool {
    let status = end.status.as_deref();
    matches!(status, Some("error" | "failure" | "timeout")) || (status.is_none() && end.error_type.is_some())
}

/// Returns the fault of an invocation, if it had one.
pub(super) fn invocation(evidence: &Evidence<'_>) -> Option<Verdict> {
    let kind = kind(evidence)?;
    let error_type = error_type(evidence).map(str::to_owned);
    Some(Verdict {
        text: text(kind, evidence, error_type.as_deref()),
        evidence: named(evidence),
        is_final: is_final(kind, evidence),
        kind,
        error_type,
    })
}

fn kind(evidence: &Evidence<'_>) -> Option<FaultKind> {
    let Evidence { invocation, shutdown, failed_init, .. } = evidence;
    let error_type = error_type(evidence).unwrap_or_default();
    let has_status = |status: &str| ends(invocation).any(|end| end.status == status);
    if error_type == "Runtime.OutOfMemory" {
        return Some(FaultKind::OutOfMemory);
    }
    let is_timeout = matches!(error_type, "Sandbox.Timedout" | "Runtime.InvokeTimeout");
    if is_timeout || has_status("timeout") || *shutdown == Some(ShutdownReason::Timeout) {
        return Some(FaultKind::Timeout);
    }
    if has_status("failure") || error_type.starts_with("Sandbox.") || error_type.starts_with("Extension.") {
        return Some(FaultKind::SandboxFailure);
    }
    // If the environment is reset although its latest invocation succeeded, then something else has failed.
    let is_reset = *shutdown == Some(ShutdownReason::Failure) && !has_status("success");
    let is_runtime_error = has_status("error") && ends_the_runtime(error_type);
    let is_exit = invocation.fault_text.as_deref().is_some_and(|text| text.contains("exited"));
    let has_init_failed = failed_init.is_some() && !has_status("success");
    if !is_reset && !is_runtime_error && !is_exit && !has_init_failed {
        return None;
    }
    Some(if invocation.oom_killed || is_full(evidence) {
        FaultKind::OutOfMemory
    } else if failed_init.is_some() || is_of_init(error_type) {
        FaultKind::InitError
    } else {
        FaultKind::RuntimeExit
    })
}

/// Returns Lambda's own name for what went wrong.
fn error_type<'a>(evidence: &Evidence<'a>) -> Option<&'a str> {
    let own = ends(evidence.invocation).filter_map(|end| end.error_type.as_deref());
    let init = evidence.failed_init.and_then(|end| end.error_type.as_deref());
    // The error type of the init says more than that the process has exited.
    let mut all = init.into_iter().chain(own);
    let first = all.next()?;
    Some(if first == "Runtime.ExitError" || first == "Runtime.Unknown" {
        all.next().unwrap_or(first)
    } else {
        first
    })
}

fn ends(invocation: &Invocation) -> impl Iterator<Item = &InvocationEnd> {
    [&invocation.runtime_done, &invocation.report].into_iter().flatten()
}

/// Whether this error type means that the runtime's process has ended. A runtime survives its other errors, for example
/// a response that it cannot write as JSON, or one that breaks off.
fn ends_the_runtime(error_type: &str) -> bool {
    let names = [
        "Runtime.ExitError",
        "Runtime.Unknown",
        // Node's runtime ends itself after it has reported these.
        "Runtime.NodeJsExit",
        "Runtime.UnhandledPromiseRejection",
    ];
    names.contains(&error_type) || is_of_init(error_type)
}

/// Whether this is an error type that runtimes report when they cannot load the function.
fn is_of_init(error_type: &str) -> bool {
    let names = [
        "Runtime.ImportModuleError",
        "Runtime.UserCodeSyntaxError",
        "Runtime.HandlerNotFound",
        "Runtime.MalformedHandlerName",
        "Runtime.InvalidEntrypoint",
        "Runtime.InvalidWorkingDir",
    ];
    names.contains(&error_type)
}

/// Returns the peak of the memory in use, and the function's memory, in bytes.
fn memory(evidence: &Evidence<'_>) -> Option<(u64, u64)> {
    const MIB: f64 = 1_048_576.0;
    let metrics = evidence.invocation.report.as_ref().map(|report| report.metrics);
    // Both numbers are small enough that the conversion loses no megabyte.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    let bytes = |megabytes: f64| (megabytes * MIB) as u64;
    let used = metrics.and_then(|metrics| metrics.max_memory_used_mb).map(bytes).unwrap_or_default();
    let size = metrics.and_then(|metrics| metrics.memory_size_mb).map_or(evidence.memory_size, bytes);
    Some((used.max(evidence.invocation.memory_peak), size)).filter(|(used, _)| *used > 0)
}

fn is_full(evidence: &Evidence<'_>) -> bool {
    memory(evidence).is_some_and(|(used, size)| size > 0 && used >= size / 100 * FULL_PERCENT)
}

fn is_final(kind: FaultKind, evidence: &Evidence<'_>) -> bool {
    match kind {
        // The text needs the deadline, which comes with INVOKE.
        FaultKind::Timeout => evidence.invocation.deadline.is_some(),
        FaultKind::SandboxFailure => true,
        FaultKind::OutOfMemory => error_type(evidence) == Some("Runtime.OutOfMemory"),
        FaultKind::RuntimeExit | FaultKind::InitError => false,
    }
}

fn text(kind: FaultKind, evidence: &Evidence<'_>, error_type: Option<&str>) -> String {
    let invocation = evidence.invocation;
    match kind {
        FaultKind::Timeout => match timeout_seconds(invocation) {
            Some(seconds) => format!("Task timed out after {seconds}.00 seconds"),
            None => "Task timed out".to_owned(),
        },
        FaultKind::OutOfMemory => match memory(evidence) {
            Some((used, size)) => {
                format!("Out of memory: {} of {} MB used", used.div_ceil(1 << 20).min(size >> 20), size >> 20)
            }
            None => "Out of memory".to_owned(),
        },
        FaultKind::RuntimeExit => match (&invocation.fault_text, error_type) {
            (Some(text), _) => text.clone(),
            (None, Some(error_type)) => format!("The runtime exited during the invocation ({error_type})"),
            (None, None) => "The runtime exited during the invocation".to_owned(),
        },
        FaultKind::InitError => init_text("init", error_type),
        FaultKind::SandboxFailure => match error_type {
            Some(error_type) => format!("Lambda could not run the function ({error_type})"),
            None => "Lambda could not run the function".to_owned(),
        },
    }
}

/// Returns the configured time-out, in whole seconds. A moment of it may have passed before INVOKE was read.
fn timeout_seconds(invocation: &Invocation) -> Option<u64> {
    let left = invocation.deadline?.duration_since(invocation.invoked?).ok()?.saturating_sub(JITTER);
    let seconds = left.as_secs() + u64::from(left.subsec_nanos() > 0);
    // If the clocks differ by more than a moment, the result would be wrong.
    (1..=LONGEST_SECONDS).contains(&seconds).then_some(seconds)
}

fn named(evidence: &Evidence<'_>) -> String {
    let invocation = evidence.invocation;
    let mut named = Vec::new();
    let records =
        [("platform.runtimeDone", &invocation.runtime_done), ("platform.report", &invocation.report)];
    for (name, end) in records {
        let Some(end) = end else { continue };
        named.push(format!("{name}={}", end.status));
        named.extend(end.error_type.as_ref().map(|error_type| format!("{name}.errorType={error_type}")));
    }
    if let Some(end) = evidence.failed_init {
        named
            .push(format!("init={}", end.error_type.as_deref().or(end.status.as_deref()).unwrap_or("error")));
    }
    if let Some(text) = &invocation.fault_text {
        named.push(format!("platform.fault={text}"));
    }
    if is_full(evidence)
        && let Some((used, size)) = memory(evidence)
    {
        named.push(format!("memory={} of {} MB", used.div_ceil(1 << 20), size >> 20));
    }
    if invocation.oom_killed {
        named.push("kernel=oom_kill".to_owned());
    }
    named.extend(evidence.shutdown.map(|reason| format!("SHUTDOWN={}", reason.name())));
    named.join("; ")
}

/// Returns the fault of an init or a restore outside of any invocation, if it had one.
pub(super) fn init(
    phase: &str,
    end: Option<&PhaseEnd>,
    report: Option<&PhaseEnd>,
    shutdown: Option<ShutdownReason>,
) -> Option<Verdict> {
    let failures = [("RuntimeDone", end), ("Report", report)].into_iter();
    let failures =
        failures.filter_map(|(name, end)| end.filter(|end| has_failed(end)).map(|end| (name, end)));
    let failures: Vec<_> = failures.collect();
    let shutdown = shutdown.filter(|reason| *reason != ShutdownReason::Other);
    // Without telemetry, SHUTDOWN is the only evidence. If init is known to have ended, SHUTDOWN is not about init.
    let is_known = end.or(report).is_some();
    if failures.is_empty() && (is_known || shutdown.is_none()) {
        return None;
    }
    let error_type = failures.iter().find_map(|(_, end)| end.error_type.clone());
    let name = |(name, end): &(&str, &PhaseEnd)| {
        let what = end.error_type.as_deref().or(end.status.as_deref()).unwrap_or("error");
        format!("platform.{phase}{name}={what}")
    };
    let mut evidence: Vec<String> = failures.iter().map(name).collect();
    evidence.extend(shutdown.map(|reason| format!("SHUTDOWN={}", reason.name())));
    let is_oom = error_type.as_deref() == Some("Runtime.OutOfMemory");
    let kind = if is_oom { FaultKind::OutOfMemory } else { FaultKind::InitError };
    let is_timeout = failures.iter().any(|(_, end)| end.status.as_deref() == Some("timeout"))
        || shutdown == Some(ShutdownReason::Timeout);
    let text = match kind {
        FaultKind::OutOfMemory => format!("Out of memory during {phase}"),
        _ if is_timeout => format!("{} timed out", capitalised(phase)),
        _ => init_text(phase, error_type.as_deref()),
    };
    Some(Verdict { kind, error_type, text, evidence: evidence.join("; "), is_final: true })
}

fn init_text(phase: &str, error_type: Option<&str>) -> String {
    let phase = capitalised(phase);
    match error_type {
        Some(error_type) => format!("{phase} failed ({error_type})"),
        None => format!("{phase} failed"),
    }
}

fn capitalised(phase: &str) -> &'static str {
    if phase == "restore" { "Restore" } else { "Init" }
}
