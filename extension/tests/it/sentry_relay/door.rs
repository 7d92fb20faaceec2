//! Tests the door, which is the upstream of Sentry's Relay, from the place of Sentry's Relay.

use super::start_with;
use crate::flush::report;
use crate::gateway::recorder::Recorder;
use crate::support::{http, layer::Layer, netns::isolated};
use hyper::{HeaderMap, Method};
use std::{net::SocketAddr, time::Duration};

/// Returns the address that the first start of Sentry's Relay was told of.
async fn door(layer: &Layer) -> SocketAddr {
    let started = layer.event("started", 1).await;
    let mut words = started["arguments"].as_array().unwrap().iter().map(|word| word.as_str().unwrap());
    let upstream = words.find_map(|word| word.strip_prefix("--upstream=http://")).unwrap();
    upstream.trim_end_matches('/').parse().unwrap()
}

#[test]
fn headers_of_the_settings_go_to_sentry_and_not_to_relay() {
    isolated(|| async {
        let recorder = Recorder::start().await;
        let settings = [
            ("SENTRY_EXTENSION_HEADERS", "Authorization: Basic c2VjcmV0; X-Gate: 1"),
            ("SENTRY_EXTENSION_UPSTREAM", &*recorder.url),
        ];
        let (mut environment, layer) = start_with("continuous", &["ok"], Duration::ZERO, &settings).await;
        environment.run().await;
        report("one").await;
        let has_gate = |headers: &HeaderMap| headers.contains_key("authorization") && headers["x-gate"] == "1";
        assert!(has_gate(&recorder.arrived(1).await.headers));
        let names = layer.event("post", 1).await["headers"].to_string().to_ascii_lowercase();
        assert!(!names.contains("\"authorization\"") && !names.contains("\"x-gate\""), "{names}");
        let path = "/api/0/relays/publickeys/";
        let (status, _) = http::request(door(&layer).await, Method::POST, path, &[], "{}").await.unwrap();
        assert_eq!(status, 200);
        assert!(has_gate(&recorder.arrived(2).await.headers));
        environment.finish([1, 1, 0, 0]).await;
    });
}
