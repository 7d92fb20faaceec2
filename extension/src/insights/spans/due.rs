//! Finds what there is to draw of an invocation, from the platform's records. Pure.

use crate::config::PROVISIONED;
use crate::insights::init::Inits;
use crate::insights::invocation::Invocation;
use std::time::{Duration, SystemTime};

/// An init that has ended this long before the invocation was not made for it. To draw it would stretch the trace.
const EARLY: Duration = Duration::from_secs(10);
/// A shorter time of the extensions is not worth a span: to ask for the next event takes about as long.
const LEAST_OVERHEAD: Duration = Duration::from_millis(5);
/// Nothing of an invocation takes longer in Lambda, so a longer time is that of a clock that was set.
const LONGEST: Duration = Duration::from_mins(15);

/// Which spans of an invocation were handed out. Each is made once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::insights) struct SpansSent {
    /// Init or restore, and the span of the invocation itself where that is the extension's own.
    pub(in crate::insights) start: bool,
    /// The overhead of extensions.
    pub(in crate::insights) end: bool,
}

/// Something that took time, and its name in Sentry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::insights) struct Phase {
    pub(in crate::insights) kind: PhaseKind,
    pub(in crate::insights) start: SystemTime,
    pub(in crate::insights) end: SystemTime,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::insights) enum PhaseKind {
    Init,
    Restore,
    Extensions,
}

impl PhaseKind {
    /// The span's operation.
    pub(in crate::insights) fn op(self) -> &'static str {
        match self {
            Self::Init => "function.aws.init",
            Self::Restore => "function.aws.restore",
            Self::Extensions => "function.aws.extensions",
        }
    }

    /// Whether it comes after the invocation.
    pub(in crate::insights) fn is_end(self) -> bool {
        self == Self::Extensions
    }

    /// The end of the span's name, behind that of the function.
    pub(in crate::insights) fn suffix(self) -> &'static str {
        match self {
            Self::Init => "init",
            Self::Restore => "restore",
            Self::Extensions => "extensions",
        }
    }
}

impl Phase {
    /// `None`: the times cannot be right.
    fn new(kind: PhaseKind, start: SystemTime, end: SystemTime) -> Option<Self> {
        let is_plausible = end.duration_since(start).is_ok_and(|took| took <= LONGEST);
        is_plausible.then_some(Self { kind, start, end })
    }
}

/// The init or the restore that the first invocation of an environment has waited for.
///
/// There is none with provisioned concurrency, on Managed Instances, or if Lambda has run init ahead of time. The
/// records of the init of a snapshot tell when the snapshot was made, so only the restore counts there.
pub(in crate::insights) fn init_of(invocation: &Invocation, inits: &Inits) -> Option<Phase> {
    if !invocation.is_first {
        return None;
    }
    let (kind, (start, end)) = match inits.initialization_type() {
        "snap-start" => (PhaseKind::Restore, inits.restored()?),
        PROVISIONED | "lambda-managed-instances" => return None,
        _ => (PhaseKind::Init, inits.initialized()?),
    };
    let waited = invocation.started.and_then(|started| started.duration_since(end).ok()).unwrap_or_default();
    if waited > EARLY { None } else { Phase::new(kind, start, end) }
}

/// The time for which extensions held the invocation after its runtime had ended.
pub(in crate::insights) fn overhead_of(invocation: &Invocation) -> Option<Phase> {
    let overhead = post_runtime(invocation).filter(|overhead| *overhead >= LEAST_OVERHEAD)?;
    let start = invocation.ended?;
    Phase::new(PhaseKind::Extensions, start, start.checked_add(overhead)?)
}

/// The time between the end of the runtime and that of the invocation.
pub(in crate::insights) fn post_runtime(invocation: &Invocation) -> Option<Duration> {
    let runtime = invocation.runtime_done.as_ref()?.metrics.duration_ms?;
    let whole = invocation.report.as_ref()?.metrics.duration_ms?;
    Duration::try_from_secs_f64((whole - runtime) / 1000.0).ok()
}
