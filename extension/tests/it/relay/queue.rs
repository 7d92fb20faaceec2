//! Tests a full queue. It evicts only envelopes of a lower priority than the newcomer, and only if the newcomer then
//! fits.

use super::delivery_test::{DeliveryTest, FinalCounts, markers};
use crate::support::{
    netns::isolated,
    scripted_upstream::Behavior,
    sdk::{TUNNEL, envelope, error_of, post},
};

const MIB: usize = 1 << 20;

/// Makes an envelope with an event and an attachment of this number of bytes.
fn with_attachment(marker: &str, bytes: usize) -> String {
    let event = envelope(marker, &["event"]);
    format!("{event}{{\"type\":\"attachment\",\"length\":{bytes}}}\n{}\n", "x".repeat(bytes))
}

#[test]
fn an_envelope_that_does_not_fit_evicts_nothing() {
    isolated(|| async {
        let test = DeliveryTest::start(&[("SENTRY_EXTENSION_BUFFER", "4MiB")]).await;
        test.upstream.behave(Behavior::Answer(503, "")).await;
        let waiting = markers("waiting", 6);
        for marker in &waiting {
            assert_eq!(post(TUNNEL, error_of(marker, 100_000)).await, 200);
        }
        // The gateway accepts it, because it would fit into an empty queue.
        assert_eq!(post(TUNNEL, with_attachment("too large", 4 * MIB - 100_000)).await, 200);
        test.upstream.recover().await;
        test.upstream.wait_until_taken(&waiting).await;
        let log = test.log();
        let (counts, _) = test.shut_down().await;
        assert_eq!(counts, FinalCounts { accepted: 7, delivered: 6, rejected: 0, dropped: 1, unanswered: 0 });
        assert!(log.contains("queue_overflow=1"), "{}", log.text());
    });
}

#[test]
fn a_full_queue_keeps_the_errors_that_came_first() {
    isolated(|| async {
        let test = DeliveryTest::start(&[("SENTRY_EXTENSION_BUFFER", "4MiB")]).await;
        test.upstream.behave(Behavior::Answer(503, "")).await;
        let sent = markers("error", 6);
        for marker in &sent {
            assert_eq!(post(TUNNEL, error_of(marker, 800_000)).await, 200);
        }
        test.upstream.recover().await;
        // Five events of 800 KB fit into 4 MiB.
        test.upstream.wait_until_taken(&sent[..5]).await;
        let (counts, _) = test.shut_down().await;
        assert_eq!(counts, FinalCounts { accepted: 6, delivered: 5, rejected: 0, dropped: 1, unanswered: 0 });
    });
}
