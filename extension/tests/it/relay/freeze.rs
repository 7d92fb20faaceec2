//! Tests freezes of the environment. SIGSTOP takes the place of Lambda's freezer.

use super::delivery_test::{DeliveryTest, FinalCounts, markers};
use crate::support::{
    deliveries,
    netns::isolated,
    scripted_upstream::Behavior,
    sdk::{TUNNEL, attachment_of, post},
};
use std::time::Duration;

/// The timeout of a request to upstream. It is short, so that a freeze lasts longer.
const TIMEOUT: (&str, &str) = ("SENTRY_EXTENSION_TIMEOUT", "1s");
/// The length of a freeze, which is longer than the timeout.
const FREEZE: Duration = Duration::from_millis(1500);

#[test]
fn a_response_that_arrives_during_a_freeze_counts() {
    isolated(|| async {
        let test = DeliveryTest::start(&[TIMEOUT]).await;
        test.upstream.behave(Behavior::Slow(Duration::from_millis(100))).await;
        for marker in markers("frozen", 5) {
            test.reports(std::slice::from_ref(&marker)).await;
            let arrived =
                |all: &[crate::support::scripted_upstream::Arrival]| all.iter().any(|a| a.marker == marker);
            test.upstream.wait_until("the request", arrived).await;
            test.extension.freeze();
            test.upstream.wait_until_taken(&[marker]).await;
            tokio::time::sleep(FREEZE).await;
            test.extension.thaw();
        }
        let (counts, upstream) = test.shut_down().await;
        let expected = FinalCounts { accepted: 5, delivered: 5, rejected: 0, dropped: 0, unanswered: 0 };
        assert_eq!(counts, expected, "{:?}", upstream.fates());
        assert_eq!(upstream.arrivals().len(), 5, "{:?}", upstream.fates());
    });
}

/// A size that does not fit into the buffers of both sockets.
const LARGE: usize = 16 << 20;

#[test]
fn an_upload_continues_after_a_freeze() {
    isolated(|| async {
        let test = DeliveryTest::start(&[TIMEOUT]).await;
        assert_eq!(post(TUNNEL, attachment_of("large", LARGE)).await, 200);
        test.upstream.wait_for_begun(1).await;
        test.extension.freeze();
        tokio::time::sleep(FREEZE).await;
        assert!(test.upstream.arrivals().is_empty(), "the upload was through before the freeze");
        test.extension.thaw();
        test.upstream.wait_until_taken(&["large".to_owned()]).await;
        let (counts, upstream) = test.shut_down().await;
        let expected = FinalCounts { accepted: 1, delivered: 1, rejected: 0, dropped: 0, unanswered: 0 };
        assert_eq!((counts, upstream.arrivals().len()), (expected, 1));
    });
}

#[test]
fn an_upload_that_is_cut_during_a_freeze_is_repeated() {
    isolated(|| async {
        let test = DeliveryTest::start(&[TIMEOUT]).await;
        assert_eq!(post(TUNNEL, attachment_of("large", LARGE)).await, 200);
        test.upstream.wait_for_begun(1).await;
        test.extension.freeze();
        test.upstream.reset().await;
        assert!(test.upstream.arrivals().is_empty(), "the upload was through before the freeze");
        test.extension.thaw();
        test.upstream.wait_until_taken(&["large".to_owned()]).await;
        let (counts, upstream) = test.shut_down().await;
        assert_eq!((counts.delivered, counts.unanswered, upstream.arrivals().len()), (1, 1, 1));
    });
}

#[test]
fn a_connection_that_died_in_a_freeze_costs_no_pause() {
    isolated(|| async {
        let mut test = DeliveryTest::start(&[]).await;
        for cycle in 0..20 {
            let marker = markers(&format!("stale-{cycle}"), 1);
            test.invoke(&marker).await;
            test.upstream.wait_until_taken(&marker).await;
            deliveries::wait_for(&test.log(), cycle + 1).await;
            test.extension.freeze();
            if cycle % 2 == 0 {
                test.upstream.reset().await;
            } else {
                test.upstream.cut();
            }
            test.extension.thaw();
        }
        let log = test.log();
        let (counts, upstream) = test.shut_down().await;
        assert_eq!((counts.accepted, counts.delivered), (20, 20));
        assert!(!log.contains("could not take"), "{}", log.text());
        let connections: Vec<usize> = upstream.arrivals().iter().map(|arrival| arrival.connection).collect();
        assert_eq!(connections, (0..20).collect::<Vec<_>>());
    });
}

/// Freezes alternately within an exchange and between invocations. During the freeze, upstream resets or closes every
/// connection.
#[test]
fn a_hundred_freezes_lose_nothing() {
    const CYCLES: usize = 100;
    isolated(|| async {
        let mut test = DeliveryTest::start(&[]).await;
        test.upstream.behave(Behavior::Slow(Duration::from_millis(3))).await;
        let mut sent = Vec::new();
        for cycle in 0..CYCLES {
            let cycle_markers = markers(&format!("cycle-{cycle}"), 3);
            test.invoke(&cycle_markers).await;
            sent.extend(cycle_markers.clone());
            if cycle % 3 == 0 {
                test.upstream.wait_until_taken(&cycle_markers).await;
            }
            test.extension.freeze();
            if cycle % 2 == 0 {
                test.upstream.reset().await;
            } else {
                test.upstream.cut();
            }
            test.extension.thaw();
        }
        test.upstream.wait_until_taken(&sent).await;
        let (counts, upstream) = test.shut_down().await;
        let fates = upstream.fates();
        let total = sent.len() as u64;
        assert_eq!((counts.accepted, counts.delivered, counts.dropped), (total, total, 0));
        let unanswered: usize = fates.values().map(|fate| fate.unanswered).sum();
        let twice: usize = fates.values().map(|fate| fate.taken + fate.unanswered - 1).sum();
        eprintln!(
            "{CYCLES} freezes: {total} accepted, {} delivered, {} arrived, {twice} twice, {unanswered} answers lost, \
             {} unanswered in the counts, {} connections",
            counts.delivered,
            upstream.arrivals().len(),
            counts.unanswered,
            upstream.connections()
        );
        for (marker, fate) in &fates {
            assert_eq!(fate.taken, 1, "{marker}: {fate:?}");
        }
        assert!(unanswered as u64 <= counts.unanswered, "{unanswered} lost, {} counted", counts.unanswered);
    });
}
