//! The life of an extension: register, then `/event/next` until SHUTDOWN. It never ends before that.

mod api;
mod budget;
mod event;
mod fallback;
mod flush_hold;
pub mod flush_policy;
mod retry;

pub use api::{ApiError, Events, ExtensionId, ExtensionName, ExtensionsApi, RuntimeApi};
pub use event::Event;
pub use fallback::fallback;

use crate::config::Config;
use crate::insights::{Insights, Invoked};
use crate::log;
use crate::relay::Relay;
use crate::telemetry::{RequestId, Telemetry};
use flush_hold::FlushHold;
use flush_policy::{Moment, Policy, Tuning};
use retry::Retry;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, SystemTime};

/// Events of the future may come with each invocation, so they must not hold anything up; yet an answer that
/// never is an event must not make a busy loop.
const BETWEEN_UNKNOWN: Duration = Duration::from_millis(20);

/// One environment's life. It can be run anew after a panic: what Lambda gave and what was learnt stays.
#[derive(Debug)]
pub struct Life {
    api: RuntimeApi,
    name: ExtensionName,
    events: Events,
    /// The identity, and the events that it was given for.
    id: OnceLock<(ExtensionId, Events)>,
    /// It can be had during init only, so it is asked for once.
    telemetry: OnceLock<Option<Telemetry>>,
    policy: Mutex<Policy>,
    insights: Option<Insights>,
}

impl Life {
    /// Does not talk to Lambda yet.
    pub fn new(api: RuntimeApi, name: ExtensionName, config: &Config, insights: Option<Insights>) -> Self {
        // Managed Instances refuse INVOKE, and never freeze.
        let events = if config.managed_instances { Events::ShutdownOnly } else { Events::InvokeAndShutdown };
        let policy = Policy::new(config.flush, Tuning::default(), config.timeout);
        Self {
            api,
            name,
            events,
            id: OnceLock::new(),
            telemetry: OnceLock::new(),
            policy: Mutex::new(policy),
            insights,
        }
    }

    /// Registers, takes events until SHUTDOWN, and leaves the queue drained or accounted for.
    ///
    /// Between registering and the first `/next` nothing is talked to but Lambda's own API: that is cold start.
    pub async fn run(self: Arc<Self>, relay: Relay) {
        let mut api = ExtensionsApi::new(self.api.clone());
        let (id, telemetry) = self.introduce(&mut api).await;
        let mut retry = Retry::default();
        loop {
            let event = api.next(id, || relay.begin()).await;
            relay.awake();
            match event {
                Ok(Event::Invoke { request, deadline, arn, trace }) => {
                    retry = Retry::default();
                    if let Some(insights) = &self.insights {
                        insights.invoked(Invoked { request: request.clone(), deadline, arn, trace });
                    }
                    self.hold(&relay, telemetry, request, deadline).until_released(&relay).await;
                }
                Ok(Event::Shutdown { deadline, reason }) => {
                    let budget = budget::until(deadline, SystemTime::now(), budget::SHUTDOWN);
                    let budget = budget.max(budget::LAST_TRY);
                    log::info("shutting down", &[("reason", &reason), ("budget_ms", &budget.as_millis())]);
                    if let Some(insights) = &self.insights {
                        insights.shutting_down(&reason, telemetry.is_some()).await;
                    }
                    relay.drain(budget).await;
                    relay.log_ledger();
                    return;
                }
                Ok(Event::Unknown(kind)) => {
                    log::debug("an unknown event", &[("type", &kind)]);
                    tokio::time::sleep(BETWEEN_UNKNOWN).await;
                }
                Err(error) => retry.after("cannot ask Lambda for the next event", &error).await,
            }
        }
    }

    /// Registers and subscribes, unless an earlier run has.
    async fn introduce(&self, api: &mut ExtensionsApi) -> (&ExtensionId, Option<&Telemetry>) {
        let (id, events) = if let Some(known) = self.id.get() {
            known
        } else {
            let registered = self.register(api).await;
            self.id.get_or_init(|| registered)
        };
        let telemetry = if let Some(known) = self.telemetry.get() {
            known
        } else {
            let observer = self.insights.as_ref().map(Insights::observer);
            let ask = async |port| api.subscribe(id, *events, port).await;
            let subscribed = Telemetry::subscribe(ask, observer).await;
            self.telemetry.get_or_init(|| subscribed)
        };
        (id, telemetry.as_ref())
    }

    /// Tries for as long as it takes: without an id nothing else can be done, not even a report to `init/error`,
    /// and an exit would fail the function.
    async fn register(&self, api: &mut ExtensionsApi) -> (ExtensionId, Events) {
        let mut retry = Retry::default();
        let mut events = self.events;
        loop {
            match api.register(&self.name, events).await {
                Ok(id) => return (id, events),
                Err(error) => {
                    retry.after("cannot register with Lambda", &error).await;
                    // Where INVOKE is what Lambda does not like, SHUTDOWN alone still gets everything out.
                    if matches!(error, ApiError::Refused(400..500, _)) {
                        events = if events == self.events { Events::ShutdownOnly } else { self.events };
                    }
                }
            }
        }
    }

    /// Decides on an invocation that has just begun.
    fn hold<'a>(
        &self,
        relay: &Relay,
        telemetry: Option<&'a Telemetry>,
        request: RequestId,
        deadline: Option<SystemTime>,
    ) -> FlushHold<'a> {
        let now = SystemTime::now();
        let telemetry = telemetry.filter(|telemetry| telemetry.works() && !request.is_empty());
        let moment = Moment { now, backlog: relay.backlog(), telemetry: telemetry.is_some() };
        // The policy is whole even where a decision has panicked.
        let wait_for = self.policy.lock().unwrap_or_else(PoisonError::into_inner).decide(&moment);
        FlushHold { wait_for, request, within: budget::until(deadline, now, budget::INVOCATION), telemetry }
    }
}
