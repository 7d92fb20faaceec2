//! Tests the door, which is the upstream of Sentry's Relay, from the place of Sentry's Relay.

use super::{start, start_with};
use crate::flush::{is_event_with, report};
use crate::gateway::recorder::Recorder;
use crate::support::{HANG, http, layer::Layer, netns::isolated, sentry::Reply};
use hyper::{HeaderMap, Method};
use std::{net::SocketAddr, time::Duration};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    task::JoinSet,
    time::timeout,
};

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
        let has_gate =
            |headers: &HeaderMap| headers.contains_key("authorization") && headers["x-gate"] == "1";
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

#[test]
fn nothing_but_what_relay_asks_of_sentry_is_forwarded() {
    isolated(|| async {
        let (mut environment, layer) = start("continuous", &["ok"], Duration::ZERO).await;
        environment.sentry.answer_api(|_, _| Reply::ok());
        environment.run().await;
        let door = door(&layer).await;
        for (path, expected) in [
            ("/api/0/relays/publickeys/", 200),
            ("/api/0/relays/projectconfigs/?version=3", 200),
            ("/api/0/relays/live/", 200),
            ("/api/0/organizations/", 404),
            ("/api/0/relays/../organizations/", 404),
            ("/api/0/relays/%2e%2e/organizations/", 404),
            ("/api/0/../42/envelope/", 404),
            ("/api/42/upload/", 404),
        ] {
            let (status, _) = http::request(door, Method::POST, path, &[], "{}").await.unwrap();
            assert_eq!(status, expected, "{path}");
        }
        assert!(environment.sentry.violations().is_empty(), "{:?}", environment.sentry.violations());
        environment.finish([0; 4]).await;
    });
}

#[test]
fn its_connections_are_bounded() {
    isolated(|| async {
        let (mut environment, layer) = start("continuous", &["ok"], Duration::ZERO).await;
        environment.run().await;
        let door = door(&layer).await;
        let mut idle = JoinSet::new();
        for _ in 0..100 {
            let mut stream = TcpStream::connect(door).await.unwrap();
            idle.spawn(async move { stream.read_u8().await });
        }
        for _ in 0..50 {
            let closed = timeout(HANG, idle.join_next()).await.expect("none is closed");
            assert!(closed.unwrap().unwrap().is_err());
        }
        report("one").await;
        environment.sentry.wait_for("the envelope", is_event_with("one")).await;
        environment.finish([1, 1, 0, 0]).await;
    });
}

#[test]
fn bodies_that_stall_give_their_places_up() {
    isolated(|| async {
        let (mut environment, layer) = start("continuous", &["ok"], Duration::ZERO).await;
        environment.run().await;
        let door = door(&layer).await;
        let mut stalled = JoinSet::new();
        for _ in 0..40 {
            let mut stream = TcpStream::connect(door).await.unwrap();
            let begun = b"POST /api/42/envelope/ HTTP/1.1\r\nhost: door\r\ncontent-length: 9\r\n\r\n{";
            stream.write_all(begun).await.unwrap();
            stalled.spawn(async move {
                let mut answer = String::new();
                stream.read_to_string(&mut answer).await.map(|_| answer)
            });
        }
        report("one").await;
        environment.sentry.wait_for("the envelope", is_event_with("one")).await;
        let answer = timeout(HANG, stalled.join_next()).await.expect("all may stall for ever");
        let answer = answer.unwrap().unwrap().unwrap();
        assert!(answer.starts_with("HTTP/1.1 400 ") && answer.contains("too slow"), "{answer}");
        environment.finish([1, 1, 0, 0]).await;
    });
}

#[test]
fn bodies_share_a_bound() {
    isolated(|| async {
        // An envelope may grow by 4 MiB in Sentry's Relay, so there is room for one and a half of these.
        let settings = [("SENTRY_EXTENSION_MAX_BODY", "1MiB")];
        let (mut environment, layer) = start_with("continuous", &["ok"], Duration::ZERO, &settings).await;
        environment.run().await;
        let door = door(&layer).await;
        let mut stalled = JoinSet::new();
        for _ in 0..4 {
            let mut stream = TcpStream::connect(door).await.unwrap();
            stalled.spawn(async move {
                let head = "POST /api/42/envelope/ HTTP/1.1\r\nhost: door\r\ncontent-length: 4000000\r\n\r\n";
                stream.write_all(head.as_bytes()).await?;
                stream.write_all(&vec![b'x'; 3_000_000]).await?;
                let mut answer = String::new();
                stream.read_to_string(&mut answer).await.map(|_| answer)
            });
        }
        let ended = timeout(HANG, stalled.join_next()).await.expect("all may stall for minutes");
        // The answer may be lost with the connection, because not everything was read.
        assert!(ended.unwrap().unwrap().map_or(true, |answer| answer.starts_with("HTTP/1.1 400 ")));
        report("one").await;
        environment.sentry.wait_for("the envelope", is_event_with("one")).await;
        environment.finish([1, 1, 0, 0]).await;
    });
}
