//! What is known about one invocation, and what the function's own envelopes say about it. This is pure data, which
//! `environment` writes and `classify` reads.

use super::metrics::MetricsTaken;
use super::monitor::CheckIn;
use super::spans::{Root, SpansSent};
use crate::config::FaultKind;
use crate::protocol::EnvelopeNote;
use crate::telemetry::{InvocationEnd, RequestId};
use std::time::SystemTime;

/// What the function's own envelopes say about the function.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Learnt {
    pub(super) release: Option<String>,
    pub(super) environment: Option<String>,
}

/// One invocation. On Managed Instances it is one request.
#[derive(Clone, Debug, Default)]
pub(super) struct Invocation {
    pub(super) request: RequestId,
    /// Whether INVOKE or the platform's start has announced it to this process. What is known of another one only by a
    /// late record belongs to an earlier process, which has reported its fault.
    pub(super) is_announced: bool,
    /// Whether it is the first invocation since this process started.
    pub(super) is_first: bool,
    pub(super) arn: Option<String>,
    /// The time when INVOKE was read, or the start that the platform reports.
    pub(super) started: Option<SystemTime>,
    /// The time when INVOKE was read, by the clock of this machine, which the deadline uses too.
    pub(super) invoked: Option<SystemTime>,
    pub(super) deadline: Option<SystemTime>,
    /// X-Ray's header.
    pub(super) xray: Option<String>,
    pub(super) sdk: SdkTrace,
    /// Whether the SDK has sent an unhandled error of this request.
    pub(super) has_unhandled_error: bool,
    /// Whether the memory was looked at while it ran.
    pub(super) is_watched: bool,
    /// The peak of the sampled memory, in bytes.
    pub(super) memory_peak: u64,
    /// Whether the kernel has killed a process because the memory was full.
    pub(super) oom_killed: bool,
    pub(super) runtime_done: Option<InvocationEnd>,
    pub(super) ended: Option<SystemTime>,
    pub(super) report: Option<InvocationEnd>,
    /// The platform's text about what went wrong.
    pub(super) fault_text: Option<String>,
    /// Whether the next report with this id is that of an earlier try.
    pub(super) has_stale_report: bool,
    /// Whether its fault was reported, or it is known to have none.
    pub(super) is_settled: bool,
    /// The SDK's root span, if its trace is sampled.
    pub(super) root: Option<Box<Root>>,
    pub(super) spans_sent: SpansSent,
    pub(super) metrics_taken: MetricsTaken,
    pub(super) check_in: CheckIn,
    /// What the fault is, if it has one, whether that is reported or not.
    pub(super) fault: Option<FaultKind>,
    /// Whether the runtime has logged an error that nothing in the function has handled.
    pub(super) has_raised: bool,
}

/// The trace that the SDK has chosen for an invocation.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct SdkTrace {
    pub(super) trace_id: Option<String>,
    pub(super) span_id: Option<String>,
    pub(super) sampled: Option<bool>,
    /// Whether the envelope named this request. If not, the trace is only that of an envelope at the same time.
    pub(super) is_certain: bool,
}

impl Invocation {
    /// Whether the platform or the SDK has told of something that went wrong.
    pub(super) fn has_failed(&self) -> bool {
        let ends = [&self.runtime_done, &self.report].into_iter().flatten();
        let is_error = |end: &InvocationEnd| matches!(&*end.status, "error" | "failure" | "timeout");
        let has_error = self.has_unhandled_error || self.has_raised;
        has_error || self.fault.is_some() || self.fault_text.is_some() || ends.into_iter().any(is_error)
    }

    /// Takes in what an envelope says. `is_certain` means that the envelope names this invocation.
    pub(super) fn note(&mut self, note: EnvelopeNote, is_certain: bool) {
        self.has_unhandled_error |= note.unhandled;
        if note.trace_id.is_some() && (is_certain || !self.sdk.is_certain) {
            let EnvelopeNote { trace_id, span_id, sampled, .. } = note;
            self.sdk = SdkTrace { trace_id, span_id, sampled, is_certain };
        }
    }
}
