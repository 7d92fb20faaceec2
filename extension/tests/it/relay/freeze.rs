//! Tests freezes of the environment. SIGSTOP takes the place of Lambda's freezer.

use super::bench::{Bench, Books, markers};
use crate::support::{
    deliveries,
    hostile::Manner,
    netns::isolated,
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
        let bench = Bench::start(&[TIMEOUT]).await;
        bench.upstream.behave(Manner::Slow(Duration::from_millis(100))).await;
        for marker in markers("frozen", 5) {
            bench.reports(std::slice::from_ref(&marker)).await;
            let arrived = |all: &[crate::support::hostile::Arrival]| all.iter().any(|a| a.marker == marker);
            bench.upstream.until("the request", arrived).await;
            bench.extension.freeze();
            bench.upstream.takes(&[marker]).await;
            tokio::time::sleep(FREEZE).await;
            bench.extension.thaw();
        }
        let (books, upstream) = bench.shut_down().await;
        let expected = Books { accepted: 5, delivered: 5, rejected: 0, dropped: 0, unanswered: 0 };
        assert_eq!(books, expected, "{:?}", upstream.fates());
        assert_eq!(upstream.arrivals().len(), 5, "{:?}", upstream.fates());
    });
}

/// A size that does not fit into the buffers of both sockets.
const LARGE: usize = 16 << 20;

#[test]
fn an_upload_continues_after_a_freeze() {
    isolated(|| async {
        let bench = Bench::start(&[TIMEOUT]).await;
        assert_eq!(post(TUNNEL, attachment_of("large", LARGE)).await, 200);
        bench.upstream.begun(1).await;
        bench.extension.freeze();
        tokio::time::sleep(FREEZE).await;
        assert!(bench.upstream.arrivals().is_empty(), "the upload was through before the freeze");
        bench.extension.thaw();
        bench.upstream.takes(&["large".to_owned()]).await;
        let (books, upstream) = bench.shut_down().await;
        let expected = Books { accepted: 1, delivered: 1, rejected: 0, dropped: 0, unanswered: 0 };
        assert_eq!((books, upstream.arrivals().len()), (expected, 1));
    });
}

#[test]
fn an_upload_that_is_cut_during_a_freeze_is_repeated() {
    isolated(|| async {
        let bench = Bench::start(&[TIMEOUT]).await;
        assert_eq!(post(TUNNEL, attachment_of("large", LARGE)).await, 200);
        bench.upstream.begun(1).await;
        bench.extension.freeze();
        bench.upstream.reset().await;
        assert!(bench.upstream.arrivals().is_empty(), "the upload was through before the freeze");
        bench.extension.thaw();
        bench.upstream.takes(&["large".to_owned()]).await;
        let (books, upstream) = bench.shut_down().await;
        assert_eq!((books.delivered, books.unanswered, upstream.arrivals().len()), (1, 1, 1));
    });
}

#[test]
fn a_connection_that_died_in_a_freeze_costs_no_pause() {
    isolated(|| async {
        let mut bench = Bench::start(&[]).await;
        for cycle in 0..20 {
            let marker = markers(&format!("stale-{cycle}"), 1);
            bench.invoke(&marker).await;
            bench.upstream.takes(&marker).await;
            deliveries::known(&bench.log(), cycle + 1).await;
            bench.extension.freeze();
            if cycle % 2 == 0 {
                bench.upstream.reset().await;
            } else {
                bench.upstream.cut();
            }
            bench.extension.thaw();
        }
        let log = bench.log();
        let (books, upstream) = bench.shut_down().await;
        assert_eq!((books.accepted, books.delivered), (20, 20));
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
        let mut bench = Bench::start(&[]).await;
        bench.upstream.behave(Manner::Slow(Duration::from_millis(3))).await;
        let mut sent = Vec::new();
        for cycle in 0..CYCLES {
            let cycle_markers = markers(&format!("cycle-{cycle}"), 3);
            bench.invoke(&cycle_markers).await;
            sent.extend(cycle_markers.clone());
            if cycle % 3 == 0 {
                bench.upstream.takes(&cycle_markers).await;
            }
            bench.extension.freeze();
            if cycle % 2 == 0 {
                bench.upstream.reset().await;
            } else {
                bench.upstream.cut();
            }
            bench.extension.thaw();
        }
        bench.upstream.takes(&sent).await;
        let (books, upstream) = bench.shut_down().await;
        let fates = upstream.fates();
        let total = sent.len() as u64;
        assert_eq!((books.accepted, books.delivered, books.dropped), (total, total, 0));
        let unanswered: usize = fates.values().map(|fate| fate.unanswered).sum();
        let twice: usize = fates.values().map(|fate| fate.taken + fate.unanswered - 1).sum();
        eprintln!(
            "{CYCLES} freezes: {total} accepted, {} delivered, {} arrived, {twice} twice, {unanswered} answers lost, \
             {} unanswered in the books, {} connections",
            books.delivered,
            upstream.arrivals().len(),
            books.unanswered,
            upstream.connections()
        );
        for (marker, fate) in &fates {
            assert_eq!(fate.taken, 1, "{marker}: {fate:?}");
        }
        assert!(unanswered as u64 <= books.unanswered, "{unanswered} lost, {} counted", books.unanswered);
    });
}
