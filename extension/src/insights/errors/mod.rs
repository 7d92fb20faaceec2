//! Errors that nothing in the function has handled, as its runtime writes them into the log. Pure.
//!
//! Every runtime of Lambda logs such an error before it reports it to Lambda, which keeps the report to itself. The
//! platform says only that the invocation was a success: the runtime has caught the error and goes on.

mod event;
mod frame;
mod frames;
mod record;
mod text;

pub(super) use event::event;

use super::lines::Line;
use crate::telemetry::RequestId;
use frame::Language;
use std::time::SystemTime;

/// How many errors wait for the end of their invocation. On Managed Instances invocations overlap.
const MOST_WAITING: usize = 16;

/// An error, and where it happened.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct UncaughtError {
    pub(super) time: SystemTime,
    /// The invocation. During init there is none.
    pub(super) request: Option<RequestId>,
    language: Language,
    /// The causes come first, and what nothing has handled comes last.
    exceptions: Vec<Exception>,
}

/// One exception of a chain.
#[derive(Clone, Debug, Default, PartialEq)]
struct Exception {
    kind: String,
    value: String,
    /// The outermost call comes first.
    frames: Vec<frame::Frame>,
}

/// Errors that wait until their invocation has ended. Until then the SDK may report the same error.
#[derive(Debug, Default)]
pub(super) struct Errors {
    waiting: Vec<Waiting>,
}

#[derive(Debug)]
struct Waiting {
    error: UncaughtError,
    /// The runtime's record looks like one that the function may write itself, and is known only by being the last of
    /// its invocation.
    must_be_last: bool,
}

impl Errors {
    /// Looks at a line. `runtime` is what Lambda calls the runtime, for example `python`.
    pub(super) fn take(
        &mut self,
        line: &Line<'_>,
        request: Option<&RequestId>,
        time: SystemTime,
        runtime: &str,
    ) {
        // What the function writes later it writes as one that goes on: it has handled the error.
        self.waiting.retain(|waiting| !waiting.must_be_last || waiting.error.request.as_ref() != request);
        let Some(found) = record::read(line, runtime) else { return };
        let is_known = |waiting: &Waiting| request.is_some() && waiting.error.request.as_ref() == request;
        // The runtime reports one error of an invocation, and the first one is what went wrong.
        if self.waiting.len() >= MOST_WAITING || self.waiting.iter().any(is_known) {
            return;
        }
        let record::Found { language, exceptions, must_be_last } = found;
        let error = UncaughtError { time, request: request.cloned(), language, exceptions };
        self.waiting.push(Waiting { error, must_be_last });
    }

    /// Takes out the errors whose invocation has ended.
    pub(super) fn ended(&mut self, is_over: impl Fn(Option<&RequestId>) -> bool) -> Vec<UncaughtError> {
        let (over, open) =
            self.waiting.drain(..).partition(|waiting| is_over(waiting.error.request.as_ref()));
        self.waiting = open;
        over.into_iter().map(|waiting: Waiting| waiting.error).collect()
    }

    pub(super) fn is_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }
}

impl UncaughtError {
    /// The type of what nothing has handled.
    pub(super) fn kind(&self) -> &str {
        self.exceptions.last().map_or("Error", |exception| &exception.kind)
    }
}

#[cfg(test)]
mod tests;
