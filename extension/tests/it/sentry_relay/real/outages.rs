//! Trouble with Sentry behind the real Sentry's Relay. All of it is the built-in relay's business, so what arrives and
//! what the counts say is the same as without Sentry's Relay.

use super::start;
use crate::relay::delivery_test::{FinalCounts, SECOND, markers};
use crate::support::{netns::isolated, scripted_upstream::Behavior};
use std::time::Duration;

/// The counts if everything was delivered, whatever was sent twice on the way.
fn all(counts: FinalCounts) -> [u64; 4] {
    [counts.accepted, counts.delivered, counts.rejected, counts.dropped]
}

#[test]
fn resets_cost_nothing_and_are_counted_as_they_are() {
    isolated(|| async {
        for manner in [Behavior::ResetBefore, Behavior::ResetWithin] {
            let (mut test, _layer) = start(&[("SENTRY_EXTENSION_FLUSH", "end")]).await;
            test.upstream.behave(manner).await;
            let sent = markers("reset", 6);
            test.invoke(&sent).await;
            assert!(test.upstream.fates().values().all(|fate| fate.taken == 0));
            test.upstream.recover().await;
            test.upstream.wait_until_taken(&sent).await;
            let (counts, upstream) = test.shut_down().await;
            assert_eq!(all(counts), [6, 6, 0, 0]);
            assert!(upstream.fates().values().all(|fate| fate.taken == 1), "{:?}", upstream.fates());
        }
    });
}

#[test]
fn an_upstream_that_was_down_for_ten_seconds_gets_everything() {
    isolated(|| async {
        let (mut test, _layer) = start(&[]).await;
        test.upstream.behave(Behavior::Refuse).await;
        let sent = markers("down", 6);
        for marker in &sent {
            test.invoke(std::slice::from_ref(marker)).await;
        }
        tokio::time::sleep(10 * SECOND).await;
        test.upstream.recover().await;
        let (counts, upstream) = test.shut_down().await;
        assert_eq!(all(counts), [6, 6, 0, 0]);
        assert_eq!(upstream.fates().len(), 6, "{:?}", upstream.fates());
    });
}

#[test]
fn a_lone_envelope_leaves_once_upstream_is_back() {
    isolated(|| async {
        let (mut test, _layer) = start(&[]).await;
        test.upstream.behave(Behavior::Refuse).await;
        let sent = markers("lone", 1);
        test.invoke(&sent).await;
        test.log().wait_for("upstream is in trouble").await;
        test.upstream.recover().await;
        // Nothing else happens, so only a timer can do it.
        test.upstream.wait_until_taken(&sent).await;
        assert_eq!(all(test.shut_down().await.0), [1, 1, 0, 0]);
    });
}

#[test]
fn a_backlog_of_seconds_is_counted_as_it_arrives() {
    isolated(|| async {
        let (mut test, _layer) = start(&[("SENTRY_EXTENSION_FLUSH", "end")]).await;
        test.upstream.behave(Behavior::Slow(SECOND / 10)).await;
        let sent = markers("backlog", 200);
        test.invoke(&sent).await;
        test.upstream.wait_until_taken(&sent).await;
        let (counts, upstream) = test.shut_down().await;
        assert_eq!((all(counts), upstream.arrivals().len()), ([200, 200, 0, 0], 200));
    });
}

#[test]
fn fifty_quick_invocations_and_then_shutdown() {
    isolated(|| async {
        let (mut test, _layer) = start(&[("SENTRY_EXTENSION_FLUSH", "continuous")]).await;
        test.upstream.behave(Behavior::Slow(Duration::from_millis(50))).await;
        for marker in markers("quick", 50) {
            test.invoke(&[marker]).await;
        }
        let (counts, upstream) = test.shut_down().await;
        assert_eq!((all(counts), upstream.arrivals().len()), ([50, 50, 0, 0], 50));
    });
}

#[test]
fn the_verdict_is_sentrys_own() {
    isolated(|| async {
        for (status, reason, expected) in [
            (400, "http_400=1", [1, 0, 1, 0]),
            (429, "ratelimit_backoff=1", [1, 0, 0, 1]),
            (500, "upstream_error=1", [1, 0, 0, 1]),
        ] {
            let (mut test, _layer) = start(&[]).await;
            test.upstream.behave(Behavior::Answer(status, "")).await;
            test.invoke(&markers("verdict", 1)).await;
            test.upstream.wait_until("the envelope", |all| !all.is_empty()).await;
            let log = test.log();
            let (counts, _) = test.shut_down().await;
            let line = log.wait_for("\"message\":\"envelopes\"").await;
            assert_eq!(all(counts), expected, "{status}: {line}");
            assert!(line.contains(reason), "{status}: {line}");
        }
    });
}
