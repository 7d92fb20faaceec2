//! The parts of the relay share this: the state, the client, the route, and the signals between the pump, the tasks
//! that wait for deliveries, and the supervisor of Sentry's Relay.

use super::client::{Client, SendError};
use super::fault_keeper::FaultKeeper;
use super::route::{DeliveryRoute, Routing};
use super::state::State;
use crate::config::{Config, RelayMode, Upstream};
use bytes::Bytes;
use hyper::{Request, Response};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};
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
    routing: Routing,
    fault_keeper: FaultKeeper,
    /// Wakes the task that waits for the first `/next`.
    begun: Notify,
    /// Wakes the pump when it has something to do.
    pump_wakeup: Notify,
    /// Wakes the tasks in `wait_until`: the result of an envelope is known, upstream has failed, or the route has
    /// changed.
    changed: Notify,
    /// Wakes the health check, because Sentry's Relay did not answer a request.
    health_check_requested: Notify,
    /// The number of tasks that wait for everything to be delivered.
    waiting: AtomicUsize,
}

impl Core {
    pub(super) fn new(config: &Config, with_sentry_relay: bool) -> Self {
        Self {
            state: Mutex::new(State::new(config.buffer, config.max_body)),
            client: Client::new(config),
            routing: Routing::new(with_sentry_relay, config.relay == RelayMode::Only),
            fault_keeper: FaultKeeper::default(),
            begun: Notify::new(),
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

    pub(crate) fn routing(&self) -> &Routing {
        &self.routing
    }

    pub(super) fn fault_keeper(&self) -> &FaultKeeper {
        &self.fault_keeper
    }

    /// Records that Lambda waits for the extension no more.
    pub(super) fn begin(&self) {
        self.routing.begin();
        self.begun.notify_one();
    }

    /// Waits until `begin` was called. One task at a time may wait.
    pub(super) async fn begun(&self) {
        self.begun.notified().await;
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
        Backlog {
            envelopes: state.awaited(),
            oldest: state.oldest(),
            outage: self.routing.is_troubled() || self.routing.is_blocked() || state.is_troubled(),
        }
    }

    /// Whether SHUTDOWN has come: an envelope that is not delivered soon is lost.
    pub(crate) fn is_draining(&self) -> bool {
        self.state().draining()
    }
}

/// The methods that the supervisor of Sentry's Relay calls.
impl Core {
    /// Sends a request that is not an envelope, and reads the whole response.
    pub(crate) async fn request(
        &self,
        upstream: &Arc<Upstream>,
        request: Request<Bytes>,
    ) -> Result<Response<Bytes>, SendError> {
        self.client.request(upstream, request).await
    }

    /// Sends envelopes by this route from now on. Outages are forgotten, because they belong to the old route.
    pub(crate) fn enter_route(&self, route: DeliveryRoute) {
        self.state().forget_outages();
        self.routing.set_route(route);
        self.wake_pump();
        self.announce_change();
    }

    /// Sends envelopes through Sentry's Relay, which is ready at `upstream`. `life` numbers its starts.
    pub(crate) fn enter_sentry_relay(&self, upstream: Arc<Upstream>, life: u32) {
        self.state().begin_life(life);
        self.enter_route(DeliveryRoute::SentryRelay { upstream, life });
    }

    /// Records that Sentry's Relay has ended and is not started again.
    pub(crate) fn sentry_relay_ended(&self) {
        self.routing.set_ended();
        self.announce_change();
    }

    /// Asks for a health check, because Sentry's Relay did not answer and may hang.
    pub(crate) fn request_health_check(&self) {
        self.health_check_requested.notify_one();
    }

    pub(crate) async fn health_check_requested(&self) {
        self.health_check_requested.notified().await;
    }

    /// Returns how many envelopes Sentry's Relay has taken and may not have delivered yet.
    pub(crate) fn unconfirmed(&self) -> u64 {
        self.state().unconfirmed()
    }

    /// Counts the envelopes that Sentry's Relay may not have delivered as dropped, and returns their number.
    pub(crate) fn abandon_unconfirmed(&self) -> u64 {
        self.state().abandon_unconfirmed()
    }

    /// Returns the time until the next flush barrier. `None` means that none is needed.
    pub(crate) fn next_barrier(&self) -> Option<Duration> {
        let state = self.state();
        // If a task waits for deliveries, the barrier is sent only after all queued envelopes, so that it covers them.
        let wanted = self.has_waiters() && state.is_idle();
        state.next_barrier(wanted, Instant::now(), SystemTime::now())
    }

    /// Records that a barrier has passed, which confirms this number of envelopes. Returns whether the barrier before
    /// it had failed.
    pub(crate) fn barrier_passed(&self, envelopes: u64) -> bool {
        let recovered = self.state().barrier_passed(envelopes, SystemTime::now());
        self.announce_change();
        recovered
    }

    /// Records that a barrier has failed. Returns whether it is the first failure since one passed.
    pub(crate) fn barrier_failed(&self) -> bool {
        let is_first = self.state().barrier_failed(Instant::now());
        self.announce_change();
        is_first
    }
}

/// Registers a task that waits for everything to be delivered. While this value lives, deliveries and barriers start
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
