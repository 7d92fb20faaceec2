//! Large and many envelopes through the real Sentry's Relay.

use super::start;
use crate::relay::delivery_test::markers;
use crate::support::{
    netns::isolated,
    sdk::{TUNNEL, attachment_of, error_of, post},
};

#[test]
fn two_hundred_kilobytes_and_fifteen_megabytes() {
    isolated(|| async {
        let memory = ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "1024");
        let (mut test, _layer) = start(&[memory, ("SENTRY_EXTENSION_FLUSH", "end")]).await;
        test.api.invoke();
        assert_eq!(post(TUNNEL, error_of("middle", 200 << 10)).await, 200);
        assert_eq!(post(TUNNEL, attachment_of("large", 15 << 20)).await, 200);
        test.upstream.wait_until_taken(&["middle".to_owned(), "large".to_owned()]).await;
        test.invoke(&[]).await;
        let (counts, upstream) = test.shut_down().await;
        assert_eq!((counts.accepted, counts.delivered, upstream.arrivals().len()), (2, 2, 2));
        let large = upstream.arrivals().into_iter().find(|one| one.marker == "large").unwrap();
        assert!(large.body.len() > 15 << 20, "{}", large.body.len());
    });
}

#[test]
fn a_burst_arrives_completely_and_once() {
    isolated(|| async {
        let (mut test, _layer) = start(&[("SENTRY_EXTENSION_FLUSH", "end")]).await;
        let sent = markers("burst", 300);
        test.invoke(&sent).await;
        test.upstream.wait_until_taken(&sent).await;
        let (counts, upstream) = test.shut_down().await;
        assert_eq!((counts.accepted, counts.delivered, upstream.arrivals().len()), (300, 300, 300));
    });
}
