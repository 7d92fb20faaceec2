//! The life of an extension: register, then `/event/next` until SHUTDOWN. It never ends before that.

mod api;
mod budget;
mod event;

pub use api::{ApiError, Events, ExtensionId, ExtensionName, ExtensionsApi, RuntimeApi};
pub use event::Event;

use crate::log;
use crate::relay::Relay;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, SystemTime};

/// Pauses between failed calls: quick at first, for an init has ten seconds, then idle.
const FIRST_PAUSE: Duration = Duration::from_millis(20);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// One environment's life. It can be run anew after a panic: the identity it was given stays.
#[derive(Debug)]
pub struct Life {
    api: RuntimeApi,
    name: ExtensionName,
    events: Events,
    id: OnceLock<ExtensionId>,
}

impl Life {
    /// Does not talk to Lambda yet. `managed_instances` refuse INVOKE.
    pub fn new(api: RuntimeApi, name: ExtensionName, managed_instances: bool) -> Self {
        let events = if managed_instances { Events::ShutdownOnly } else { Events::InvokeAndShutdown };
        Self { api, name, events, id: OnceLock::new() }
    }

    /// Registers, takes events until SHUTDOWN, and leaves the queue drained or accounted for.
    pub async fn run(self: Arc<Self>, relay: Relay) {
        let mut api = ExtensionsApi::new(self.api.clone());
        let id = if let Some(id) = self.id.get() {
            id
        } else {
            let id = self.register(&mut api).await;
            self.id.get_or_init(|| id)
        };
        let mut pauses = Pauses::default();
        loop {
            match api.next(id).await {
                Ok(Event::Invoke { .. }) => pauses = Pauses::default(),
                Ok(Event::Shutdown { deadline, reason }) => {
                    let budget = budget::until(deadline, SystemTime::now());
                    log::info("shutting down", &[("reason", &reason), ("budget_ms", &budget.as_millis())]);
                    relay.drain(budget).await;
                    relay.log_ledger();
                    return;
                }
                Ok(Event::Unknown(kind)) => {
                    pauses.after("an unknown event", &kind).await;
                }
                Err(error) => pauses.after("cannot ask Lambda for the next event", &error).await,
            }
        }
    }

    /// Tries for as long as it takes: without an id nothing else can be done, and an exit would fail
    /// the function.
    async fn register(&self, api: &mut ExtensionsApi) -> ExtensionId {
        let mut pauses = Pauses::default();
        loop {
            match api.register(&self.name, self.events).await {
                Ok(id) => return id,
                Err(error) => pauses.after("cannot register with Lambda", &error).await,
            }
        }
    }
}

/// Ever longer pauses after failures in a row, with one warning in each row.
#[derive(Default)]
struct Pauses {
    failures: u32,
}

impl Pauses {
    async fn after(&mut self, what: &str, error: &impl std::fmt::Display) {
        if self.failures == 0 {
            log::warn(what, &[("error", error), ("next", &"keeps trying")]);
        } else {
            log::debug(what, &[("error", error)]);
        }
        let pause = FIRST_PAUSE.saturating_mul(1 << self.failures.min(16)).min(LONGEST_PAUSE);
        self.failures = self.failures.saturating_add(1);
        tokio::time::sleep(pause).await;
    }
}
