//! Tests slow clients. A request that was begun has to end in time, but a client may be silent between two requests.

use super::clients::{connect, post, read_answers, whole};
use super::{ENVELOPE, SECOND, Setup, auth};
use crate::support::HANG;
use std::time::{Duration, Instant};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::{sleep, timeout},
};

/// Longer than a head may take, which is ten seconds.
const SILENCE: Duration = Duration::from_secs(13);

/// Sends a byte twice a second until the connection ends. Returns what was received, and how long it took.
async fn trickle(mut stream: TcpStream, byte: &[u8]) -> (String, Duration) {
    let started = Instant::now();
    let (mut reading, mut writing) = stream.split();
    let mut answer = Vec::new();
    let sending = async {
        while writing.write_all(byte).await.is_ok() {
            sleep(SECOND / 2).await;
        }
    };
    tokio::select! {
        _ = reading.read_to_end(&mut answer) => {}
        () = sending => {}
        // Ten times what a body may take.
        () = sleep(300 * SECOND) => panic!("a client trickles for ever"),
    }
    (String::from_utf8_lossy(&answer).into_owned(), started.elapsed())
}

#[tokio::test]
async fn a_slow_head_is_cut_but_an_idle_connection_is_not() {
    let setup = Setup::new(&[]).await;
    let mut unused = connect(setup.address).await;
    let mut used = connect(setup.address).await;
    // Some clients send a newline after the body.
    used.write_all(format!("{}\r\n", whole()).as_bytes()).await.unwrap();
    read_answers(&mut used, "HTTP/1.1 200", 1).await;
    let mut pipelined = connect(setup.address).await;
    pipelined.write_all(whole().repeat(3).as_bytes()).await.unwrap();
    read_answers(&mut pipelined, "HTTP/1.1 200", 3).await;

    let half = async {
        let mut half = connect(setup.address).await;
        half.write_all(post().as_bytes()).await.unwrap();
        let started = Instant::now();
        let end = timeout(HANG, half.read_to_end(&mut Vec::new())).await.expect("a head may take for ever");
        assert!(end.is_err() || end.is_ok_and(|read| read == 0));
        started.elapsed()
    };
    let endless = async {
        let mut endless = connect(setup.address).await;
        endless.write_all(post().as_bytes()).await.unwrap();
        trickle(endless, b"X-More: 1\r\n").await.1
    };
    let (half, endless, ()) = tokio::join!(half, endless, sleep(SILENCE));
    for took in [half, endless] {
        assert!(took >= 9 * SECOND, "{took:?}");
    }
    for stream in [&mut unused, &mut used, &mut pipelined] {
        stream.write_all(whole().as_bytes()).await.unwrap();
        read_answers(stream, "HTTP/1.1 200", 1).await;
    }
    setup.finish(7).await;
}

#[tokio::test]
async fn a_slow_body_is_cut_and_delays_no_other_client() {
    let setup = Setup::new(&[]).await;
    let mut slow = connect(setup.address).await;
    slow.write_all(format!("{}Content-Length: 9999\r\n\r\n", post()).as_bytes()).await.unwrap();
    let others = async {
        for _ in 0..10 {
            let answer = setup.post("/api/42/envelope/", &[("x-sentry-auth", &auth())], ENVELOPE).await;
            assert_eq!(answer.status, 200);
            sleep(SECOND).await;
        }
        Instant::now()
    };
    let trickling = async {
        let (answer, took) = trickle(slow, b" ").await;
        (answer, took, Instant::now())
    };
    let ((answer, took, ended), others_done) = tokio::join!(trickling, others);
    assert!(others_done < ended, "the others were held up until the slow one had ended");
    assert!(answer.starts_with("HTTP/1.1 408"), "{answer:?}");
    assert!(took >= 29 * SECOND, "{took:?}");
    setup.finish(10).await;
}
