//! Spans of what no SDK can see: init, the restore from a snapshot, and the time for which extensions hold an
//! invocation after its runtime has ended. Pure, except that new spans get random ids.
//!
//! Where an SDK traces, they are children of its root span, in the project of the SDK, and only if the SDK has sampled
//! that trace. Where none does, a setting gives a share of the invocations a trace of their own.

mod due;
mod root;
mod sampling;
mod write;

pub(super) use due::{SpansSent, init_of, overhead_of, post_runtime};
pub(super) use root::{Root, TraceNote};
pub(super) use sampling::Decision;
pub(super) use write::{SpanSet, Writer};

use crate::config::SpanMode;

/// What is known of tracing in this environment.
#[derive(Debug)]
pub(super) struct Spans {
    pub(super) mode: SpanMode,
    /// Whether an SDK was seen that makes traces, sampled or not. Then an invocation without a trace is one that the
    /// SDK has left out.
    pub(super) has_tracing_sdk: bool,
}

impl Spans {
    pub(super) fn new(mode: SpanMode) -> Self {
        Self { mode, has_tracing_sdk: false }
    }

    /// Whether anything is wanted.
    pub(super) fn are_on(&self) -> bool {
        self.mode != SpanMode::Off
    }

    /// The share of the invocations without an SDK's trace that get one.
    pub(super) fn rate(&self) -> Option<f64> {
        match self.mode {
            SpanMode::Rate(rate) if rate > 0.0 => Some(rate),
            _ => None,
        }
    }
}
