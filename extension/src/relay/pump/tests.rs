//! Tests of deliveries whose task panics, and of the time that a drain takes.

use super::*;
use crate::config::{Config, Overrides, Upstream};
use crate::protocol::ItemKind;
use crate::relay::envelope::{Envelope, sample};
use crate::relay::{DropReason, Ledger, Relay};
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

pub(super) const DELIVERY_PANICS: &str = "/delivery-panics";
pub(super) const PUMP_PANICS: &str = "/pump-panics";
const DELIVERY_ALWAYS_PANICS: &str = "/delivery-always-panics";

/// Panics if the envelope's path asks for it in this place. With `DELIVERY_ALWAYS_PANICS` it panics at each try,
/// with the other paths only at the first.
pub(super) fn panic_if_asked(outgoing: &Outgoing, place: &str) {
    static CALLS: [AtomicUsize; 2] = [const { AtomicUsize::new(0) }; 2];
    let Outgoing::Envelope(pending) = outgoing else { return };
    let path = &*pending.envelope.path;
    let calls = &CALLS[usize::from(place == PUMP_PANICS)];
    assert!(path != place || calls.fetch_add(1, Ordering::Relaxed) > 0, "the test asks for one panic");
    assert!(path != DELIVERY_ALWAYS_PANICS || place == PUMP_PANICS, "the test asks for a panic at each try");
}

/// Answers every request with 200 after 20 ms.
async fn upstream() -> Arc<Upstream> {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut request = [0; 4096];
                while stream.read(&mut request).await.is_ok_and(|read| read > 0) {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                    stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await.unwrap();
                }
            });
        }
    });
    Arc::new(Upstream::parse(&url).unwrap())
}

async fn deliver(paths: &[&str]) -> Ledger {
    let upstream = upstream().await;
    let (config, _) = Config::read(|_| None, Overrides::default());
    let relay = Relay::start(&config);
    for path in paths {
        let (upstream, path) = (Arc::clone(&upstream), (*path).to_owned());
        let _ = relay.accept(Envelope { upstream, path, ..sample(ItemKind::Event, 10) });
    }
    let emptied = tokio::time::timeout(Duration::from_mins(1), async {
        while relay.backlog().envelopes > 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    });
    emptied.await.expect("not all envelopes were settled in time");
    relay.ledger()
}

/// Timers run by a clock that only waiting moves, so that a busy machine makes no difference.
#[tokio::test(start_paused = true)]
async fn a_drain_takes_no_longer_than_it_is_given() {
    // The kernel accepts connections, and nobody answers.
    let hanging = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", hanging.local_addr().unwrap());
    let upstream = Arc::new(Upstream::parse(&url).unwrap());
    let (config, _) = Config::read(|_| None, Overrides::default());
    let relay = Relay::start(&config);
    let _ = relay.accept(Envelope { upstream, ..sample(ItemKind::Event, 10) });
    let begun = tokio::time::Instant::now();
    relay.drain(Duration::from_millis(700)).await;
    assert!((700..710).contains(&begun.elapsed().as_millis()), "{:?}", begun.elapsed());
    assert_eq!(relay.ledger().dropped(), 1);
}

#[tokio::test]
async fn panicked_delivery_is_tried_again() {
    // The other deliveries are still under way when it panics.
    let ledger = deliver(&["/fine", DELIVERY_PANICS, "/fine"]).await;
    assert_eq!((ledger.accepted, ledger.delivered, ledger.dropped()), (3, 3, 0));
}

#[tokio::test]
async fn restarted_pump_delivers_what_the_panicked_one_had() {
    // It panics while it holds the lock on the state, which also cancels the try that is under way.
    let ledger = deliver(&["/fine", PUMP_PANICS, "/fine"]).await;
    assert_eq!((ledger.accepted, ledger.delivered, ledger.dropped()), (3, 3, 0));
    assert_eq!(ledger.unanswered, 0, "the cancelled try had sent no request");
}

#[tokio::test]
async fn delivery_that_always_panics_is_dropped_and_delays_no_other() {
    let ledger = deliver(&[DELIVERY_ALWAYS_PANICS, "/fine", "/fine"]).await;
    assert_eq!((ledger.delivered, ledger.dropped_for(DropReason::Internal)), (2, 1));
    assert!(ledger.balances(0));
}
