//! The route of envelopes: directly to upstream, through Sentry's Relay, or held until one of these is decided.

use crate::config::Upstream;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{Instant, timeout, timeout_at};

/// The route of all envelopes at this time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum DeliveryRoute {
    /// The built-in relay sends envelopes directly to upstream.
    Direct,
    /// Envelopes are held, because Sentry's Relay is not ready yet.
    Held {
        /// Whether Sentry's Relay has failed before. If so, `/next` is not held for it.
        troubled: bool,
    },
    /// Sentry's Relay is ready at `upstream`. `life` is the number of its start.
    SentryRelay { upstream: Arc<Upstream>, life: u32 },
}

/// The destination of one envelope.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Destination {
    Direct,
    SentryRelay { upstream: Arc<Upstream>, life: u32 },
}

impl DeliveryRoute {
    fn destination(&self) -> Option<Destination> {
        match self {
            Self::Direct => Some(Destination::Direct),
            Self::Held { .. } => None,
            Self::SentryRelay { upstream, life } => {
                Some(Destination::SentryRelay { upstream: Arc::clone(upstream), life: *life })
            }
        }
    }
}

impl Destination {
    /// Returns the server that gets the request of an envelope for `upstream`.
    pub(super) fn to<'a>(&'a self, upstream: &'a Arc<Upstream>) -> &'a Arc<Upstream> {
        match self {
            Self::Direct => upstream,
            Self::SentryRelay { upstream: sentry_relay, .. } => sentry_relay,
        }
    }
}

/// The stages of running Sentry's Relay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// It is not started yet, because the first `/next` has not been sent.
    Waiting,
    /// It is started, and started again if it fails.
    Begun,
    /// It has to end before this time.
    Ending(Instant),
    /// It does not run any more, or was never wanted.
    Ended,
}

/// The route of envelopes and the stage of Sentry's Relay. A task can wait for a change of each.
///
/// The senders of both channels live as long as the process, so a wait on them cannot fail.
#[derive(Debug)]
pub(crate) struct Routing {
    route: watch::Sender<DeliveryRoute>,
    stage: watch::Sender<Stage>,
    only_sentry_relay: bool,
}

impl Routing {
    /// Sends everything directly to upstream, or, with `with_sentry_relay`, holds everything until Sentry's Relay is
    /// ready. With `only_sentry_relay`, nothing is ever sent without Sentry's Relay, even if it fails.
    pub(super) fn new(with_sentry_relay: bool, only_sentry_relay: bool) -> Self {
        let (route, stage) = if with_sentry_relay {
            (DeliveryRoute::Held { troubled: false }, Stage::Waiting)
        } else {
            (DeliveryRoute::Direct, Stage::Ended)
        };
        Self { route: watch::Sender::new(route), stage: watch::Sender::new(stage), only_sentry_relay }
    }

    /// Whether envelopes may be sent only through Sentry's Relay.
    pub(crate) fn is_only_sentry_relay(&self) -> bool {
        self.only_sentry_relay
    }

    /// Returns where an envelope goes now. `None` means that it has to wait.
    pub(super) fn destination(&self) -> Option<Destination> {
        // Everything that leaves the extension passes this check, so nothing can bypass Sentry's Relay.
        let destination = self.route.borrow().destination();
        destination.filter(|destination| !self.only_sentry_relay || *destination != Destination::Direct)
    }

    /// Whether nothing can be sent any more: only Sentry's Relay may send, and it has failed for good.
    pub(super) fn is_blocked(&self) -> bool {
        self.only_sentry_relay && *self.route.borrow() == DeliveryRoute::Direct
    }

    /// Whether envelopes are held until Sentry's Relay is ready, and it has failed before.
    pub(super) fn is_troubled(&self) -> bool {
        *self.route.borrow() == DeliveryRoute::Held { troubled: true }
    }

    pub(super) fn is_through_sentry_relay(&self) -> bool {
        matches!(*self.route.borrow(), DeliveryRoute::SentryRelay { .. })
    }

    pub(super) fn set_route(&self, route: DeliveryRoute) {
        self.route.send_replace(route);
    }

    /// Returns where a request goes that cannot be queued. It waits at most `limit` until Sentry's Relay is ready.
    /// `None` means that only Sentry's Relay may take the request, and is not ready.
    pub(super) async fn decided_within(&self, limit: Duration) -> Option<Destination> {
        if let Some(destination) = self.destination() {
            return Some(destination);
        }
        let mut route = self.route.subscribe();
        let _ = timeout(limit, route.wait_for(|route| route.destination().is_some())).await;
        self.destination().or((!self.only_sentry_relay).then_some(Destination::Direct))
    }

    /// Waits until `deadline` for Sentry's Relay to be ready, and changes to the direct route if it is not. Returns
    /// whether envelopes that were held until now go directly to upstream.
    pub(super) async fn decide_by(&self, deadline: Instant) -> bool {
        let mut route = self.route.subscribe();
        let _ = timeout_at(deadline, route.wait_for(|route| route.destination().is_some())).await;
        let bypass = |route: &mut DeliveryRoute| {
            let held = matches!(route, DeliveryRoute::Held { .. });
            if held {
                *route = DeliveryRoute::Direct;
            }
            held
        };
        let bypassed = self.route.send_if_modified(bypass);
        if bypassed {
            self.stage.send_replace(Stage::Ending(Instant::now()));
        }
        bypassed
    }

    /// Allows the start of Sentry's Relay.
    pub(super) fn begin(&self) {
        self.stage.send_if_modified(|stage| {
            let waits = *stage == Stage::Waiting;
            if waits {
                *stage = Stage::Begun;
            }
            waits
        });
    }

    /// Tells Sentry's Relay to end before `deadline`, unless it was already told to end.
    pub(super) fn end_by(&self, deadline: Instant) {
        self.stage.send_if_modified(|stage| {
            let runs = matches!(stage, Stage::Waiting | Stage::Begun);
            if runs {
                *stage = Stage::Ending(deadline);
            }
            runs
        });
    }

    pub(super) fn set_ended(&self) {
        self.stage.send_replace(Stage::Ended);
    }

    pub(crate) fn stage(&self) -> Stage {
        *self.stage.borrow()
    }

    /// Waits until `holds` returns true for the stage.
    pub(crate) async fn wait_for_stage(&self, holds: impl FnMut(&Stage) -> bool) {
        let _ = self.stage.subscribe().wait_for(holds).await;
    }
}
