//! Freezes the environment at any moment, and cuts its connections meanwhile. Nothing may be lost.

use crate::support::{
    extension::Extension,
    lambda_api::{LambdaApi, Subscription},
    netns::isolated,
    scripted_upstream::{Behavior, ScriptedUpstream},
    sdk::{KEY, TUNNEL, report},
};
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);
/// The time in which the upstream notices that it has to cut its connections.
const CUT_NOTICED: Duration = Duration::from_millis(2);

async fn environment(flush: &str, settings: &[(&str, &str)]) -> (LambdaApi, ScriptedUpstream, Extension) {
    let api = LambdaApi::start().await;
    api.telemetry(Subscription::Accepted);
    let upstream = ScriptedUpstream::start(false).await;
    let dsn = upstream.dsn("127.0.0.1", KEY);
    let env = [("SENTRY_DSN", &*dsn), ("SENTRY_EXTENSION_FLUSH", flush), ("SENTRY_EXTENSION_LOG", "debug")];
    let extension = Extension::in_lambda(&api, &[&env, settings].concat());
    api.asked(1).await;
    // Telemetry is trusted now, even if a busy machine let the subscription take longer than the extension waits.
    api.done("earlier").await;
    (api, upstream, extension)
}

/// Freezes the extension for this time, and cuts all connections meanwhile.
async fn freeze_and_cut(extension: &Extension, upstream: &ScriptedUpstream, frozen: Duration) {
    extension.freeze();
    upstream.cut();
    tokio::time::sleep(frozen).await;
    extension.thaw();
}

#[test]
fn a_hundred_freezes_between_invocations_lose_nothing() {
    isolated(|| async {
        for flush in ["end", "continuous", "auto"] {
            let (api, upstream, extension) = environment(flush, &[]).await;
            // Without a hold, this is long enough for a freeze to hit the exchange.
            upstream.behave(Behavior::Slow(Duration::from_millis(5))).await;
            let mut sent = Vec::new();
            for cycle in 1..=100 {
                let request = format!("request-{cycle}");
                api.started(&request).await;
                api.invoke_as(&request, 3 * SECOND);
                let marker = format!("{flush}-{cycle}");
                assert_eq!(report(TUNNEL, &marker).await, 200);
                sent.push(marker);
                api.done(&request).await;
                api.asked(cycle + 1).await;
                freeze_and_cut(&extension, &upstream, CUT_NOTICED).await;
            }
            upstream.wait_until_taken(&sent).await;
            let fates = upstream.fates();
            let twice = fates.values().filter(|fate| fate.taken + fate.unanswered > 1).count();
            let unanswered: usize = fates.values().map(|fate| fate.unanswered).sum();
            println!(
                "figure: 100 freezes, {flush}: all arrived, {twice} twice, {unanswered} answers cut off"
            );
            assert!(fates.values().all(|fate| fate.taken == 1), "{fates:?}");
            assert!(twice <= unanswered, "sent again though answered: {fates:?}");
            if flush == "end" {
                assert_eq!(unanswered, 0, "frozen in an exchange");
            }
            api.shutdown("spindown", 2 * SECOND);
            assert_eq!(extension.final_counts().await, [100, 100, 0, 0]);
            assert!(api.violations().is_empty(), "{:?}", api.violations());
        }
    });
}

#[test]
fn a_freeze_while_upstream_responds_slowly_is_no_outage() {
    isolated(|| async {
        let (api, upstream, extension) = environment("end", &[]).await;
        upstream.behave(Behavior::Slow(Duration::from_millis(50))).await;
        assert_eq!(report(TUNNEL, "slow").await, 200);
        upstream.wait_until("it has arrived", |all| !all.is_empty()).await;
        // The freeze is longer than the timeout of an exchange.
        extension.freeze();
        tokio::time::sleep(Duration::from_millis(2500)).await;
        extension.thaw();
        api.started("request-1").await;
        api.invoke_as("request-1", 3 * SECOND);
        assert_eq!(report(TUNNEL, "after").await, 200);
        api.done("request-1").await;
        api.asked(2).await;
        // The invocation was held, so both envelopes have been delivered.
        assert_eq!(
            upstream.fates().values().filter(|fate| fate.taken > 0).count(),
            2,
            "{:?}",
            upstream.fates()
        );
        assert!(!extension.log.contains("\"outage\":\"true\""), "{}", extension.log.text());
        api.shutdown("spindown", 2 * SECOND);
        assert_eq!(extension.final_counts().await, [2, 2, 0, 0]);
        assert_eq!(upstream.arrivals().len(), 2, "nothing is sent twice");
    });
}
