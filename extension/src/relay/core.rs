//! What the parts of the relay share: its state, the client, the route, and the signals between the pump, those who
//! wait for deliveries, and the supervisor of Sentry's Relay.

use super::client::{Client, SendError};
use super::route::{DeliveryRoute, Routing};
use super::state::State;
use crate::config::{Config, RelayMode, Upstream};
use bytes::Bytes;
use hyper::{Request, Response};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};
use tokio::sync::Notify;

/// What waits for delivery or is on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backlog {
    /// How many.
    pub envelopes: u64,
    /// When the one that waits longest was accepted, by the wall clock.
    pub oldest: Option<SystemTime>,
    /// Nothing can be delivered now: the last that was heard of each upstream that matters was a failure.
    pub outage: bool,
}

#[derive(Debug)]
pub(crate) struct Core {
    state: Mutex<State>,
    client: Client,
    routing: Routing,
    /// There is something to do for the pump.
    pump_wakeup: Notify,
    /// The fate of an envelope was decided, upstream has failed, or the route is another.
    changed: Notify,
    /// Sentry's Relay did not answer a request.
    health_check_requested: Notify,
    /// How many wait for everything to be delivered.
    waiting: AtomicUsize,
}

impl Core {
    pub(super) fn new(config: &Config, with_sentry_relay: bool) -> Self {
        Self {
            state: Mutex::new(State::new(config.buffer, config.max_body)),
            client: Client::new(config),
            routing: Routing::new(with_sentry_relay, config.relay == RelayMode::Only),
            pump_wakeup: Notify::new(),
            changed: Notify::new(),
            health_check_requested: Notify::new(),
            waiting: AtomicUsize::new(0),
        }
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        // No section leaves the state half-changed where it could panic.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn client(&self) -> &Client {
        &self.client
    }

    pub(crate) fn routing(&self) -> &Routing {
        &self.routing
    }

    pub(super) fn wake_pump(&self) {
        self.pump_wakeup.notify_one();
    }

    pub(super) async fn pump_woken(&self) {
        self.pump_wakeup.notified().await;
    }

    /// Lets everyone in `wait_until` look again.
    pub(super) fn announce_change(&self) {
        self.changed.notify_waiters();
    }

    /// Waits until `holds` is true, and looks again at each change that is announced.
    pub(crate) async fn wait_until(&self, mut holds: impl FnMut(&Self) -> bool) {
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            // From here on no announcement is missed.
            changed.as_mut().enable();
            if holds(self) {
                return;
            }
            changed.await;
        }
    }

    /// Whether somebody waits for deliveries: the function is done, or this is the end.
    pub(super) fn is_hurried(&self) -> bool {
        self.has_waiters() || self.state().draining()
    }

    fn has_waiters(&self) -> bool {
        self.waiting.load(Ordering::Relaxed) > 0
    }

    /// What is still to be delivered.
    pub(super) fn backlog(&self) -> Backlog {
        let state = self.state();
        Backlog {
            envelopes: state.pending(),
            oldest: state.oldest(),
            outage: self.routing.is_troubled() || self.routing.is_barred() || state.is_troubled(),
        }
    }

    /// Whether this is the end: what is not delivered soon never will be.
    pub(crate) fn is_draining(&self) -> bool {
        self.state().draining()
    }
}

/// What the supervisor of Sentry's Relay needs.
impl Core {
    /// Sends a request that is no envelope, and reads the whole response.
    pub(crate) async fn request(
        &self,
        upstream: &Arc<Upstream>,
        request: Request<Bytes>,
    ) -> Result<Response<Bytes>, SendError> {
        self.client.forward(upstream, request).await
    }

    /// Sends envelopes another way from now on.
    pub(crate) fn enter_route(&self, route: DeliveryRoute) {
        self.state().forget_outages();
        self.routing.set_route(route);
        self.wake_pump();
        self.announce_change();
    }

    /// Sentry's Relay is ready here, in the life of that number.
    pub(crate) fn enter_sentry_relay(&self, upstream: Arc<Upstream>, life: u32) {
        self.state().begin_life(life);
        self.enter_route(DeliveryRoute::SentryRelay { upstream, life });
    }

    /// Sentry's Relay is not run any more.
    pub(crate) fn sentry_relay_ended(&self) {
        self.routing.set_ended();
        self.announce_change();
    }

    /// Sentry's Relay did not answer: it may hang.
    pub(crate) fn request_health_check(&self) {
        self.health_check_requested.notify_one();
    }

    pub(crate) async fn health_check_requested(&self) {
        self.health_check_requested.notified().await;
    }

    /// How many envelopes Sentry's Relay has taken and may not have delivered yet.
    pub(crate) fn unconfirmed(&self) -> u64 {
        self.state().unconfirmed()
    }

    /// Books what Sentry's Relay may not have delivered as lost, and returns how many envelopes that are.
    pub(crate) fn abandon_unconfirmed(&self) -> u64 {
        self.state().abandon_unconfirmed()
    }

    /// The time until the next flush barrier; `None` means that none is needed.
    pub(crate) fn next_barrier(&self) -> Option<Duration> {
        let state = self.state();
        // A barrier that somebody waits for goes behind everything that is on its way.
        let wanted = self.has_waiters() && state.is_idle();
        state.next_barrier(wanted, Instant::now(), SystemTime::now())
    }

    /// A barrier has passed behind so many envelopes. Returns whether the one before it had failed.
    pub(crate) fn barrier_passed(&self, envelopes: u64) -> bool {
        let recovered = self.state().barrier_passed(envelopes, SystemTime::now());
        self.announce_change();
        recovered
    }

    /// A barrier has not passed. Returns whether the one before it had.
    pub(crate) fn barrier_failed(&self) -> bool {
        let is_first = self.state().barrier_failed(Instant::now());
        self.announce_change();
        is_first
    }
}

/// Somebody waits for everything to be delivered: deliveries and barriers are prompt for as long as this lives.
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
