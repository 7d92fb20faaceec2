//! What is known about one invocation, and what the function's own envelopes say about it. This is pure data, which
//! `environment` writes and `classify` reads.

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
    /// The peak of the sampled memory, in bytes.
    pub(super) memory_peak: u64,
    /// Whether the kernel has killed a process because the memory was full.
    pub(super) oom_killed: bool,
    pub(super) runtime_done: Option<InvocationEnd>,
    pub(super) ended: Option<SystemTime>,
    pub(super) report: Option<InvocationEnd>,
    /// The platform's text about what went wrong.
    pub(super) fault_text: Option<String>,
    /// Whether its fault was reported, or it is known to have none.
    pub(super) is_settled: bool,
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
    /// Takes in what an envelope says. `is_certain` means that the envelope names this invocation.
    pub(super) fn note(&mut self, note: EnvelopeNote, is_certain: bool) {
        self.has_unhandled_error |= note.unhandled;
        if note.trace_id.is_some() && (is_certain || !self.sdk.is_certain) {
            let EnvelopeNote { trace_id, span_id, sampled, .. } = note;
            self.sdk = SdkTrace { trace_id, span_id, sampled, is_certain };
        }
    }
}
