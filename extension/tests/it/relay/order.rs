//! The order in which envelopes arrive that belong together, and that nothing else waits for it.

use super::delivery_test::DeliveryTest;
use crate::support::{
    netns::isolated,
    scripted_upstream::{Arrival, Behavior},
    sdk::{TUNNEL, item, post},
};
use serde_json::{Value, json};
use std::time::Duration;

fn check_in(marker: &str, id: &str, slug: &str, status: &str) -> String {
    item("check_in", &json!({ "marker": marker, "check_in_id": id, "monitor_slug": slug, "status": status }))
}

fn session(marker: &str, id: &str) -> String {
    item("session", &json!({ "marker": marker, "sid": id, "init": marker == "first", "status": "ok" }))
}

/// The markers of the requests that were answered with 200, in the order of their arrival.
fn taken(all: &[Arrival]) -> Vec<String> {
    all.iter().filter(|one| one.answered == Some(200)).map(|one| one.marker.clone()).collect()
}

/// Upstream refuses the first of two envelopes with 503, and has to get them in order all the same.
async fn first_is_refused(first: String, second: String) {
    let test = DeliveryTest::start(&[]).await;
    test.upstream.behave(Behavior::Answer(503, "")).await;
    assert_eq!(post(TUNNEL, first).await, 200);
    test.upstream.wait_until("the first", |all| !all.is_empty()).await;
    assert_eq!(post(TUNNEL, second).await, 200);
    test.upstream.recover().await;
    test.upstream.wait_until("both", |all| taken(all).len() >= 2).await;
    assert_eq!(taken(&test.upstream.arrivals()), ["first", "second"]);
    let (counts, _) = test.shut_down().await;
    assert_eq!((counts.accepted, counts.delivered), (2, 2));
}

#[test]
fn check_ins_of_one_id_keep_their_order_across_503() {
    const ID: &str = "3da1f2dc3222475e9205e2e6c6318895";
    isolated(|| {
        first_is_refused(check_in("first", ID, "job", "in_progress"), check_in("second", ID, "job", "ok"))
    });
}

#[test]
fn check_ins_of_one_monitor_keep_their_order_across_503() {
    // Without an id, as `sentry-cli` and the cron endpoint send them.
    let of = |marker: &str, status| {
        item("check_in", &json!({ "marker": marker, "monitor_slug": "job", "status": status }))
    };
    let [first, second] = [of("first", "in_progress"), of("second", "ok")];
    isolated(|| first_is_refused(first, second));
}

#[test]
fn updates_of_one_session_keep_their_order_across_503() {
    const ID: &str = "7c7b6585-f901-4351-bf8d-02711b721929";
    isolated(|| first_is_refused(session("first", ID), session("second", ID)));
}

#[test]
fn the_second_waits_for_the_answer_to_the_first() {
    isolated(|| async {
        let test = DeliveryTest::start(&[]).await;
        test.upstream.behave(Behavior::Slow(Duration::from_secs(1))).await;
        for n in 0..4 {
            let body = check_in(&format!("chain-{n}"), &format!("{n:032x}"), "job", "ok");
            assert_eq!(post(TUNNEL, body).await, 200);
        }
        for n in 0..4 {
            assert_eq!(
                post(TUNNEL, check_in(&format!("free-{n}"), "", &format!("job-{n}"), "ok")).await,
                200
            );
        }
        test.upstream.wait_until("all", |all| taken(all).len() >= 8).await;
        let order = test.upstream.arrivals();
        let place = |marker: &str| order.iter().position(|one| one.marker == marker).unwrap();
        assert!(
            (1..4).all(|n| place(&format!("chain-{}", n - 1)) < place(&format!("chain-{n}"))),
            "{order:?}"
        );
        // The second of the chain waits for the first, and lets pass what belongs to others.
        assert!((0..3).all(|n| place(&format!("free-{n}")) < place("chain-1")), "{order:?}");
        test.shut_down().await;
    });
}

#[test]
fn a_first_that_is_refused_for_good_holds_up_nothing() {
    isolated(|| async {
        let test = DeliveryTest::start(&[]).await;
        test.upstream.behave(Behavior::Answer(400, "")).await;
        assert_eq!(post(TUNNEL, check_in("first", "1", "job", "in_progress")).await, 200);
        test.upstream.wait_until("the first", |all| !all.is_empty()).await;
        test.upstream.recover().await;
        let bodies: [Value; 1] = [json!({ "marker": "second", "check_in_id": "1", "monitor_slug": "job" })];
        assert_eq!(post(TUNNEL, item("check_in", &bodies[0])).await, 200);
        test.upstream.wait_until_taken(&["second".to_owned()]).await;
        let (counts, _) = test.shut_down().await;
        assert_eq!((counts.delivered, counts.rejected), (1, 1));
    });
}
