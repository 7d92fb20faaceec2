//! Attacks the client to upstream with responses.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::missing_panics_doc,
    missing_docs
)]

use super::connect::Connection;
use super::reply::{read_head, read_to_end};
use super::upload::{Upload, send_over};
use crate::fuzzing::harness::{MemoryStream, run};
use crate::guarded_stream::GuardedStream;
use crate::http::handshake;
use crate::relay::verdict::{Verdict, describe, judge};
use bytes::Bytes;
use http_body_util::Full;
use hyper::Request;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

/// A response of any kind gives one verdict, and a request counts as unanswered only if it has no response.
pub fn upstream_answer(data: &[u8]) {
    run(async {
        let meter = Arc::default();
        let stream = GuardedStream::new(MemoryStream::server(data), Arc::clone(&meter));
        let Ok(sender) = handshake(Box::new(stream)).await else { return };
        let body = Bytes::from_static(b"{}\n");
        let (upload, unanswered) = (Upload::of(&body), AtomicU8::new(0));
        let request = Request::post("/api/1/envelope/").body(Full::new(body)).unwrap();
        let answer = send_over(Connection { sender, meter }, request, &upload, &unanswered).await;
        let count = unanswered.load(Ordering::Relaxed);
        let Ok((response, _connection)) = answer else { return assert!(count <= 1) };
        assert_eq!(count, 0);
        let reply = read_head(&response);
        assert!(reply.sentry_error.as_ref().is_none_or(|text| text.chars().count() <= 200));
        let _ = read_to_end(response).await;
        let reply = Ok(reply);
        if judge(&reply) == Verdict::Delivered {
            assert!(matches!(&reply, Ok(reply) if reply.status / 100 == 2));
        }
        assert!(!describe(&reply).is_empty());
    });
}
