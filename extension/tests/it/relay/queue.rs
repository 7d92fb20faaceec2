//! What a full queue costs: only what is worth less than the newcomer, and only where the newcomer then fits.

use super::bench::{Bench, Books, markers};
use crate::support::{
    hostile::Manner,
    netns::isolated,
    sdk::{TUNNEL, envelope, error_of, post},
};

const MIB: usize = 1 << 20;

/// An event and an attachment of so many bytes.
fn with_attachment(marker: &str, bytes: usize) -> String {
    let event = envelope(marker, &["event"]);
    format!("{event}{{\"type\":\"attachment\",\"length\":{bytes}}}\n{}\n", "x".repeat(bytes))
}

#[test]
fn an_envelope_that_does_not_fit_evicts_nothing() {
    isolated(|| async {
        let bench = Bench::start(&[("SENTRY_EXTENSION_BUFFER", "4MiB")]).await;
        bench.upstream.behave(Manner::Answer(503, "")).await;
        let waiting = markers("waiting", 6);
        for marker in &waiting {
            assert_eq!(post(TUNNEL, error_of(marker, 100_000)).await, 200);
        }
        // The gateway takes it, as its body is smaller than the buffer; with what is held beside the body it is larger.
        assert_eq!(post(TUNNEL, with_attachment("too large", 4 * MIB - 700)).await, 200);
        bench.upstream.heal().await;
        bench.upstream.takes(&waiting).await;
        let log = bench.log();
        let (books, _) = bench.shut_down().await;
        assert_eq!(books, Books { accepted: 7, delivered: 6, rejected: 0, dropped: 1, unanswered: 0 });
        assert!(log.contains("queue_overflow=1"), "{}", log.text());
    });
}

#[test]
fn a_full_queue_keeps_the_errors_that_came_first() {
    isolated(|| async {
        let bench = Bench::start(&[("SENTRY_EXTENSION_BUFFER", "4MiB")]).await;
        bench.upstream.behave(Manner::Answer(503, "")).await;
        let sent = markers("error", 6);
        for marker in &sent {
            assert_eq!(post(TUNNEL, error_of(marker, 800_000)).await, 200);
        }
        bench.upstream.heal().await;
        // Five of 800 KB fit into 4 MiB.
        bench.upstream.takes(&sent[..5]).await;
        let (books, _) = bench.shut_down().await;
        assert_eq!(books, Books { accepted: 6, delivered: 5, rejected: 0, dropped: 1, unanswered: 0 });
    });
}
