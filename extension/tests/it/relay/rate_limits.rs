//! Tests rate limits: what is sent after upstream has announced them, and the client reports of what was not sent.

use super::delivery_test::{DeliveryTest, SECOND, markers};
use crate::support::{
    envelope,
    netns::isolated,
    scripted_upstream::{Arrival, Behavior, ScriptedUpstream},
    sdk::{self, SdkConnection, TUNNEL, post, report},
};
use hyper::{StatusCode, body::Bytes};
use serde_json::Value;
use std::collections::BTreeMap;

/// A limit on sessions. Errors are not limited.
const SESSIONS: &str = "x-sentry-rate-limits: 60:session:key:quota\r\n";

/// The losses of client reports: quantities by reason and category.
type Reported = BTreeMap<(String, String), u64>;

fn reported(upstream: &ScriptedUpstream) -> Reported {
    let mut sums = Reported::new();
    // A report that was refused is sent again.
    for arrival in upstream.arrivals().into_iter().filter(|arrival| arrival.answered == Some(200)) {
        let Some(report) = client_report(&arrival) else { continue };
        for discarded in report["discarded_events"].as_array().unwrap() {
            let text = |name: &str| discarded[name].as_str().unwrap().to_owned();
            let quantity = discarded["quantity"].as_u64().unwrap();
            *sums.entry((text("reason"), text("category"))).or_default() += quantity;
        }
    }
    sums
}

fn client_report(arrival: &Arrival) -> Option<Value> {
    let envelope = envelope::parse(&Bytes::from(arrival.body.clone())).unwrap();
    envelope.item("client_report").map(envelope::Item::json)
}

fn losses(list: &[(&str, &str, u64)]) -> Reported {
    list.iter().map(|(reason, category, n)| (((*reason).to_owned(), (*category).to_owned()), *n)).collect()
}

/// Returns the types of the items that arrived with this marker.
fn arrived(upstream: &ScriptedUpstream, marker: &str) -> Vec<String> {
    let all = upstream.arrivals();
    let one = all.iter().find(|arrival| arrival.marker == marker).expect("it has not arrived");
    let envelope = envelope::parse(&Bytes::from(one.body.clone())).unwrap();
    envelope.items.iter().map(|item| item.kind().to_owned()).collect()
}

/// Starts with an upstream that announces a limit by this behavior, and then behaves well again.
async fn limited(behavior: Behavior) -> DeliveryTest {
    let test = DeliveryTest::start(&[]).await;
    test.upstream.behave(behavior).await;
    test.reports(&["limiting".to_owned()]).await;
    test.log().wait_for("\"answer\":\"").await;
    test.upstream.recover().await;
    test
}

/// Posts an error and two sessions, and checks that the response tells the SDK the limit and how long it lasts.
async fn mixed(marker: &str) -> StatusCode {
    let body = sdk::envelope(marker, &["event", "session", "session"]);
    let (status, headers) = SdkConnection::open(TUNNEL).await.post_with_headers(body).await;
    assert_eq!(headers.contains_key("retry-after"), status == 429);
    if status == 429 {
        let seconds: u64 = headers["retry-after"].to_str().unwrap().parse().unwrap();
        assert!((1..=60).contains(&seconds), "{headers:?}");
        let limits = headers["x-sentry-rate-limits"].to_str().unwrap();
        assert!(limits.starts_with(&format!("{seconds}:")), "{headers:?}");
    }
    status
}

#[test]
fn limited_items_are_removed_and_the_rest_arrives() {
    for (status, rejected) in [(429, 1), (200, 0)] {
        isolated(move || async move {
            let test = limited(Behavior::Answer(status, SESSIONS)).await;
            assert_eq!(mixed("mixed").await, 429);
            test.upstream.wait_until_taken(&["mixed".to_owned()]).await;
            assert_eq!(arrived(&test.upstream, "mixed"), ["event"]);
            // The report is sent right after a delivery. It needs no further envelope and does not wait for SHUTDOWN.
            let told = |all: &[Arrival]| all.iter().any(|one| client_report(one).is_some());
            test.upstream.wait_until("the client report", told).await;
            let all = test.upstream.arrivals();
            let of_report = all.iter().find(|one| client_report(one).is_some()).unwrap();
            assert!(of_report.path.starts_with("/api/42/envelope/"), "{}", of_report.path);
            assert!(of_report.head.contains(sdk::KEY), "{}", of_report.head);
            assert_eq!(test.upstream.connections(), 1, "the report took the connection that was there");
            // This envelope has no limited item, so it is sent without changes.
            let plain = sdk::envelope("plain", &["event", "log"]);
            let (status, headers) = SdkConnection::open(TUNNEL).await.post_with_headers(plain.clone()).await;
            // SDKs read the limits of every response, and would take Retry-After on a 200 as a limit on everything.
            assert_eq!((status.as_u16(), headers.get("retry-after")), (200, None));
            let limits = headers["x-sentry-rate-limits"].to_str().unwrap();
            assert!(limits.ends_with(":session:key:quota"), "{limits}");
            test.upstream.wait_until_taken(&["plain".to_owned()]).await;
            let bodies = test.upstream.arrivals();
            let body = &bodies.iter().find(|one| one.marker == "plain").unwrap().body;
            assert_eq!(*body, plain.into_bytes());
            let (counts, upstream) = test.shut_down().await;
            assert_eq!((counts.accepted, counts.rejected, counts.dropped), (3, rejected, 0));
            assert_eq!(reported(&upstream), losses(&[("ratelimit_backoff", "session", 2)]));
        });
    }
}

#[test]
fn envelopes_limited_on_arrival_are_reported_over_the_idle_connection() {
    isolated(|| async {
        let test = limited(Behavior::Answer(429, "x-sentry-rate-limits: 60::organization\r\n")).await;
        assert_eq!(mixed("limited").await, 429);
        // Nothing is delivered any more. The report does not wait for a delivery or for the end.
        let told = |all: &[Arrival]| all.iter().any(|one| client_report(one).is_some());
        test.upstream.wait_until("the client report", told).await;
        assert_eq!(test.upstream.connections(), 1, "no connection was opened for the report");
        assert_eq!(test.api.asked_so_far(), 1);
        let (counts, upstream) = test.shut_down().await;
        assert_eq!((counts.accepted, counts.rejected, counts.dropped), (1, 1, 0));
        let expected = [("ratelimit_backoff", "error", 1), ("ratelimit_backoff", "session", 2)];
        assert_eq!(reported(&upstream), losses(&expected));
    });
}

#[test]
fn fully_limited_envelopes_are_reported_at_the_end_with_quantities() {
    isolated(|| async {
        let limits = "x-sentry-rate-limits: 60:transaction;log_item;attachment:key\r\n";
        let test = limited(Behavior::Answer(429, limits)).await;
        let log = "{\"items\":[{\"body\":\"one\"},{\"body\":\"two\"},{\"body\":\"three\"}]}";
        let body = format!(
            "{{}}\n{{\"type\":\"log\",\"item_count\":3,\"length\":{}}}\n{log}\n\
             {{\"type\":\"attachment\",\"length\":5}}\n12345\n{{\"type\":\"transaction\"}}\n{{}}\n",
            log.len()
        );
        assert_eq!(post(TUNNEL, body).await, 429);
        // Nothing is delivered any more, so the report can be sent only at SHUTDOWN.
        let (counts, upstream) = test.shut_down().await;
        assert_eq!((counts.accepted, counts.rejected, upstream.arrivals().len()), (1, 1, 2));
        let expected = losses(&[
            ("ratelimit_backoff", "attachment", 5),
            ("ratelimit_backoff", "attachment_item", 1),
            ("ratelimit_backoff", "log_byte", log.len() as u64),
            ("ratelimit_backoff", "log_item", 3),
            ("ratelimit_backoff", "span", 1),
            ("ratelimit_backoff", "transaction", 1),
        ]);
        assert_eq!(reported(&upstream), expected);
    });
}

#[test]
fn limits_expire() {
    isolated(|| async {
        let test = limited(Behavior::Answer(429, "x-sentry-rate-limits: 10:session:key\r\n")).await;
        assert_eq!(mixed("early").await, 429);
        test.upstream.wait_until_taken(&["early".to_owned()]).await;
        assert_eq!(arrived(&test.upstream, "early"), ["event"]);
        tokio::time::sleep(10 * SECOND).await;
        assert_eq!(mixed("late").await, 200);
        test.upstream.wait_until_taken(&["late".to_owned()]).await;
        assert_eq!(arrived(&test.upstream, "late"), ["event", "session", "session"]);
        test.shut_down().await;
    });
}

#[test]
fn a_429_with_retry_after_alone_limits_everything_of_the_key() {
    isolated(|| async {
        let test = limited(Behavior::Answer(429, "retry-after: 10\r\n")).await;
        assert_eq!(mixed("early").await, 429);
        tokio::time::sleep(10 * SECOND).await;
        assert_eq!(mixed("late").await, 200);
        test.upstream.wait_until_taken(&["late".to_owned()]).await;
        let (_, upstream) = test.shut_down().await;
        assert!(!upstream.fates().contains_key("early"), "{:?}", upstream.fates());
        let expected = [("ratelimit_backoff", "error", 1), ("ratelimit_backoff", "session", 2)];
        assert_eq!(reported(&upstream), losses(&expected));
    });
}

#[test]
fn queued_envelopes_are_dropped_and_counted_when_a_limit_is_announced() {
    isolated(|| async {
        let test = DeliveryTest::start(&[]).await;
        test.upstream.behave(Behavior::Slow(SECOND)).await;
        // The first four are in flight when the first response arrives.
        let sent = markers("waiting", 12);
        for marker in &sent {
            assert_eq!(post(TUNNEL, sdk::envelope(marker, &["session"])).await, 200);
        }
        test.upstream.wait_until("four", |all| all.len() >= 4).await;
        test.upstream.behave(Behavior::Answer(429, SESSIONS)).await;
        test.log().wait_for("\"answer\":\"429\"").await;
        test.upstream.recover().await;
        assert_eq!(report(TUNNEL, "after").await, 200);
        let log = test.log();
        let (counts, upstream) = test.shut_down().await;
        assert_eq!(counts.accepted, 13);
        // Envelopes that were in flight when the first was refused may be refused too. The rest is not sent. For this
        // backlog and this answer time, up to six are in flight.
        assert!((1..=6).contains(&counts.rejected) && counts.dropped >= 1, "{counts:?}");
        assert_eq!(upstream.fates().len() as u64, counts.delivered + counts.rejected + 1, "and a report");
        assert!(log.contains(&format!("ratelimit_backoff={}", counts.dropped)), "{}", log.text());
        assert_eq!(reported(&upstream), losses(&[("ratelimit_backoff", "session", counts.dropped)]));
    });
}

#[test]
fn a_full_queue_drops_the_lowest_priority_and_reports_it() {
    isolated(|| async {
        // An envelope takes about 6 KiB, so about twenty fit.
        let test = DeliveryTest::start(&[("SENTRY_EXTENSION_BUFFER", "120KiB")]).await;
        test.upstream.behave(Behavior::Refuse).await;
        let filling = "x".repeat(2000);
        for n in 0..30 {
            let payload = format!("{{\"marker\":\"profile-{n}\",\"filling\":\"{filling}\"}}");
            let body =
                format!("{{}}\n{{\"type\":\"profile_chunk\",\"length\":{}}}\n{payload}\n", payload.len());
            assert_eq!(post(TUNNEL, body).await, 200);
        }
        let errors = markers("error", 15);
        test.reports(&errors).await;
        test.upstream.recover().await;
        test.upstream.wait_until_taken(&errors).await;
        let (counts, upstream) = test.shut_down().await;
        let fates = upstream.fates();
        let profiles = fates.keys().filter(|marker| marker.starts_with("profile-")).count() as u64;
        assert_eq!(counts.accepted, 45);
        assert_eq!(counts.delivered, 15 + profiles);
        assert_eq!(counts.dropped, 30 - profiles);
        assert!((1..=8).contains(&profiles), "{profiles} profiles");
        // The errors evicted the oldest profiles that fitted, and the last profiles were never queued: the rest is a
        // row without a gap. Profiles that were just being sent cannot be evicted, which may be as many as are in
        // flight.
        let numbers = fates.keys().filter_map(|marker| marker.strip_prefix("profile-"));
        let mut numbers: Vec<u64> = numbers.map(|number| number.parse().unwrap()).collect();
        numbers.sort_unstable();
        let gaps = numbers.windows(2).rposition(|pair| pair[1] != pair[0] + 1).map_or(0, |last| last + 1);
        assert!(gaps <= 4 && numbers.last().is_some_and(|last| (14..29).contains(last)), "{numbers:?}");
        assert_eq!(reported(&upstream), losses(&[("queue_overflow", "profile_chunk", counts.dropped)]));
    });
}
