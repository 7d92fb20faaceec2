//! The parts of the relay share this: the state, the client, and the signals between the pump, the tasks that wait for
//! deliveries, and the supervisor of Sentry's Relay.

use super::client::active_timeout::timeout_awake;
use super::client::{Client, SendError};
use super::filter_control::FilterControl;
use super::state::State;
use crate::config::{Config, RelayMode, Upstream};
use bytes::Bytes;
use hyper::{Request, Response};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;
use tokio::sync::Notify;

/// The envelopes that wait for delivery or are being delivered, without those in the background.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backlog {
    /// The number of envelopes.
    pub envelopes: u64,
    /// The time when the oldest of them was accepted, by the wall clock.
    pub oldest: Option<SystemTime>,
    /// Whether nothing can be delivered now, because the last try failed for each upstream that has envelopes waiting.
    pub outage: bool,
}

#[derive(Debug)]
pub(crate) struct Core {
    state: Mutex<State>,
    client: Client,
    filter: FilterControl,
    /// Wakes the pump when it has something to do.
    pump_wakeup: Notify,
    /// Wakes the tasks in `wait_until`: the result of an envelope is known, upstream has failed, or an
    /// envelope has come to Sentry's Relay or back.
    changed: Notify,
    /// Wakes the health check, because Sentry's Relay did not answer a request.
    health_check_requested: Notify,
    /// The number of tasks that wait for everything to be delivered.
    waiting: AtomicUsize,
}

impl Core {
    pub(super) fn new(config: &Config, with_sentry_relay: bool) -> Self {
        let mut state = State::new(config.buffer, config.max_body);
        if with_sentry_relay {
            state.start_filtering();
        }
        Self {
            state: Mutex::new(state),
            client: Client::new(config),
            filter: FilterControl::new(with_sentry_relay, config.relay == RelayMode::Only),
            pump_wakeup: Notify::new(),
            changed: Notify::new(),
            health_check_requested: Notify::new(),
            waiting: AtomicUsize::new(0),
        }
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        // A poisoned lock is safe to use: no critical section can panic while the state is half changed.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn client(&self) -> &Client {
        &self.client
    }

    pub(crate) fn filter(&self) -> &FilterControl {
        &self.filter
    }

    pub(super) fn wake_pump(&self) {
        self.pump_wakeup.notify_one();
    }

    pub(super) async fn pump_woken(&self) {
        self.pump_wakeup.notified().await;
    }

    /// Makes every `wait_until` check its condition again.
    pub(super) fn announce_change(&self) {
        self.changed.notify_waiters();
    }

    /// Waits until `holds` returns true. It is called at once, and again after each `announce_change`.
    pub(crate) async fn wait_until(&self, mut holds: impl FnMut(&Self) -> bool) {
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            // From here on no announcement is missed, so the condition is checked after this and not before.
            changed.as_mut().enable();
            if holds(self) {
                return;
            }
            changed.await;
        }
    }

    /// Whether deliveries should start without delay: a task waits for them after an invocation, or the relay drains.
    pub(super) fn is_urgent(&self) -> bool {
        self.has_waiters() || self.state().draining()
    }

    /// Whether a task waits for deliveries, because `/next` is held.
    pub(super) fn has_waiters(&self) -> bool {
        self.waiting.load(Ordering::Relaxed) > 0
    }

    pub(super) fn backlog(&self) -> Backlog {
        let state = self.state();
        Backlog { envelopes: state.awaited(), oldest: state.oldest(), outage: state.is_troubled() }
    }

    /// Sends a request that is not an envelope of the queue, and reads the whole response. The caller bounds the time.
    pub(crate) async fn request(
        &self,
        upstream: &Arc<Upstream>,
        request: Request<Bytes>,
    ) -> Result<Response<Bytes>, SendError> {
        // Boxed, because it takes much memory, and each timeout around it would take that again.
        Box::pin(self.client.request(upstream, request)).await
    }

    /// Does the same within the time that the settings allow a request to upstream, and with the headers that they
    /// name for it.
    pub(crate) async fn forward(
        &self,
        upstream: &Arc<Upstream>,
        mut request: Request<Bytes>,
    ) -> Result<Response<Bytes>, SendError> {
        self.client.headers().set(request.headers_mut());
        let exchanged = timeout_awake(self.client.timeout(), self.request(upstream, request)).await;
        exchanged.map_err(SendError::Timeout).flatten()
    }

    /// Asks for a health check, because Sentry's Relay did not answer and may hang.
    pub(crate) fn request_health_check(&self) {
        self.health_check_requested.notify_one();
    }

    pub(crate) async fn health_check_requested(&self) {
        self.health_check_requested.notified().await;
    }
}

/// Registers a task that waits for everything to be delivered. While this value lives, deliveries start
/// without delay.
#[derive(Debug)]
pub(super) struct Waiting<'a>(&'a Core);

impl<'a> Waiting<'a> {
    pub(super) fn new(core: &'a Core) -> Self {
        core.waiting.fetch_add(1, Ordering::Relaxed);
        core.announce_change();
        Self(core)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::Relaxed);
    }
}
