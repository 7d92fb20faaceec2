//! The subscription to Lambda's Telemetry API. It tells when the function is done. The report may never come, so every
//! wait has a bound.

use super::batch;
use super::invocation_log::{InvocationLog, InvocationState};
use super::listener;
use super::observer::Observer;
use super::record::{PlatformEvent, Record};
use super::request_id::RequestId;
use crate::protocol::masked;
use crate::{log, task};
use std::fmt::Display;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::timeout;

/// The longest wait for the response to the subscription. Lambda answers within a few milliseconds, and this wait is
/// part of cold start.
const SUBSCRIBE_TIMEOUT: Duration = Duration::from_millis(200);
/// The longest wait for the record that the function has started. Lambda buffers records for 25 ms, so after this time
/// the record is overdue.
const START_TIMEOUT: Duration = Duration::from_millis(250);

/// The result of a wait for the end of the function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FunctionEnd {
    /// Telemetry reported that the function is done.
    Done,
    /// Telemetry did not report it in time.
    Unknown,
}

/// The result of a subscription to telemetry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subscribed {
    /// Lambda will post records.
    Yes,
    /// The API accepted the request but will post nothing, as AWS's emulator does.
    NotSupported,
}

/// A subscription to telemetry, and whether its reports can be relied on.
#[derive(Debug)]
pub(crate) struct Telemetry {
    invocations: watch::Receiver<InvocationLog>,
    /// The number of completed requests when telemetry last failed to report one. The extension does not wait for
    /// telemetry again until the number grows.
    done_at_miss: Mutex<Option<u64>>,
}

impl Telemetry {
    /// Opens a port and subscribes by `ask`, within a bounded time. `ask` gets the port, and whether lines of the
    /// function are wanted. Returns `None` where there is no telemetry.
    pub(crate) async fn subscribe<E: Display>(
        ask: impl AsyncFnOnce(u16, bool) -> Result<Subscribed, E>,
        observer: Option<Arc<dyn Observer>>,
    ) -> Option<Self> {
        let socket = listener::bind().and_then(|socket| Ok((socket.local_addr()?.port(), socket)));
        let (port, socket) = socket.inspect_err(|error| log_absence(error)).ok()?;
        let with_function = observer.as_ref().is_some_and(|observer| observer.wants_function_records());
        let done_at_miss = match timeout(SUBSCRIBE_TIMEOUT, ask(port, with_function)).await {
            Ok(Ok(Subscribed::Yes)) => None,
            Ok(Ok(Subscribed::NotSupported)) => {
                log_absence(&"not supported here");
                return None;
            }
            Ok(Err(error)) => {
                log_absence(&error);
                return None;
            }
            // Lambda may have received the subscription, so the listener stays. The extension waits for telemetry only
            // after a first report.
            Err(_) => {
                log_absence(&"no answer in time");
                Some(0)
            }
        };
        let (sender, invocations) = watch::channel(InvocationLog::default());
        match tokio::net::TcpListener::from_std(socket).map(Arc::new) {
            Ok(listener) => task::supervise("telemetry", move || {
                let (sender, observer) = (sender.clone(), observer.clone());
                listener::serve(Arc::clone(&listener), move |body| {
                    read_batch(body, &sender, observer.as_deref());
                })
            }),
            Err(error) => log::warn("cannot listen for telemetry", &[("error", &error)]),
        }
        Some(Self { invocations, done_at_miss: Mutex::new(done_at_miss) })
    }

    /// Whether telemetry is expected to report the end of the function.
    pub(crate) fn works(&self) -> bool {
        let done_at_miss = *self.done_at_miss.lock().unwrap_or_else(PoisonError::into_inner);
        done_at_miss.is_none_or(|done| self.invocations.borrow().done > done)
    }

    /// Waits at most `within` until telemetry reports that the function is done with the request.
    pub(crate) async fn done(&self, request: &RequestId, within: Duration) -> FunctionEnd {
        if within.is_zero() {
            return FunctionEnd::Unknown;
        }
        let mut invocations = self.invocations.clone();
        let waiting = async {
            let running =
                invocations.wait_for(|invocations| invocations.state_of(request) != InvocationState::None);
            // The wait fails only if the sender is dropped, which happens when the process ends.
            if !timeout(START_TIMEOUT, running).await.is_ok_and(|invocations| invocations.is_ok()) {
                return false;
            }
            invocations
                .wait_for(|invocations| invocations.state_of(request) == InvocationState::Done)
                .await
                .is_ok()
        };
        if timeout(within, waiting).await.unwrap_or(false) {
            return FunctionEnd::Done;
        }
        *self.done_at_miss.lock().unwrap_or_else(PoisonError::into_inner) =
            Some(self.invocations.borrow().done);
        log::debug("telemetry did not report the end of the function in time", &[("request", request)]);
        FunctionEnd::Unknown
    }
}

fn log_absence(why: &dyn Display) {
    log::debug("no telemetry: /next does not wait for the function's end", &[("reason", why)]);
}

fn read_batch(body: &[u8], invocations: &watch::Sender<InvocationLog>, observer: Option<&dyn Observer>) {
    match observer {
        Some(observer) if observer.wants_function_records() => {
            batch::read(body, &mut |records| add_records(invocations, records), observer);
        }
        _ => {
            let records = Record::batch(body);
            add_records(invocations, &records);
            if let Some(observer) = observer.filter(|_| !records.is_empty()) {
                observer.platform(records);
                observer.batch_ended();
            }
        }
    }
}

fn add_records(invocations: &watch::Sender<InvocationLog>, records: &[Record]) {
    if records.is_empty() {
        return;
    }
    for record in records {
        let (what, end) = match &record.event {
            PlatformEvent::RuntimeDone(end) => ("the function is done", end),
            PlatformEvent::Report(end) => ("the invocation is over", end),
            _ => continue,
        };
        let error_type = masked(end.error_type.as_deref().unwrap_or_default());
        let fields: [log::Field<'_>; 3] =
            [("request", &end.request), ("status", &end.status), ("error_type", &error_type)];
        log::debug(what, &fields);
    }
    invocations.send_modify(|invocations| records.iter().for_each(|record| invocations.add(&record.event)));
}

/// What a test lets telemetry report.
#[cfg(test)]
pub(crate) struct Script(watch::Sender<InvocationLog>);

#[cfg(test)]
impl Script {
    /// Makes a subscription that has reported nothing yet.
    pub(crate) fn subscribe() -> (Self, Telemetry) {
        let (sender, invocations) = watch::channel(InvocationLog::default());
        (Self(sender), Telemetry { invocations, done_at_miss: Mutex::new(None) })
    }

    pub(crate) fn report(&self, event: &PlatformEvent) {
        self.0.send_modify(|invocations| invocations.add(event));
    }
}
