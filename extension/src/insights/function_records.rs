//! What the function writes, and the invocation that each line belongs to. Pure.
//!
//! Lambda's records of the function do not say to which invocation they belong. The order of all records does: a line
//! belongs to the invocation that has begun last, unless the line names another one. On Managed Instances, where
//! invocations overlap, nothing is guessed.

use super::errors::{Errors, UncaughtError};
use super::lines::{Line, NamedRequest};
use super::logs::{Container, LogContext, LogCount, LogCounts, Logs};
use crate::config::{Function, InsightsSettings};
use crate::telemetry::{DroppedRecords, FunctionRecord, PlatformEvent, Record, RequestId};
use serde_json::Value;
use std::collections::VecDeque;
use std::time::SystemTime;

/// How many invocations are known by their ids.
const MAX_REQUESTS: usize = 64;

/// Everything that the function writes.
#[derive(Debug)]
pub(super) struct FunctionRecords {
    requests: Requests,
    logs: Option<Logs>,
    errors: Option<Errors>,
    /// What Lambda calls the runtime.
    runtime: String,
    /// What the settings say of all logs, and the trace of those that belong to no invocation.
    context: LogContext,
    dropped: DroppedRecords,
    unreported: DroppedRecords,
    /// The batches of which a part could not be read.
    unreadable: u64,
    /// What waits is to be sent at the end of the batch.
    is_due: bool,
    /// A timer runs after which what waits is sent.
    has_timer: bool,
    is_ending: bool,
}

/// What became of the function's lines, for the last line of the log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct FunctionCounts {
    /// `None` where no logs are wanted.
    pub(super) logs: Option<LogCounts>,
    pub(super) dropped: DroppedRecords,
    pub(super) unreadable: u64,
}

/// What is to be done when a batch was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum AfterBatch {
    Nothing,
    /// What waits is to be sent now.
    Send,
    /// What waits is to be sent a little later.
    SendLater,
}

impl FunctionRecords {
    /// `trace_id` is that of what belongs to no invocation. `None`: nothing of this is wanted.
    pub(super) fn new(
        settings: &InsightsSettings,
        function: &Function,
        is_managed: bool,
        trace_id: String,
    ) -> Option<Self> {
        if !settings.need_function_records() {
            return None;
        }
        let context = LogContext {
            function: function.name.clone(),
            environment: function.environment.clone(),
            release: function.release.clone().or_else(|| function.published()),
            trace_id,
        };
        Some(Self {
            requests: Requests { is_managed, ..Requests::default() },
            errors: (settings.errors || settings.monitor.is_some()).then(Errors::default),
            runtime: String::new(),
            logs: settings.function_logs.map(|settings| Logs::new(settings, &context)),
            context,
            dropped: DroppedRecords::default(),
            unreported: DroppedRecords::default(),
            unreadable: 0,
            is_due: false,
            has_timer: false,
            is_ending: false,
        })
    }

    /// A record of the platform.
    pub(super) fn platform(&mut self, record: &Record) {
        match &record.event {
            PlatformEvent::InitStart(start) => {
                self.runtime = start.runtime_version.clone().unwrap_or_default();
            }
            PlatformEvent::InitRuntimeDone(_) | PlatformEvent::InitReport(_) => {
                self.requests.is_init_over = true;
            }
            PlatformEvent::Start(start) => self.requests.begun(&start.request),
            PlatformEvent::Dropped => self.requests.current = None,
            // On Managed Instances the report is all that tells of the end of a request.
            PlatformEvent::RuntimeDone(end) | PlatformEvent::Report(end) => {
                self.requests.ended(&end.request);
                self.is_due |=
                    self.requests.is_managed || matches!(record.event, PlatformEvent::RuntimeDone(_));
            }
            _ => {}
        }
    }

    /// A line of the function. `now` is asked only where Lambda's time is missing. Returns whether what waits has to be
    /// sent before the next line.
    pub(super) fn function(&mut self, record: FunctionRecord<'_>, now: impl FnOnce() -> SystemTime) -> bool {
        let output = record.output();
        let line = Line::read(&output);
        let time = record.time.unwrap_or_else(now);
        let request = self.requests.of(line.as_ref().and_then(|line| line.request.as_ref()));
        if let (Some(errors), Some(line)) = (&mut self.errors, &line) {
            errors.take(line, request, time, &self.runtime);
        }
        self.logs.as_mut().is_some_and(|logs| logs.take(line.as_ref(), request, time))
    }

    /// Takes out the errors whose invocation or init is over.
    pub(super) fn take_errors(&mut self) -> Vec<UncaughtError> {
        let (requests, is_ending) = (&self.requests, self.is_ending);
        match self.errors.as_mut().filter(|errors| errors.is_waiting()) {
            Some(errors) => errors.ended(|request| is_ending || requests.is_over(request)),
            None => Vec::new(),
        }
    }

    /// Lambda has dropped records.
    pub(super) fn dropped(&mut self, dropped: DroppedRecords) {
        for sum in [&mut self.dropped, &mut self.unreported] {
            sum.records = sum.records.saturating_add(dropped.records);
            sum.bytes = sum.bytes.saturating_add(dropped.bytes);
        }
    }

    /// A part of a batch could not be read.
    pub(super) fn unreadable(&mut self) {
        self.unreadable = self.unreadable.saturating_add(1);
        self.requests.current = None;
    }

    /// A batch was read.
    pub(super) fn batch_ended(&mut self) -> AfterBatch {
        let is_due = std::mem::take(&mut self.is_due) || self.is_ending;
        let is_waiting = self.logs.as_ref().is_some_and(Logs::is_waiting);
        if is_due {
            AfterBatch::Send
        } else if is_waiting && !self.has_timer {
            self.has_timer = true;
            AfterBatch::SendLater
        } else {
            AfterBatch::Nothing
        }
    }

    /// The timer has run out.
    pub(super) fn timer_ended(&mut self) {
        self.has_timer = false;
    }

    /// The environment ends: from now on nothing waits.
    pub(super) fn ending(&mut self) {
        self.is_ending = true;
    }

    /// Makes a container of the logs that wait. `known` says what the environment knows of a request: its trace; and
    /// what it has learnt of release and environment.
    pub(super) fn container(
        &mut self,
        trace_of: impl Fn(&RequestId) -> Option<String>,
        release: Option<&String>,
        environment: Option<&String>,
    ) -> Option<Container> {
        let own = &self.context;
        let context = LogContext {
            function: own.function.clone(),
            environment: own.environment.as_ref().or(environment).cloned(),
            release: own.release.as_ref().or(release).cloned(),
            trace_id: own.trace_id.clone(),
        };
        let of_request = |request: Option<&RequestId>| {
            let trace_id = request.and_then(&trace_of).unwrap_or_else(|| context.trace_id.clone());
            LogContext { trace_id, ..context.clone() }
        };
        self.logs.as_mut()?.container(of_request)
    }

    /// What has to be reported to Sentry as lost: what is over the budget, and what Lambda has dropped.
    pub(super) fn take_unreported(&mut self) -> [LogCount; 2] {
        let Some(logs) = &mut self.logs else { return <[LogCount; 2]>::default() };
        let DroppedRecords { records, bytes } = std::mem::take(&mut self.unreported);
        [logs.take_unreported(), LogCount { logs: records, bytes }]
    }

    /// The latest lines of a request, or those before the first one.
    pub(super) fn breadcrumbs(&self, request: Option<&RequestId>) -> Vec<Value> {
        self.logs.as_ref().map(|logs| logs.breadcrumbs(request)).unwrap_or_default()
    }

    pub(super) fn counts(&self) -> FunctionCounts {
        FunctionCounts {
            logs: self.logs.as_ref().map(Logs::counts),
            dropped: self.dropped,
            unreadable: self.unreadable,
        }
    }
}

/// The invocations that lines may belong to.
#[derive(Debug, Default)]
struct Requests {
    is_managed: bool,
    /// The one that has begun last. After records were lost it is not known.
    current: Option<RequestId>,
    /// All that were told of, oldest first.
    known: VecDeque<RequestId>,
    /// Those that have ended, oldest first.
    ended: VecDeque<RequestId>,
    is_init_over: bool,
}

impl Requests {
    fn begun(&mut self, request: &RequestId) {
        self.is_init_over = true;
        self.know(request.clone());
        if !self.is_managed {
            self.current = Some(request.clone());
        }
    }

    fn ended(&mut self, request: &RequestId) {
        if self.ended.len() >= MAX_REQUESTS {
            self.ended.pop_front();
        }
        self.ended.push_back(request.clone());
    }

    /// Whether an invocation has ended, or init if there is none.
    fn is_over(&self, request: Option<&RequestId>) -> bool {
        let Some(request) = request else { return self.is_init_over };
        let is_another = || self.current.as_ref().is_some_and(|current| current != request);
        self.ended.contains(request) || is_another()
    }

    fn know(&mut self, request: RequestId) {
        if self.known.len() >= MAX_REQUESTS {
            self.known.pop_front();
        }
        self.known.push_back(request);
    }

    /// The invocation of a line that names `named`, or none.
    fn of(&mut self, named: Option<&NamedRequest<'_>>) -> Option<&RequestId> {
        let (id, is_certain) = match named {
            None => return self.current.as_ref(),
            Some(NamedRequest::ByRuntime(id)) => (*id, true),
            // The function may use the name for something else, for example the id of a request to it. Where the
            // invocation is not known, it is the best that there is.
            Some(NamedRequest::ByField(_, id)) => (&**id, self.current.is_none() && is_uuid(id)),
        };
        if self.current.as_ref().is_some_and(|current| current.is(id)) {
            return self.current.as_ref();
        }
        match self.known.iter().rposition(|known| known.is(id)) {
            Some(at) => self.known.get(at),
            None if is_certain => {
                self.know(RequestId::new(id));
                self.known.back()
            }
            None => self.current.as_ref(),
        }
    }
}

fn is_uuid(text: &str) -> bool {
    text.len() == 36 && text.bytes().all(|b| b.is_ascii_hexdigit() || b == b'-')
}

#[cfg(test)]
mod tests;
