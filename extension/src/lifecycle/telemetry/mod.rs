//! Lambda's Telemetry API: when is the function done? The answer may never come, so no wait is without a bound.

mod heard;
mod listener;
mod record;

use super::api::{ApiError, Events, ExtensionId, ExtensionsApi, Subscribed};
use super::event::RequestId;
use crate::{log, task};
use heard::{Heard, Sign};
use record::Record;
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
pub(super) enum End {
    /// The function is done.
    Done,
    /// It has not been heard of, or not in time.
    Unknown,
}

/// A subscription.
#[derive(Debug)]
pub(super) struct Telemetry {
    heard: watch::Receiver<Heard>,
    /// How many requests were reported as done when one was missed: nothing is waited for until there are more.
    missed: Mutex<Option<u64>>,
}

impl Telemetry {
    /// Subscribes, within a bound; `None`: this is not a place with telemetry.
    pub(super) async fn subscribe(api: &mut ExtensionsApi, id: &ExtensionId, events: Events) -> Option<Self> {
        let absent = |why: &dyn std::fmt::Display| {
            log::debug("no telemetry: /next does not wait for the function's end", &[("reason", why)]);
        };
        let socket = listener::bind().and_then(|socket| Ok((socket.local_addr()?.port(), socket)));
        let (port, socket) = socket.inspect_err(|error| absent(error)).ok()?;
        let subscribed = timeout(SUBSCRIBING, api.subscribe(id, events, port)).await;
        let missed = match subscribed.unwrap_or(Err(ApiError::TimedOut)) {
            Ok(Subscribed::Yes) => None,
            // It may have arrived, so listen; but nothing is waited for until something was heard.
            Err(error @ ApiError::TimedOut) => {
                absent(&error);
                Some(0)
            }
            Ok(Subscribed::NotSupported) => {
                absent(&"not supported here");
                return None;
            }
            Err(error) => {
                absent(&error);
                return None;
            }
        };
        let (sender, heard) = watch::channel(Heard::default());
        match tokio::net::TcpListener::from_std(socket).map(Arc::new) {
            Ok(listener) => task::supervise("telemetry", move || {
                let sender = sender.clone();
                listener::serve(Arc::clone(&listener), move |records| take(&sender, &records))
            }),
            Err(error) => log::warn("cannot listen for telemetry", &[("error", &error)]),
        }
        Some(Self { heard, missed: Mutex::new(missed) })
    }

    /// Whether it is worth waiting for the function's end.
    pub(super) fn works(&self) -> bool {
        let missed = *self.missed.lock().unwrap_or_else(PoisonError::into_inner);
        missed.is_none_or(|done| self.heard.borrow().done > done)
    }

    /// Waits until the function is done with a request, at most so long.
    pub(super) async fn done(&self, request: &RequestId, within: Duration) -> End {
        if within.is_zero() {
            return End::Unknown;
        }
        let mut heard = self.heard.clone();
        let waiting = async {
            let running = heard.wait_for(|heard| heard.of(request) != Sign::None);
            // The sender ends with the process.
            if !timeout(FIRST_SIGN, running).await.is_ok_and(|heard| heard.is_ok()) {
                return false;
            }
            heard.wait_for(|heard| heard.of(request) == Sign::Done).await.is_ok()
        };
        if timeout(within, waiting).await.unwrap_or(false) {
            return End::Done;
        }
        *self.missed.lock().unwrap_or_else(PoisonError::into_inner) = Some(self.heard.borrow().done);
        log::debug("the function's end was not heard of", &[("request", request)]);
        End::Unknown
    }
}

fn take(heard: &watch::Sender<Heard>, records: &[Record]) {
    if records.is_empty() {
        return;
    }
    for record in records {
        let (what, outcome) = match record {
            Record::RuntimeDone(outcome) => ("the function is done", outcome),
            Record::Report(outcome) => ("the invocation is over", outcome),
            _ => continue,
        };
        let error_type = outcome.error_type.as_deref().unwrap_or_default();
        let fields: [log::Field<'_>; 3] =
            [("request", &outcome.request), ("status", &outcome.status), ("error_type", &error_type)];
        log::debug(what, &fields);
    }
    heard.send_modify(|heard| records.iter().for_each(|record| heard.enter(record)));
}
