//! Envelopes that waited, by a clock that jumps: single changes of the state, and the whole way to an upstream.

use super::*;
use crate::config::{Config, Overrides, Upstream};
use crate::protocol::{Encoding, Item, ItemKind, timestamp};
use crate::relay::clock::{self, testing};
use crate::relay::envelope::sample;
use crate::relay::{DropReason, Relay};
use bytes::Bytes;
use hyper::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderValue};
use std::io::Write as _;
use std::time::Instant;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

const PAYLOAD: &str = "{\"type\":\"event\"}\n{\"timestamp\":1795600803.421}\n";

fn body(sent_at: SystemTime) -> String {
    format!("{{\"sent_at\":\"{}\"}}\n{PAYLOAD}", timestamp::format(sent_at))
}

fn plain(sent_at: SystemTime) -> Envelope {
    Envelope { body: body(sent_at).into(), ..sample(ItemKind::Event, 0) }
}

fn gzipped(text: &str) -> Bytes {
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(text.as_bytes()).unwrap();
    gzip.finish().unwrap().into()
}

fn compressed(text: &str) -> Envelope {
    let headers = vec![
        (CONTENT_ENCODING, HeaderValue::from_static("gzip")),
        (CONTENT_TYPE, HeaderValue::from_static("application/x-sentry-envelope")),
    ];
    let (headers, encoding, body) = (headers.into(), Encoding::Gzip, gzipped(text));
    Envelope { headers, encoding, body, ..sample(ItemKind::Event, 0) }
}

/// Accepts a request, and returns its head and body. It is answered with 200, and the connection is closed.
async fn received(listener: &TcpListener) -> (String, Vec<u8>) {
    loop {
        let (mut stream, _) = listener.accept().await.unwrap();
        // A connection may be given up before a request is sent.
        let Some(request) = read_request(&mut stream).await else { continue };
        let response = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
        stream.write_all(response).await.unwrap();
        return request;
    }
}

async fn read_request(stream: &mut TcpStream) -> Option<(String, Vec<u8>)> {
    let mut read = Vec::new();
    loop {
        let mut block = [0; 4096];
        let length = stream.read(&mut block).await.unwrap();
        if length == 0 {
            assert!(read.is_empty(), "the request broke off");
            return None;
        }
        read.extend_from_slice(&block[..length]);
        let Some(end) = read.windows(4).position(|bytes| bytes == b"\r\n\r\n") else { continue };
        let head = String::from_utf8(read[..end].to_vec()).unwrap().to_ascii_lowercase();
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
        if read.len() == end + 4 + length.parse::<usize>().unwrap() {
            return Some((head, read.split_off(end + 4)));
        }
    }
}

/// A relay, a listener for it, and the upstream that leads there.
async fn relay() -> (Relay, TcpListener, Arc<Upstream>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let upstream = Upstream::parse(&format!("http://{}", listener.local_addr().unwrap())).unwrap();
    let (config, _) = Config::read(|_| None, Overrides::default());
    (Relay::start(&config), listener, Arc::new(upstream))
}

#[tokio::test]
async fn envelopes_that_waited_through_a_freeze_leave_with_a_fresh_sent_at() {
    let (relay, listener, upstream) = relay().await;
    let sent_at = timestamp::parse("2026-11-25T10:00:03.421Z").unwrap();
    let hour = Duration::from_hours(1);
    for envelope in [plain(sent_at), compressed(&body(sent_at))] {
        // The pump has not run yet, so the freeze comes between the SDK's request and the delivery.
        let accepted = clock::now();
        let _ = relay.accept(Envelope { upstream: Arc::clone(&upstream), ..envelope });
        testing::jump(hour);
        let (head, body) = received(&listener).await;
        let passed = clock::now().duration_since(accepted).unwrap();
        let text = String::from_utf8(body).unwrap();
        let (header, payload) = text.split_once('\n').unwrap();
        let moved = header.strip_prefix("{\"sent_at\":\"").unwrap().strip_suffix("\"}").unwrap();
        let moved = timestamp::parse(moved).unwrap().duration_since(sent_at).unwrap();
        assert!((hour..=passed).contains(&moved), "{moved:?}");
        assert_eq!(payload, PAYLOAD, "the times in the event are the SDK's");
        assert!(!head.contains("content-encoding"), "{head}");
    }
}

#[tokio::test]
async fn envelopes_that_waited_for_less_stay_byte_for_byte() {
    let (relay, listener, upstream) = relay().await;
    let text = body(clock::now());
    for jump in [Duration::ZERO, Duration::from_mins(27)] {
        let _ = relay.accept(Envelope { upstream: Arc::clone(&upstream), ..compressed(&text) });
        testing::jump(jump);
        let (head, body) = received(&listener).await;
        assert_eq!(body, gzipped(&text), "{jump:?}");
        assert!(head.contains("content-encoding: gzip"), "{head}");
    }
}

#[tokio::test]
async fn a_connection_that_died_in_a_long_freeze_does_not_send_the_old_sent_at() {
    let (relay, listener, upstream) = relay().await;
    let (sent_at, hour) = (clock::now(), Duration::from_hours(1));
    let envelope = || Envelope { upstream: Arc::clone(&upstream), ..plain(sent_at) };
    let _ = relay.accept(envelope());
    let (mut stream, _) = listener.accept().await.unwrap();
    read_request(&mut stream).await.unwrap();
    stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await.unwrap();
    relay.settled().await;
    // The connection is reused, the freeze comes in mid-exchange, and the connection is dead afterwards.
    let _ = relay.accept(envelope());
    read_request(&mut stream).await.unwrap();
    testing::jump(hour);
    drop(stream);
    let (_, body) = received(&listener).await;
    assert!(!body.starts_with(self::body(sent_at).as_bytes()), "with the old sent_at");
    assert!(body.ends_with(PAYLOAD.as_bytes()));
}

fn state() -> State {
    State::new(1 << 20, 1 << 20)
}

fn taken_out(state: &mut State, now: SystemTime) -> Pending {
    state.check_out(Instant::now(), now, false).unwrap()
}

#[test]
fn sent_at_moves_once_for_each_wait() {
    let (mut state, now) = (state(), timestamp::parse("2026-11-25T10:00:00Z").unwrap());
    state.accept(plain(now), now);
    for wait in [LONG_WAIT, LONG_WAIT + Duration::from_secs(1), LONG_WAIT * 2] {
        let later = now + wait;
        let pending = taken_out(&mut state, later);
        let expected = if wait < LONG_WAIT * 2 { now + LONG_WAIT } else { later };
        assert_eq!(pending.envelope.body, body(expected), "{wait:?}");
        state.put_back(pending, DropReason::Network);
    }
    let pending = taken_out(&mut state, now - Duration::from_hours(9));
    assert_eq!(pending.envelope.body, body(now + LONG_WAIT * 2), "the clock was set back");
    state.check_in(&pending, |ledger| ledger.delivered += 1);
    assert!(!state.queue.resize(0, (2 << 20) + 1), "all bytes were released");
    assert!(state.queue.resize(0, 2 << 20));
}

#[test]
fn an_envelope_that_grows_too_much_leaves_as_it_is() {
    let mut state = State::new(1 << 20, 20 << 20);
    let now = timestamp::parse("2026-11-25T10:00:00Z").unwrap();
    let large = body(now) + &" ".repeat(3 << 20);
    state.accept(compressed(&large), now);
    let pending = taken_out(&mut state, now + LONG_WAIT);
    assert_eq!(pending.envelope.body, gzipped(&large));
    state.put_back(pending, DropReason::Network);
    assert_eq!(state.pending(), 1);
}

#[test]
fn rate_limits_and_a_long_wait_meet_in_one_envelope() {
    let (mut state, now) = (state(), timestamp::parse("2026-11-25T10:00:00Z").unwrap());
    let items = [ItemKind::Event, ItemKind::Attachment].map(|kind| Item { kind, count: 1, bytes: 2 });
    let text = |sent_at| body(sent_at).replace(PAYLOAD, "{\"type\":\"event\"}\n{}\n");
    let both = text(now) + "{\"type\":\"attachment\"}\nxx\n";
    state.accept(Envelope { items: items.into(), ..compressed(&both) }, now);
    let key = sample(ItemKind::Event, 0).key;
    state.limit(&key, "99999:attachment:key", now);
    let pending = taken_out(&mut state, now + LONG_WAIT);
    assert_eq!(pending.envelope.body, text(now + LONG_WAIT));
    assert_eq!(pending.envelope.items.len(), 1);
}

#[test]
fn requests_of_other_kinds_are_left_alone() {
    let (mut state, now) = (state(), timestamp::parse("2026-11-25T10:00:00Z").unwrap());
    state.accept(Envelope { path: "/api/42/otlp/v1/traces".to_owned(), ..plain(now) }, now);
    assert_eq!(taken_out(&mut state, now + LONG_WAIT).envelope.body, body(now));
}
