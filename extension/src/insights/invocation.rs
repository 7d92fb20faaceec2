//! What is known of one invocation, and what the function's own envelopes say of it. Pure data: `environment` fills it,
//! and `classify` reads it.

use crate::protocol::EnvelopeNote;
use crate::telemetry::{InvocationEnd, RequestId};
use std::time::SystemTime;

/// What the function's own envelopes say of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Learnt {
    pub(super) release: Option<String>,
    pub(super) environment: Option<String>,
}

/// One request.
#[derive(Clone, Debug, Default)]
pub(super) struct Invocation {
    pub(super) request: RequestId,
    /// Whether nothing came before it in this process.
    pub(super) is_first: bool,
    pub(super) arn: Option<String>,
    /// When INVOKE was read, or the platform said that it started.
    pub(super) started: Option<SystemTime>,
    /// When INVOKE was read, by this machine's clock, which is also the deadline's.
    pub(super) invoked: Option<SystemTime>,
    pub(super) deadline: Option<SystemTime>,
    /// X-Ray's header.
    pub(super) xray: Option<String>,
    pub(super) sdk: SdkTrace,
    /// The SDK has sent an error of this request that nothing handled.
    pub(super) has_unhandled_error: bool,
    /// The most memory that was seen in use, in bytes.
    pub(super) memory_peak: u64,
    /// The kernel has killed a process for want of memory.
    pub(super) oom_killed: bool,
    pub(super) runtime_done: Option<InvocationEnd>,
    pub(super) ended: Option<SystemTime>,
    pub(super) report: Option<InvocationEnd>,
    /// The platform's own words.
    pub(super) fault_text: Option<String>,
    /// Its fault was told, or it is known to have none.
    pub(super) is_settled: bool,
}

/// The trace that the SDK has chosen for an invocation.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct SdkTrace {
    pub(super) trace_id: Option<String>,
    pub(super) span_id: Option<String>,
    pub(super) sampled: Option<bool>,
    /// It was told together with the request's id, and is no guess.
    pub(super) is_certain: bool,
}

impl Invocation {
    /// Takes what an envelope says; `is_certain` where it names this invocation.
    pub(super) fn note(&mut self, note: EnvelopeNote, is_certain: bool) {
        self.has_unhandled_error |= note.unhandled;
        if note.trace_id.is_some() && (is_certain || !self.sdk.is_certain) {
            let EnvelopeNote { trace_id, span_id, sampled, .. } = note;
            self.sdk = SdkTrace { trace_id, span_id, sampled, is_certain };
        }
    }
}
