//! Trouble with Sentry behind the real Sentry's Relay. All of it is the built-in relay's business, so what arrives and
//! what the counts say is the same as without Sentry's Relay.

use super::start;
use crate::relay::bench::{Books, SECOND, markers};
use crate::support::{hostile::Manner, netns::isolated};
use std::time::Duration;

/// The counts if everything was delivered, whatever was sent twice on the way.
fn all(books: Books) -> [u64; 4] {
    [books.accepted, books.delivered, books.rejected, books.dropped]
}

#[test]
fn resets_cost_nothing_and_are_counted_as_they_are() {
    isolated(|| async {
        for manner in [Manner::ResetBefore, Manner::ResetWithin] {
            let (mut bench, _layer) = start(&[("SENTRY_EXTENSION_FLUSH", "end")]).await;
            bench.upstream.behave(manner).await;
            let sent = markers("reset", 6);
            bench.invoke(&sent).await;
            assert!(bench.upstream.fates().values().all(|fate| fate.taken == 0));
            bench.upstream.heal().await;
            bench.upstream.takes(&sent).await;
            let (books, upstream) = bench.shut_down().await;
            assert_eq!(all(books), [6, 6, 0, 0]);
            assert!(upstream.fates().values().all(|fate| fate.taken == 1), "{:?}", upstream.fates());
        }
    });
}

#[test]
fn an_upstream_that_was_down_for_ten_seconds_gets_everything() {
    isolated(|| async {
        let (mut bench, _layer) = start(&[]).await;
        bench.upstream.behave(Manner::Refuse).await;
        let sent = markers("down", 6);
        for marker in &sent {
            bench.invoke(std::slice::from_ref(marker)).await;
        }
        tokio::time::sleep(10 * SECOND).await;
        bench.upstream.heal().await;
        let (books, upstream) = bench.shut_down().await;
        assert_eq!(all(books), [6, 6, 0, 0]);
        assert_eq!(upstream.fates().len(), 6, "{:?}", upstream.fates());
    });
}

#[test]
fn a_lone_envelope_leaves_once_upstream_is_back() {
    isolated(|| async {
        let (mut bench, _layer) = start(&[]).await;
        bench.upstream.behave(Manner::Refuse).await;
        let sent = markers("lone", 1);
        bench.invoke(&sent).await;
        bench.log().wait_for("upstream is in trouble").await;
        bench.upstream.heal().await;
        // Nothing else happens, so only a timer can do it.
        bench.upstream.takes(&sent).await;
        assert_eq!(all(bench.shut_down().await.0), [1, 1, 0, 0]);
    });
}

#[test]
fn a_backlog_of_seconds_is_counted_as_it_arrives() {
    isolated(|| async {
        let (mut bench, _layer) = start(&[("SENTRY_EXTENSION_FLUSH", "end")]).await;
        bench.upstream.behave(Manner::Slow(SECOND / 10)).await;
        let sent = markers("backlog", 200);
        bench.invoke(&sent).await;
        bench.upstream.takes(&sent).await;
        let (books, upstream) = bench.shut_down().await;
        assert_eq!((all(books), upstream.arrivals().len()), ([200, 200, 0, 0], 200));
    });
}

#[test]
fn fifty_quick_invocations_and_then_shutdown() {
    isolated(|| async {
        let (mut bench, _layer) = start(&[("SENTRY_EXTENSION_FLUSH", "continuous")]).await;
        bench.upstream.behave(Manner::Slow(Duration::from_millis(50))).await;
        for marker in markers("quick", 50) {
            bench.invoke(&[marker]).await;
        }
        let (books, upstream) = bench.shut_down().await;
        assert_eq!((all(books), upstream.arrivals().len()), ([50, 50, 0, 0], 50));
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
            let (mut bench, _layer) = start(&[]).await;
            bench.upstream.behave(Manner::Answer(status, "")).await;
            bench.invoke(&markers("verdict", 1)).await;
            bench.upstream.until("the envelope", |all| !all.is_empty()).await;
            let log = bench.log();
            let (books, _) = bench.shut_down().await;
            let line = log.wait_for("\"message\":\"envelopes\"").await;
            assert_eq!(all(books), expected, "{status}: {line}");
            assert!(line.contains(reason), "{status}: {line}");
        }
    });
}
