//! Tests outages of upstream: what they cost the function, how often upstream is tried, and how they end.

use super::bench::{Bench, Books, SECOND, markers};
use crate::support::{
    hostile::{Arrival, Hostile, Manner},
    netns::isolated,
    sdk::{KEY, TUNNEL, tunnel},
};
use std::time::Instant;

#[test]
fn after_the_first_failure_no_invocation_waits_and_the_queue_empties_by_itself() {
    isolated(|| async {
        let mut bench = Bench::start(&[("SENTRY_EXTENSION_FLUSH", "end")]).await;
        bench.upstream.behave(Manner::Refuse).await;
        let sent = markers("outage", 20);
        bench.invoke(&sent[..1]).await;
        bench.log().wait_for("could not take").await;
        let held = bench.held().await;
        for one in sent[1..].chunks(1) {
            bench.invoke(one).await;
        }
        assert_eq!(bench.held().await, held, "{}", bench.log().text());
        bench.upstream.heal().await;
        bench.upstream.takes(&sent).await;
        let (books, upstream) = bench.shut_down().await;
        assert_eq!((books.accepted, books.delivered, upstream.arrivals().len()), (20, 20, 20));
    });
}

#[test]
fn tries_back_off_and_come_one_at_a_time() {
    isolated(|| async {
        let bench = Bench::start(&[]).await;
        bench.upstream.behave(Manner::Answer(503, "")).await;
        let sent = markers("patient", 30);
        let start = Instant::now();
        bench.reports(&sent).await;
        // Up to four tries at once, then single tries after pauses of 125-250, 250-500, 500-1000, 1000-2000 and
        // 2000-4000 ms.
        bench.upstream.until("four tries", |all| all.len() >= 4).await;
        tokio::time::sleep((5 * SECOND).saturating_sub(start.elapsed())).await;
        let tries = bench.upstream.arrivals();
        let first = tries[0].at;
        let times: Vec<u128> = tries.iter().map(|one| (one.at - first).as_millis()).collect();
        eprintln!("tries in 5 s of outage, ms after the first: {times:?}");
        assert!(tries.len() <= 10, "{times:?}");
        bench.upstream.heal().await;
        bench.upstream.takes(&sent).await;
        let (books, _) = bench.shut_down().await;
        assert_eq!((books.accepted, books.delivered), (30, 30));
    });
}

#[test]
fn the_deadline_decides_when_to_give_up() {
    isolated(|| async {
        let bench = Bench::start(&[]).await;
        bench.upstream.behave(Manner::Answer(503, "")).await;
        let sent = markers("last", 2);
        bench.reports(&sent).await;
        bench.api.shutdown("spindown", 3 * SECOND);
        bench.log().wait_for("\"shutting down\"").await;
        // Pauses do not grow any more: by the rules of an outage there would be no time for so many tries.
        let so_far = bench.upstream.arrivals().len();
        bench.upstream.until("tries at the end", |all| all.len() >= so_far + 5).await;
        bench.upstream.heal().await;
        assert_eq!(bench.extension.books().await, [2, 2, 0, 0]);
    });
}

/// Uses the tunnel with two DSNs.
#[test]
fn the_outage_of_one_upstream_delays_no_other() {
    for manner in [Manner::Refuse, Manner::ResetAfter, Manner::Stall] {
        isolated(move || async move {
            let well = Hostile::start(false).await;
            // What stalls does so until the end of the outage.
            let settings =
                [("SENTRY_EXTENSION_ALLOWED_HOSTS", "127.0.0.1"), ("SENTRY_EXTENSION_TIMEOUT", "600s")];
            let bench = Bench::with(Hostile::start(false).await, &settings).await;
            let troubled = bench.upstream.dsn("127.0.0.1", KEY);
            let healthy = well.dsn("127.0.0.1", KEY);
            bench.upstream.behave(manner.clone()).await;
            let stuck = markers("stuck", 20);
            for marker in &stuck {
                assert_eq!(tunnel(TUNNEL, &troubled, marker).await, 200);
            }
            // The first round is before the extension knows of the outage, the second after.
            for round in 0..2 {
                let sent = markers(&format!("round-{round}"), 10);
                for marker in &sent {
                    assert_eq!(tunnel(TUNNEL, &healthy, marker).await, 200);
                }
                well.takes(&sent).await;
                if manner != Manner::Stall {
                    bench.log().wait_for("could not take").await;
                }
            }
            bench.upstream.heal().await;
            bench.upstream.takes(&stuck).await;
            let (books, _) = bench.shut_down().await;
            assert_eq!((books.accepted, books.delivered, books.dropped), (40, 40, 0));
        });
    }
}

#[test]
fn an_envelope_that_upstream_always_fails_on_is_counted_as_dropped() {
    isolated(|| async {
        let mut bench = Bench::start(&[]).await;
        bench.upstream.behave(Manner::Answer(500, "")).await;
        bench.invoke(&markers("indigestible", 1)).await;
        let tried = |all: &[Arrival]| all.len() >= 3;
        bench.upstream.until("three tries", tried).await;
        let log = bench.log();
        let (books, upstream) = bench.shut_down().await;
        assert!(log.contains("upstream_error=1"), "{}", log.text());
        assert_eq!(books, Books { accepted: 1, delivered: 0, rejected: 0, dropped: 1, unanswered: 0 });
        assert!(upstream.arrivals().len() < 30, "{}", upstream.arrivals().len());
    });
}
