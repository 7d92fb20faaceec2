//! Attacks the gateway with requests, and its parsers with their parts.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::missing_panics_doc,
    missing_docs
)]

pub use super::ingest::fuzzing::{msgpack, multipart};

use super::request::Peer;
use super::{Api, Services, auth, handle};
use crate::config::{Config, Overrides};
use crate::fuzzing::harness::{MemoryStream, run};
use crate::http;
use crate::relay::Relay;
use crate::relay::fuzzing::counts_balance;
use hyper::HeaderMap;
use hyper::header::HeaderValue;
use std::sync::Arc;

/// A client's bytes are answered with HTTP, and every envelope that they contain is counted.
pub fn http_request(data: &[u8]) {
    // Nobody listens on this port. Everything goes there, so no input can name another host.
    let variable = |name: &str| match name {
        "SENTRY_EXTENSION_UPSTREAM" => Some("http://127.0.0.1:1".to_owned()),
        "SENTRY_EXTENSION_BUFFER" => Some("256KiB".to_owned()),
        _ => None,
    };
    let config = Arc::new(Config::read(variable, Overrides::default()).0);
    run(async {
        let relay = Relay::start(&config);
        let stream = MemoryStream::client(data);
        let received = stream.received();
        let services = Services { api: Api::Sentry, config, relay: relay.clone(), insights: None };
        let peer = Peer { remote: None, is_on_loopback: true };
        let handler = move |request| -> http::ResponseFuture {
            let services = services.clone();
            Box::pin(async move { handle(request, peer, &services).await })
        };
        // A request that is no HTTP is an error here.
        let _ = http::serve(Box::new(stream), Box::new(handler)).await;
        let received = received.lock().unwrap();
        let mut responses = 0;
        for response in received.split(|b| *b == b'\n').filter(|line| line.starts_with(b"HTTP/1.")) {
            responses += 1;
            let status = std::str::from_utf8(&response[9..12]).unwrap();
            assert!(!matches!(status, "500" | "501" | "505"), "{status}");
        }
        assert!(received.is_empty() || received.starts_with(b"HTTP/1."));
        let ledger = relay.ledger();
        assert!(counts_balance(&relay), "{ledger:?}");
        assert!(ledger.accepted <= responses, "an envelope was accepted without an answer");
    });
}

/// What authenticates a request can be sent in a header, and means the same there. The lines of the input are the
/// header of Sentry, `Authorization`, the query and the key in the path.
pub fn auth(data: &[u8]) {
    let mut parts = data.splitn(4, |b| *b == b'\n');
    let mut part = || parts.next().filter(|part| !part.is_empty());
    let mut headers = HeaderMap::new();
    for name in ["x-sentry-auth", "authorization"] {
        if let Some(value) = part().and_then(|value| HeaderValue::from_bytes(value).ok()) {
            headers.insert(name, value);
        }
    }
    let text = |part: Option<&[u8]>| part.map(|part| String::from_utf8_lossy(part).into_owned());
    let (query, key) = (text(part()), text(part()));
    let Ok(Some(found)) = auth::find(&headers, query.as_deref(), key.as_deref()) else { return };
    let header = HeaderValue::try_from(found.header()).expect("it is a header's value");
    let sent = HeaderMap::from_iter([(hyper::header::HeaderName::from_static("x-sentry-auth"), header)]);
    assert_eq!(auth::find(&sent, None, None), Ok(Some(found)));
}
