//! Which way envelopes go: to upstream directly, through Sentry's Relay, or nowhere until that is decided.

use crate::config::Upstream;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{Instant, timeout, timeout_at};

/// What holds for all envelopes now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum DeliveryRoute {
    /// The built-in relay does the work.
    Direct,
    /// Sentry's Relay is not ready yet.
    Held {
        /// It has failed before, so nobody should wait for it.
        troubled: bool,
    },
    /// Sentry's Relay is ready here, in the life of this number.
    SentryRelay { upstream: Arc<Upstream>, life: u32 },
}

/// Where one envelope goes.
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
    /// Where the request itself goes, if the envelope is for `upstream`.
    pub(super) fn to<'a>(&'a self, upstream: &'a Arc<Upstream>) -> &'a Arc<Upstream> {
        match self {
            Self::Direct => upstream,
            Self::SentryRelay { upstream: sentry_relay, .. } => sentry_relay,
        }
    }
}

/// How far Sentry's Relay is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// It is not started before the first `/next`.
    Waiting,
    /// It is being run.
    Begun,
    /// It has to have ended by then.
    Ending(Instant),
    /// It is not run any more, or never was.
    Ended,
}

/// The route and the stage of Sentry's Relay, each of which can be waited for.
///
/// The senders of both channels live as long as the process, so a wait on them cannot fail.
#[derive(Debug)]
pub(crate) struct Routing {
    route: watch::Sender<DeliveryRoute>,
    stage: watch::Sender<Stage>,
    only_sentry_relay: bool,
}

impl Routing {
    /// Everything goes directly to upstream, unless `with_sentry_relay`: then everything is held until that is ready.
    /// `only_sentry_relay`: nothing may be sent past Sentry's Relay, whatever becomes of it.
    pub(super) fn new(with_sentry_relay: bool, only_sentry_relay: bool) -> Self {
        let (route, stage) = if with_sentry_relay {
            (DeliveryRoute::Held { troubled: false }, Stage::Waiting)
        } else {
            (DeliveryRoute::Direct, Stage::Ended)
        };
        Self { route: watch::Sender::new(route), stage: watch::Sender::new(stage), only_sentry_relay }
    }

    /// Whether nothing may be sent but through Sentry's Relay.
    pub(crate) fn is_only_sentry_relay(&self) -> bool {
        self.only_sentry_relay
    }

    /// Where an envelope goes now; `None` means that it has to wait.
    pub(super) fn destination(&self) -> Option<Destination> {
        // This is the one place that lets anything out.
        let destination = self.route.borrow().destination();
        destination.filter(|destination| !self.only_sentry_relay || *destination != Destination::Direct)
    }

    /// Whether nothing can go out any more, as far as anyone can tell.
    pub(super) fn is_barred(&self) -> bool {
        self.only_sentry_relay && *self.route.borrow() == DeliveryRoute::Direct
    }

    /// Whether envelopes are held for a Sentry's Relay that has failed before.
    pub(super) fn is_troubled(&self) -> bool {
        *self.route.borrow() == DeliveryRoute::Held { troubled: true }
    }

    /// Whether envelopes go through Sentry's Relay now.
    pub(super) fn is_through_sentry_relay(&self) -> bool {
        matches!(*self.route.borrow(), DeliveryRoute::SentryRelay { .. })
    }

    pub(super) fn set_route(&self, route: DeliveryRoute) {
        self.route.send_replace(route);
    }

    /// Where a request goes that cannot be queued, after waiting for a decision at most so long. `None` means that
    /// only Sentry's Relay may take it, and that is not ready.
    pub(super) async fn decided_within(&self, limit: Duration) -> Option<Destination> {
        if let Some(destination) = self.destination() {
            return Some(destination);
        }
        let mut route = self.route.subscribe();
        let _ = timeout(limit, route.wait_for(|route| route.destination().is_some())).await;
        self.destination().or((!self.only_sentry_relay).then_some(Destination::Direct))
    }

    /// Waits at most until then for Sentry's Relay to be ready, and goes past it where it is not. Returns whether
    /// envelopes that were held until now go directly to upstream.
    pub(super) async fn settle_by(&self, deadline: Instant) -> bool {
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

    /// Sentry's Relay may be started from now on.
    pub(super) fn begin(&self) {
        self.stage.send_if_modified(|stage| {
            let waits = *stage == Stage::Waiting;
            if waits {
                *stage = Stage::Begun;
            }
            waits
        });
    }

    /// Tells Sentry's Relay to end by then, unless it was told to already.
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

    /// Waits for a stage for which `holds` is true.
    pub(crate) async fn wait_for_stage(&self, holds: impl FnMut(&Stage) -> bool) {
        let _ = self.stage.subscribe().wait_for(holds).await;
    }
}
