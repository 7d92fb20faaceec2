//! The lifecycle of the extension. It registers with Lambda and calls `/event/next` until SHUTDOWN arrives.
//! It never ends before SHUTDOWN, because Lambda counts an early exit as a failure of the function.

mod api;
mod budget;
mod event;
mod fallback;
mod flush_hold;
pub mod flush_policy;
mod retry;
mod silence_guard;

#[cfg(any(test, fuzzing))]
pub(crate) use api::fuzzing;
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
use std::time::{Duration, Instant, SystemTime};

/// The pause after an event of unknown type. It is short, because a future event may come with each invocation and must
/// not delay it. It is not zero, so that an API that only sends unknown events does not cause a busy loop.
const PAUSE_AFTER_UNKNOWN_EVENT: Duration = Duration::from_millis(20);

/// The lifecycle in one execution environment. It can be run again after a panic, because it keeps the registration,
/// the telemetry subscription and the state of the flush policy.
#[derive(Debug)]
pub struct Lifecycle {
    api: RuntimeApi,
    name: ExtensionName,
    events: Events,
    /// The identifier from the registration, and the events that it was registered for.
    id: OnceLock<(ExtensionId, Events)>,
    /// Lambda accepts a subscription only during init, so the extension asks once. `None` inside: there is no
    /// telemetry.
    telemetry: OnceLock<Option<Telemetry>>,
    policy: Mutex<Policy>,
    insights: Option<Insights>,
}

impl Lifecycle {
    /// Prepares the lifecycle. It makes no call to Lambda.
    pub fn new(api: RuntimeApi, name: ExtensionName, config: &Config, insights: Option<Insights>) -> Self {
        // Managed Instances refuse INVOKE. They never freeze, so INVOKE is not needed there.
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

    /// Registers and handles events until SHUTDOWN. Then it drains the queue and logs how many envelopes were not
    /// delivered.
    ///
    /// Between the registration and the first `/next` it talks only to Lambda's own API, because that time is cold
    /// start.
    pub async fn run(self: Arc<Self>, relay: Relay) {
        let mut api = ExtensionsApi::new(self.api.clone());
        let (id, telemetry) = self.register_and_subscribe(&mut api).await;
        let mut retry = Retry::default();
        loop {
            let event = api.next(id, || self.insights.iter().for_each(Insights::begin)).await;
            relay.awake();
            match event {
                Ok(Event::Invoke { request, deadline, arn, trace }) => {
                    retry = Retry::default();
                    relay.begin_filter();
                    if let Some(insights) = &self.insights {
                        insights.invoked(Invoked { request: request.clone(), deadline, arn, trace });
                    }
                    let hold = self.decide_hold(&relay, telemetry, request, deadline, SystemTime::now());
                    hold.until_released(&relay).await;
                }
                Ok(Event::Shutdown { deadline, reason }) => {
                    let budget = budget::until(deadline, SystemTime::now(), budget::MAX_SHUTDOWN);
                    let budget = budget.max(budget::MIN_SHUTDOWN);
                    log::info("shutting down", &[("reason", &reason), ("budget_ms", &budget.as_millis())]);
                    let begun = Instant::now();
                    if let Some(insights) = &self.insights {
                        insights.shutting_down(&reason, telemetry.is_some()).await;
                    }
                    // What cannot leave in this time has to be spooled before Lambda kills the process.
                    relay.drain(budget.saturating_sub(begun.elapsed())).await;
                    if let Some(insights) = &self.insights {
                        insights.ended();
                    }
                    relay.log_ledger();
                    return;
                }
                Ok(Event::Unknown(kind)) => {
                    log::debug("unknown event from Lambda", &[("type", &kind)]);
                    tokio::time::sleep(PAUSE_AFTER_UNKNOWN_EVENT).await;
                }
                Err(error) => retry.after("cannot ask Lambda for the next event", &error).await,
            }
        }
    }

    /// Registers and subscribes to telemetry, unless an earlier run has already done so.
    async fn register_and_subscribe(&self, api: &mut ExtensionsApi) -> (&ExtensionId, Option<&Telemetry>) {
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
            let ask = async |port, with_function| api.subscribe(id, *events, port, with_function).await;
            let subscribed = Telemetry::subscribe(ask, observer).await;
            self.telemetry.get_or_init(|| subscribed)
        };
        (id, telemetry.as_ref())
    }

    /// Registers and retries without an end. Without an identifier the extension can do nothing else, not even report
    /// to `init/error`, and an exit would fail the function.
    async fn register(&self, api: &mut ExtensionsApi) -> (ExtensionId, Events) {
        let mut retry = Retry::default();
        let mut events = self.events;
        loop {
            match api.register(&self.name, events).await {
                Ok(id) => return (id, events),
                Err(error) => {
                    retry.after("cannot register with Lambda", &error).await;
                    // Lambda may refuse INVOKE. With SHUTDOWN alone the extension still delivers everything.
                    if matches!(error, ApiError::Refused(400..500, _)) {
                        events = if events == self.events { Events::ShutdownOnly } else { self.events };
                    }
                }
            }
        }
    }

    /// Decides what `/next` waits for in the invocation that has just begun. `now` is the wall-clock time.
    fn decide_hold<'a>(
        &self,
        relay: &Relay,
        telemetry: Option<&'a Telemetry>,
        request: RequestId,
        deadline: Option<SystemTime>,
        now: SystemTime,
    ) -> FlushHold<'a> {
        let telemetry = telemetry.filter(|telemetry| telemetry.works() && !request.is_empty());
        let moment = Moment { now, backlog: relay.backlog(), telemetry: telemetry.is_some() };
        // A poisoned lock is safe to use, because a decision that panicked leaves the policy in a valid state.
        let wait_for = self.policy.lock().unwrap_or_else(PoisonError::into_inner).decide(&moment);
        FlushHold {
            wait_for,
            request,
            within: budget::until(deadline, now, budget::MAX_INVOCATION),
            telemetry,
        }
    }
}
