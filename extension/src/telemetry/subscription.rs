//! Lambda's Telemetry API: when is the function done? The answer may never come, so no wait is without a bound.

use super::invocation_log::{InvocationLog, InvocationState};
use super::listener;
use super::record::{PlatformEvent, Record};
use super::request_id::RequestId;
use crate::{log, task};
use std::fmt::Display;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::timeout;

/// Lambda answers within a few milliseconds; this is cold start.
const SUBSCRIBING: Duration = Duration::from_millis(200);
/// Records are buffered for 25 ms: the word that the function has started is overdue by then.
const FIRST_SIGN: Duration = Duration::from_millis(250);

/// How a wait for the function's end has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FunctionEnd {
    /// The function is done.
    Done,
    /// It has not been heard of, or not in time.
    Unknown,
}

/// Hears every batch of records.
pub(crate) type Observer = Arc<dyn Fn(&[Record]) + Send + Sync>;

/// What became of a subscription to telemetry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subscribed {
    /// Records will come.
    Yes,
    /// An emulator took the request and will do nothing.
    NotSupported,
}

/// A subscription.
#[derive(Debug)]
pub(crate) struct Telemetry {
    invocations: watch::Receiver<InvocationLog>,
    /// How many requests were reported as done when one was missed: nothing is waited for until there are more.
    missed: Mutex<Option<u64>>,
}

impl Telemetry {
    /// Opens a port and subscribes through `ask`, within a bound. `None`: this is not a place with telemetry.
    pub(crate) async fn subscribe<E: Display>(
        ask: impl AsyncFnOnce(u16) -> Result<Subscribed, E>,
        observer: Option<Observer>,
    ) -> Option<Self> {
        let socket = listener::bind().and_then(|socket| Ok((socket.local_addr()?.port(), socket)));
        let (port, socket) = socket.inspect_err(|error| log_absence(error)).ok()?;
        let missed = match timeout(SUBSCRIBING, ask(port)).await {
            Ok(Ok(Subscribed::Yes)) => None,
            Ok(Ok(Subscribed::NotSupported)) => {
                log_absence(&"not supported here");
                return None;
            }
            Ok(Err(error)) => {
                log_absence(&error);
                return None;
            }
            // The request may have arrived, so listen; but nothing is waited for until something was heard.
            Err(_) => {
                log_absence(&"no answer in time");
                Some(0)
            }
        };
        let (sender, invocations) = watch::channel(InvocationLog::default());
        match tokio::net::TcpListener::from_std(socket).map(Arc::new) {
            Ok(listener) => task::supervise("telemetry", move || {
                let (sender, observer) = (sender.clone(), observer.clone());
                listener::serve(Arc::clone(&listener), move |records| {
                    take(&sender, &records);
                    if let Some(observer) = &observer {
                        observer(&records);
                    }
                })
            }),
            Err(error) => log::warn("cannot listen for telemetry", &[("error", &error)]),
        }
        Some(Self { invocations, missed: Mutex::new(missed) })
    }

    /// Whether it is worth waiting for the function's end.
    pub(crate) fn works(&self) -> bool {
        let missed = *self.missed.lock().unwrap_or_else(PoisonError::into_inner);
        missed.is_none_or(|done| self.invocations.borrow().done > done)
    }

    /// Waits until the function is done with a request, at most so long.
    pub(crate) async fn done(&self, request: &RequestId, within: Duration) -> FunctionEnd {
        if within.is_zero() {
            return FunctionEnd::Unknown;
        }
        let mut invocations = self.invocations.clone();
        let waiting = async {
            let running =
                invocations.wait_for(|invocations| invocations.of(request) != InvocationState::None);
            // The sender ends with the process.
            if !timeout(FIRST_SIGN, running).await.is_ok_and(|invocations| invocations.is_ok()) {
                return false;
            }
            invocations.wait_for(|invocations| invocations.of(request) == InvocationState::Done).await.is_ok()
        };
        if timeout(within, waiting).await.unwrap_or(false) {
            return FunctionEnd::Done;
        }
        *self.missed.lock().unwrap_or_else(PoisonError::into_inner) = Some(self.invocations.borrow().done);
        log::debug("the function's end was not heard of", &[("request", request)]);
        FunctionEnd::Unknown
    }
}

fn log_absence(why: &dyn Display) {
    log::debug("no telemetry: /next does not wait for the function's end", &[("reason", why)]);
}

fn take(invocations: &watch::Sender<InvocationLog>, records: &[Record]) {
    if records.is_empty() {
        return;
    }
    for record in records {
        let (what, end) = match &record.event {
            PlatformEvent::RuntimeDone(end) => ("the function is done", end),
            PlatformEvent::Report(end) => ("the invocation is over", end),
            _ => continue,
        };
        let error_type = end.error_type.as_deref().unwrap_or_default();
        let fields: [log::Field<'_>; 3] =
            [("request", &end.request), ("status", &end.status), ("error_type", &error_type)];
        log::debug(what, &fields);
    }
    invocations.send_modify(|invocations| records.iter().for_each(|record| invocations.enter(&record.event)));
}
