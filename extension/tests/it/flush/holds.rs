//! Tests each flush mode with telemetry: an invocation is held as long as it should be, and no longer.

use super::{Environment, SECOND, is_event_with, report};
use crate::support::{
    deliveries,
    lambda_api::Subscription,
    netns::isolated,
    sentry::{Gate, Reply},
};
use std::time::{Duration, Instant};

#[test]
fn end_holds_until_the_function_is_done_and_all_is_delivered() {
    isolated(|| async {
        for mode in ["end", "auto"] {
            let mut environment = Environment::start(mode, Subscription::Accepted).await;
            let gate = Gate::closed();
            let held = gate.clone();
            environment.sentry.respond_with(move |_| Reply::ok().held_by(&held));
            let request = environment.run().await;
            environment.stays_held().await;
            report("at the end").await;
            environment.api.done(&request).await;
            environment.stays_held().await;
            gate.open();
            let delivered = environment.sentry.wait_for("the event", is_event_with("at the end")).await;
            assert_eq!(delivered.status, Some(200));
            environment.released().await;
            environment.finish([1, 1, 0, 0]).await;
        }
    });
}

#[test]
fn with_nothing_to_deliver_next_follows_the_functions_end_at_once() {
    isolated(|| async {
        let mut environment = Environment::start("end", Subscription::Accepted).await;
        for _ in 0..20 {
            let request = environment.run().await;
            environment.api.done(&request).await;
            environment.released().await;
        }
        environment.finish([0; 4]).await;
    });
}

#[test]
fn continuous_holds_nothing() {
    isolated(|| async {
        let mut environment = Environment::start("continuous", Subscription::Accepted).await;
        let gate = Gate::closed();
        let held = gate.clone();
        environment.sentry.respond_with(move |_| Reply::ok().held_by(&held));
        report("left over").await;
        for _ in 0..20 {
            environment.invoke();
            environment.was_not_held().await;
        }
        gate.open();
        environment.sentry.wait_for("the event", is_event_with("left over")).await;
        environment.finish([1, 1, 0, 0]).await;
    });
}

#[test]
fn auto_lets_dense_traffic_go_and_holds_it_for_what_is_old() {
    isolated(|| async {
        let mut environment = Environment::start("auto", Subscription::Accepted).await;
        // The first invocations are held, because they could be the only ones.
        for _ in 0..8 {
            let request = environment.run().await;
            assert!(environment.is_held());
            environment.api.done(&request).await;
            environment.released().await;
        }
        for _ in 0..20 {
            environment.invoke();
            environment.was_not_held().await;
        }
        let gate = Gate::closed();
        let held = gate.clone();
        environment.sentry.respond_with(move |_| Reply::ok().held_by(&held));
        report("slow").await;
        environment.invoke();
        environment.was_not_held().await;
        // The oldest envelope reaches the age at which `auto` holds.
        tokio::time::sleep(Duration::from_millis(1050)).await;
        environment.invoke();
        environment.stays_held().await;
        gate.open();
        environment.released().await;
        environment.invoke();
        environment.was_not_held().await;
        environment.finish([1, 1, 0, 0]).await;
    });
}

#[test]
fn no_hold_goes_past_the_budget() {
    isolated(|| async {
        // Ten times the deadline, which a busy machine does not reach; without a budget nothing ends these holds.
        let bounds = 500..8000;
        // Sentry never responds, and the function uses nearly all of its time.
        let mut environment = Environment::start("end", Subscription::Accepted).await;
        environment.sentry.respond_with(|_| Reply::ok().held_by(&Gate::closed()));
        environment.deadline = Duration::from_millis(800);
        let invoked = Instant::now();
        let request = environment.run().await;
        report("never").await;
        environment.api.done(&request).await;
        let waited = environment.released().await.saturating_duration_since(invoked);
        assert!(bounds.contains(&waited.as_millis()), "{waited:?}");

        // The function itself runs into its timeout.
        let invoked = Instant::now();
        environment.run().await;
        let waited = environment.released().await.saturating_duration_since(invoked);
        assert!(bounds.contains(&waited.as_millis()), "{waited:?}");

        // The function has no time at all.
        environment.deadline = Duration::ZERO;
        environment.run().await;
        environment.released().await;
        environment.api.shutdown("spindown", SECOND);
        assert_eq!(environment.extension.final_counts().await, [1, 0, 0, 1]);
    });
}

#[test]
fn an_outage_holds_one_invocation_and_no_other() {
    isolated(|| async {
        let mut environment = Environment::start("end", Subscription::Accepted).await;
        let gate = Gate::closed();
        let held = gate.clone();
        environment.sentry.respond_with(move |_| Reply::status(503).held_by(&held));
        let request = environment.run().await;
        report("during the outage").await;
        environment.api.done(&request).await;
        environment.stays_held().await;
        gate.open();
        environment.released().await;
        for _ in 0..20 {
            environment.invoke();
            report("during the outage").await;
            environment.was_not_held().await;
        }
        environment.sentry.respond_with(|_| Reply::ok());
        deliveries::wait_for(&environment.extension.log, 21).await;
        environment.finish([21, 21, 0, 0]).await;
    });
}
