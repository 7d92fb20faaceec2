//! A burst of envelopes right before the end of the environment: how many of them still arrive.

use super::bench::{Bench, Books};
use crate::support::{
    hostile::Manner,
    netns::isolated,
    sdk::{Kept, TUNNEL, error_of},
};
use std::time::Duration;
use tokio::task::JoinSet;

const EVENTS: usize = 1000;

/// An invocation with a thousand small events, right before SHUTDOWN, with an upstream that answers after this time.
async fn burst(answers_after: Duration) -> Books {
    let bench = Bench::start(&[("SENTRY_EXTENSION_LOG", "info")]).await;
    bench.upstream.behave(Manner::Slow(answers_after)).await;
    send_all(&bench).await;
    let arrived = bench.upstream.arrivals().len();
    let (books, upstream) = bench.shut_down().await;
    eprintln!(
        "{EVENTS} events at {answers_after:?}: {} delivered, {} dropped, {arrived} arrived before SHUTDOWN, {} connections",
        books.delivered,
        books.dropped,
        upstream.connections()
    );
    books
}

/// An invocation with all the events.
async fn send_all(bench: &Bench) {
    bench.api.invoke();
    let mut senders = JoinSet::new();
    for sender in 0..4 {
        senders.spawn(async move {
            let mut connection = Kept::open(TUNNEL).await;
            for n in 0..EVENTS / 4 {
                assert_eq!(connection.post(error_of(&format!("burst-{sender}-{n}"), 1000)).await, 200);
            }
        });
    }
    while let Some(sent) = senders.join_next().await {
        sent.unwrap();
    }
    bench.api.asked(2).await;
}

#[test]
fn a_burst_at_the_end_is_sent_over_a_hundred_connections() {
    isolated(|| async {
        let bench = Bench::start(&[("SENTRY_EXTENSION_LOG", "info")]).await;
        bench.upstream.behave(Manner::Stall).await;
        send_all(&bench).await;
        bench.api.shutdown("spindown", Duration::from_secs(3));
        // None of these is answered, so all are in flight at the same time.
        bench.upstream.until("a hundred requests", |all| all.len() >= 100).await;
        bench.upstream.heal().await;
        assert_eq!(bench.extension.books().await[0], EVENTS as u64);
    });
}

#[test]
#[ignore = "how much is delivered in two seconds depends on what else the machine does"]
fn a_burst_at_50_ms_is_delivered_whole() {
    isolated(|| async {
        let books = burst(Duration::from_millis(50)).await;
        assert_eq!((books.accepted, books.delivered, books.dropped), (1000, 1000, 0));
    });
}

#[test]
#[ignore = "how much is delivered in two seconds depends on what else the machine does"]
fn a_burst_at_150_ms_loses_a_tenth_at_most() {
    isolated(|| async {
        let books = burst(Duration::from_millis(150)).await;
        assert!(books.delivered >= 900, "{books:?}");
    });
}

#[test]
fn an_upstream_with_little_to_send_gets_few_connections() {
    isolated(|| async {
        let mut bench = Bench::start(&[]).await;
        bench.upstream.behave(Manner::Slow(Duration::from_millis(20))).await;
        let sent = super::bench::markers("few", 12);
        bench.invoke(&sent).await;
        bench.upstream.takes(&sent).await;
        assert!(bench.upstream.connections() <= 6, "{} connections", bench.upstream.connections());
        bench.shut_down().await;
    });
}
