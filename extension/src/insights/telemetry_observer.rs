//! Takes what Lambda's telemetry tells, and sends the function's own lines on their way.

use super::Shared;
use super::errors::{self, UncaughtError};
use super::function_records::{AfterBatch, FunctionCounts, FunctionRecords};
use super::json::{object, set};
use super::logs::{Container, LogCount};
use super::outbox::event_body;
use super::surroundings::Surroundings;
use crate::config::{Function, variable};
use crate::protocol::{EventId, Item, ItemKind, masked};
use crate::relay::{Acceptance, Envelope, ReportTarget};
use crate::telemetry::{DroppedRecords, FunctionRecord, Observer, Record, RequestId};
use crate::{log, task};
use serde_json::Value;
use std::sync::{Arc, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

/// How long a line waits for more of them while its invocation goes on.
const LOG_DELAY: Duration = Duration::from_secs(1);
/// Sentry's own name for what a setting of the user leaves out.
const OVER_BUDGET: &str = "sample_rate";
/// Sentry's own name for what had no room in a buffer: here in Lambda's.
const DROPPED_BY_LAMBDA: &str = "buffer_overflow";

/// Hears telemetry.
#[derive(Debug)]
pub(super) struct TelemetryObserver(pub(super) Arc<Shared>);

impl Observer for TelemetryObserver {
    fn wants_function_records(&self) -> bool {
        self.0.function_records.is_some()
    }

    fn platform(&self, records: Vec<Record>) {
        if let Some(mut function) = self.0.function_records() {
            for record in &records {
                function.platform(record);
            }
        }
        // An error that the runtime has told of is the cause of a fault, so it is known first.
        self.0.send_errors();
        self.0.update(|environment, now| environment.add_records(records, now));
        self.0.changed.notify_waiters();
    }

    fn function(&self, record: FunctionRecord<'_>) {
        let is_full =
            self.0.function_records().is_some_and(|mut function| function.function(record, SystemTime::now));
        if is_full {
            self.0.send_logs();
        }
    }

    fn dropped(&self, dropped: DroppedRecords) {
        if let Some(mut function) = self.0.function_records() {
            function.dropped(dropped);
        }
    }

    fn unreadable(&self) {
        if let Some(mut function) = self.0.function_records() {
            function.unreadable();
        }
    }

    fn batch_ended(&self) {
        let after = self.0.function_records().map(|mut function| function.batch_ended());
        match after {
            Some(AfterBatch::Send) => self.0.send_logs(),
            Some(AfterBatch::SendLater) => {
                let shared = Arc::clone(&self.0);
                task::spawn(async move {
                    tokio::time::sleep(LOG_DELAY).await;
                    if let Some(mut function) = shared.function_records() {
                        function.timer_ended();
                    }
                    shared.send_logs();
                });
            }
            Some(AfterBatch::Nothing) | None => {}
        }
    }
}

impl Shared {
    pub(super) fn function_records(&self) -> Option<MutexGuard<'_, FunctionRecords>> {
        // No section leaves it half-changed where it could panic.
        Some(self.function_records.as_ref()?.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Hands the lines that wait to the relay.
    pub(super) fn send_logs(&self) {
        if self.function_records.is_none() {
            return;
        }
        let mut environment = self.environment();
        environment.read_envelopes();
        let Some(mut function) = self.function_records() else { return };
        let learnt = environment.learnt();
        let (release, named) = (learnt.release.as_ref(), learnt.environment.as_ref());
        let container = function.container(|request| environment.trace_of(request), release, named);
        let unreported = function.take_unreported();
        drop((function, environment));
        if let Some(container) = container {
            self.send_container(container);
        }
        for (lost, reason) in unreported.into_iter().zip([OVER_BUDGET, DROPPED_BY_LAMBDA]) {
            self.report(lost, reason);
        }
    }

    /// Adds the latest lines of the invocation to an event.
    pub(super) fn add_breadcrumbs(&self, event: &mut Value, request: Option<&RequestId>) {
        let breadcrumbs = self.function_records().map(|function| function.breadcrumbs(request));
        if let (Some(breadcrumbs), Some(fields)) =
            (breadcrumbs.filter(|all| !all.is_empty()), event.as_object_mut())
        {
            set(fields, "breadcrumbs", object(&mut [("values", breadcrumbs.into())]));
        }
    }

    /// Reports the uncaught errors whose invocation is over, unless the SDK has done so.
    pub(super) fn send_errors(&self) {
        let Some(mut function) = self.function_records() else { return };
        let errors = function.take_errors();
        drop(function);
        for error in errors {
            let request = error.request.as_ref();
            let mut environment = self.environment();
            if !self.reports_errors {
                environment.raised(request);
                continue;
            }
            if !environment.claim_error(request, SystemTime::now()) {
                continue;
            }
            let invocation = request.and_then(|request| environment.known_of(request));
            let about = Surroundings {
                time: error.time,
                invocation,
                start: environment.init_start(),
                learnt: environment.learnt(),
                is_cold_start: environment.is_cold_start(invocation),
                error_type: Some(error.kind()),
                trace_status: "internal_error",
            };
            let event_id = EventId::random();
            let function = Function::read(variable);
            let mut event = errors::event(&error, &about, &function, self.memory_size, &event_id);
            drop(environment);
            self.add_breadcrumbs(&mut event, request);
            self.send_event(&error, &event_id, &event);
        }
    }

    fn send_event(&self, error: &UncaughtError, event_id: &EventId, event: &Value) {
        let request = error.request.as_ref().map(ToString::to_string).unwrap_or_default();
        let fields: [log::Field<'_>; 3] =
            [("error", &masked(error.kind())), ("request", &request), ("event_id", event_id)];
        log::info("uncaught error", &fields);
        let event = event.to_string();
        let item = Item { kind: ItemKind::Event, count: 1, bytes: event.len() };
        let body = event_body(event_id, event.as_bytes());
        let (upstream, key) = (Arc::clone(&self.upstream), self.key.clone());
        if let Acceptance::Limited { .. } =
            self.relay.accept(Envelope::of_ours(upstream, key, self.project, item, body))
        {
            log::warn("Sentry's rate limits forbid the event of an error", &fields);
        }
    }

    fn send_container(&self, container: Container) {
        let Container { envelope, count, billed } = container;
        let item = Item {
            kind: ItemKind::FunctionLog,
            count: u32::try_from(count).unwrap_or(u32::MAX),
            bytes: billed,
        };
        let (upstream, key) = (Arc::clone(&self.upstream), self.key.clone());
        let envelope = Envelope::of_ours(upstream, key, self.project, item, envelope).in_background();
        if let Acceptance::Limited { retry_after, .. } = self.relay.accept(envelope) {
            let fields: [log::Field<'_>; 2] = [("logs", &count), ("retry_after", &retry_after)];
            log::debug("Sentry's rate limits forbid the function's logs", &fields);
        }
    }

    fn report(&self, lost: LogCount, reason: &'static str) {
        let LogCount { logs, bytes } = lost;
        if logs == 0 && bytes == 0 {
            return;
        }
        let item = Item {
            kind: ItemKind::FunctionLog,
            count: u32::try_from(logs).unwrap_or(u32::MAX),
            bytes: usize::try_from(bytes).unwrap_or(usize::MAX),
        };
        let upstream = Arc::clone(&self.upstream);
        let target = ReportTarget { upstream, key: self.key.clone(), project: self.project };
        self.relay.report_loss(target, item, reason);
    }

    /// Logs what became of the function's lines.
    pub(super) fn log_function_records(&self) {
        let Some(FunctionCounts { logs, dropped, unreadable }) =
            self.function_records().map(|function| function.counts())
        else {
            return;
        };
        if logs.is_none() && dropped.records == 0 && unreadable == 0 {
            return;
        }
        let logs = logs.unwrap_or_default();
        let fields: [log::Field<'_>; 9] = [
            ("read", &logs.read),
            ("sent", &logs.queued.logs),
            ("sent_bytes", &logs.queued.bytes),
            ("left_out", &logs.left_out),
            ("over_budget", &logs.over_budget.logs),
            ("over_budget_bytes", &logs.over_budget.bytes),
            ("dropped_by_lambda", &dropped.records),
            ("dropped_by_lambda_bytes", &dropped.bytes),
            ("unreadable_batches", &unreadable),
        ];
        let is_complete = logs.over_budget.logs == 0 && dropped.records == 0 && unreadable == 0;
        if is_complete {
            log::info("function logs", &fields);
        } else {
            log::warn("function logs", &fields);
        }
    }
}
