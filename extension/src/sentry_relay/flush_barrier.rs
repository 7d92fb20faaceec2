//! The flush barrier: with one request to upstream at a time, Relay answers a forwarded request only after every
//! envelope that it took before. Its answer is what turns "Relay has it" into "delivered".

use crate::config::Upstream;
use crate::log;
use crate::relay::Shared;
use crate::relay::client::SendError;
use crate::relay::client::active_timeout::TimeoutKind;
use bytes::Bytes;
use hyper::Request;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant, SystemTime};

/// Any path that Relay has no answer of its own for.
const PATH: &str = "/api/0/sentry-lambda-extension/";
/// What Relay needs to get a post into its queue.
const BEHIND: Duration = Duration::from_millis(10);

/// Somebody waits for everything to be delivered: barriers are prompt for as long as this lives.
#[derive(Debug)]
pub(crate) struct Waiting<'a>(&'a Shared);

impl<'a> Waiting<'a> {
    pub(crate) fn new(shared: &'a Shared) -> Self {
        shared.waiting.fetch_add(1, Ordering::Relaxed);
        shared.changed.notify_waiters();
        Self(shared)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Passes barriers whenever one is due.
pub(super) async fn keep(shared: &Shared, relay: &Arc<Upstream>) {
    loop {
        let changed = shared.changed.notified();
        tokio::pin!(changed);
        // From here on no notification is missed.
        changed.as_mut().enable();
        let due = {
            let state = shared.state();
            // One that somebody waits for is behind all that is on its way.
            let wanted = shared.waiting.load(Ordering::Relaxed) > 0 && state.is_idle();
            state.unconfirmed.due(wanted, Instant::now(), SystemTime::now())
        };
        match due {
            None => changed.await,
            Some(Duration::ZERO) => pass(shared, relay).await,
            Some(wait) => tokio::select! { () = changed => {}, () = tokio::time::sleep(wait) => {} },
        }
    }
}

async fn pass(shared: &Shared, relay: &Arc<Upstream>) {
    let covered = shared.state().unconfirmed.held();
    tokio::time::sleep(BEHIND).await;
    let Ok(request) = Request::get(PATH).body(Bytes::new()) else { return };
    let answer = shared.client.forward(relay, request).await;
    let mut state = shared.state();
    match answer {
        // Whatever upstream thinks of the path. Relay itself says 5xx where upstream cannot be reached.
        Ok(answer) if !answer.status().is_server_error() => {
            if state.unconfirmed.failing() {
                log::info("Sentry's Relay has delivered what it held", &[]);
            }
            state.passed(covered, SystemTime::now());
        }
        // It says nothing about Relay.
        Err(SendError::Timeout(TimeoutKind::Frozen)) => {}
        other => {
            if !state.unconfirmed.failing() {
                let why = match &other {
                    Ok(answer) => answer.status().to_string(),
                    Err(error) => error.to_string(),
                };
                log::warn(
                    "Sentry's Relay cannot deliver: it holds envelopes",
                    &[("envelopes", &covered), ("answer", &why)],
                );
            }
            state.unconfirmed.failed(Instant::now());
            if other.is_err() {
                shared.doubt.notify_one();
            }
        }
    }
    drop(state);
    shared.changed.notify_waiters();
}
