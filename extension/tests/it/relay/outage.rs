//! Tests outages of upstream: what they cost the function, how often upstream is tried, and how they end.

use super::delivery_test::{DeliveryTest, FinalCounts, SECOND, markers};
use crate::support::{
    netns::isolated,
    scripted_upstream::{Arrival, Behavior, ScriptedUpstream},
    sdk::{KEY, TUNNEL, tunnel},
};
use std::time::Instant;

#[test]
fn after_the_first_failure_no_invocation_waits_and_the_queue_empties_by_itself() {
    isolated(|| async {
        let mut test = DeliveryTest::start(&[("SENTRY_EXTENSION_FLUSH", "end")]).await;
        test.upstream.behave(Behavior::Refuse).await;
        let sent = markers("outage", 20);
        test.invoke(&sent[..1]).await;
        test.log().wait_for("could not take").await;
        let held = test.held().await;
        for one in sent[1..].chunks(1) {
            test.invoke(one).await;
        }
        assert_eq!(test.held().await, held, "{}", test.log().text());
        test.upstream.recover().await;
        test.upstream.wait_until_taken(&sent).await;
        let (counts, upstream) = test.shut_down().await;
        assert_eq!((counts.accepted, counts.delivered, upstream.arrivals().len()), (20, 20, 20));
    });
}

#[test]
fn tries_back_off_and_come_one_at_a_time() {
    isolated(|| async {
        let test = DeliveryTest::start(&[]).await;
        test.upstream.behave(Behavior::Answer(503, "")).await;
        let sent = markers("patient", 30);
        let start = Instant::now();
        test.reports(&sent).await;
        // Up to four tries at once, then single tries after pauses of 125-250, 250-500, 500-1000, 1000-2000 and
        // 2000-4000 ms.
        test.upstream.wait_until("four tries", |all| all.len() >= 4).await;
        tokio::time::sleep((5 * SECOND).saturating_sub(start.elapsed())).await;
        let tries = test.upstream.arrivals();
        let first = tries[0].at;
        let times: Vec<u128> = tries.iter().map(|one| (one.at - first).as_millis()).collect();
        eprintln!("tries in 5 s of outage, ms after the first: {times:?}");
        assert!(tries.len() <= 10, "{times:?}");
        test.upstream.recover().await;
        test.upstream.wait_until_taken(&sent).await;
        let (counts, _) = test.shut_down().await;
        assert_eq!((counts.accepted, counts.delivered), (30, 30));
    });
}

#[test]
fn the_deadline_decides_when_to_give_up() {
    isolated(|| async {
        let test = DeliveryTest::start(&[]).await;
        test.upstream.behave(Behavior::Answer(503, "")).await;
        let sent = markers("last", 2);
        test.reports(&sent).await;
        // It takes two seconds of this time, also where it reads the event late.
        test.api.shutdown("spindown", 6 * SECOND);
        test.log().wait_for("\"shutting down\"").await;
        // Pauses do not grow any more. By the rules of an outage they would last at least 250, 500 and 1,000 ms, which
        // leaves time for four tries of each envelope.
        let so_far = test.upstream.arrivals().len();
        test.upstream.wait_until("tries at the end", |all| all.len() > so_far + 4 * sent.len()).await;
        test.upstream.recover().await;
        assert_eq!(test.extension.final_counts().await, [2, 2, 0, 0]);
    });
}

/// Uses the tunnel with two DSNs.
#[test]
fn the_outage_of_one_upstream_delays_no_other() {
    for behavior in [Behavior::Refuse, Behavior::ResetAfter, Behavior::Stall] {
        isolated(move || async move {
            let well = ScriptedUpstream::start(false).await;
            // What stalls does so until the end of the outage.
            let settings =
                [("SENTRY_EXTENSION_ALLOWED_HOSTS", "127.0.0.1"), ("SENTRY_EXTENSION_TIMEOUT", "600s")];
            let test = DeliveryTest::with(ScriptedUpstream::start(false).await, &settings).await;
            let troubled = test.upstream.dsn("127.0.0.1", KEY);
            let healthy = well.dsn("127.0.0.1", KEY);
            test.upstream.behave(behavior.clone()).await;
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
                well.wait_until_taken(&sent).await;
                if behavior != Behavior::Stall {
                    test.log().wait_for("could not take").await;
                }
            }
            test.upstream.recover().await;
            test.upstream.wait_until_taken(&stuck).await;
            let (counts, _) = test.shut_down().await;
            assert_eq!((counts.accepted, counts.delivered, counts.dropped), (40, 40, 0));
        });
    }
}

#[test]
fn an_envelope_that_upstream_always_fails_on_is_counted_as_dropped() {
    isolated(|| async {
        let mut test = DeliveryTest::start(&[]).await;
        test.upstream.behave(Behavior::Answer(500, "")).await;
        test.invoke(&markers("indigestible", 1)).await;
        let tried = |all: &[Arrival]| all.len() >= 3;
        test.upstream.wait_until("three tries", tried).await;
        let log = test.log();
        let (counts, upstream) = test.shut_down().await;
        assert!(log.contains("upstream_error=1"), "{}", log.text());
        assert_eq!(counts, FinalCounts { accepted: 1, delivered: 0, rejected: 0, dropped: 1, unanswered: 0 });
        assert!(upstream.arrivals().len() < 30, "{}", upstream.arrivals().len());
    });
}
