//! Tests to which Sentry an envelope goes if it names one itself, and what happens if that is not allowed.

use super::delivery_test::DeliveryTest;
use crate::support::{
    HANG,
    extension::{BINARY, Extension},
    netns::isolated,
    scripted_upstream::{ScriptedUpstream, header},
    sdk::{KEY, TUNNEL, error_of, post, report, tunnel},
    tools,
};
use serde_json::Value;
use std::{net::SocketAddr, process::Command};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpSocket,
};

/// An address of the test's network that is no loopback address. The test's certificates cover it.
const OTHER: &str = "10.99.0.1";

/// Adds an address to the test's network.
fn add_address(address: &str) {
    let arguments = ["address", "add", &format!("{address}/32"), "dev", "lo"];
    assert!(Command::new(tools::program("ip")).args(arguments).status().unwrap().success());
}

/// A second Sentry, at another host.
fn other_sentry() -> ScriptedUpstream {
    add_address(OTHER);
    ScriptedUpstream::start_at(format!("{OTHER}:0").parse().unwrap(), true)
}

#[test]
fn an_envelope_goes_to_the_host_that_its_own_dsn_names() {
    isolated(|| async {
        let b = other_sentry();
        let of_b = b.dsn(OTHER, KEY);
        let bundle = b.ca_file().unwrap().to_str().unwrap().to_owned();
        let settings = [("SENTRY_EXTENSION_ALLOWED_HOSTS", OTHER), ("SENTRY_EXTENSION_CA_BUNDLE", &*bundle)];
        let test = DeliveryTest::start(&settings).await;
        assert_eq!(tunnel(TUNNEL, &of_b, "b-0").await, 200);
        // An SDK that authenticates in the request may name its DSN as well.
        let body = error_of("b-1", 200).replacen('{', &format!("{{\"dsn\":\"{of_b}\","), 1);
        assert_eq!(post(TUNNEL, body).await, 200);
        // These are the DSNs of an SDK that was pointed at the extension.
        for (at, local) in ["localhost:5333", "127.1:5333", "[::1]:5333", "0x7f.1:9"].into_iter().enumerate()
        {
            assert_eq!(tunnel(TUNNEL, &format!("http://{KEY}@{local}/42"), &format!("a-{at}")).await, 200);
        }
        assert_eq!(report(TUNNEL, "a-4").await, 200);
        b.wait_until_taken(&["b-0", "b-1"].map(str::to_owned)).await;
        test.upstream.wait_until_taken(&["a-0", "a-1", "a-2", "a-3", "a-4"].map(str::to_owned)).await;
        let (counts, a) = test.shut_down().await;
        assert_eq!((counts.accepted, counts.delivered), (7, 7));
        assert_eq!((a.arrivals().len(), b.arrivals().len()), (5, 2), "an envelope went to the wrong Sentry");
    });
}

#[test]
fn hosts_that_are_not_allowed_are_refused_counted_and_warned_of_once() {
    isolated(|| async {
        let b = other_sentry();
        let test = DeliveryTest::start(&[("SENTRY_EXTENSION_LOG", "info")]).await;
        let of_b = b.dsn(OTHER, KEY);
        let plain = format!("http://{KEY}@o1.ingest.sentry.io/42");
        let two_hosts = format!("https://{KEY}@sentry.io@{OTHER}:{}/42", b.port());
        for (status, dsn) in [(403, &of_b), (403, &plain), (401, &two_hosts)] {
            for _ in 0..3 {
                assert_eq!(tunnel(TUNNEL, dsn, "refused").await, status, "{dsn}");
            }
        }
        let log = test.log();
        let (counts, a) = test.shut_down().await;
        assert_eq!((counts.accepted, a.arrivals().len(), b.connections()), (0, 0, 0));
        let lines: Vec<Value> =
            log.text().lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
        let warned: Vec<_> =
            lines.iter().filter(|line| line["level"] == "warn" && line["host"].is_string()).collect();
        assert_eq!(warned.len(), 2, "{}", log.text());
        assert_eq!((&warned[0]["host"], &warned[0]["reason"]), (&OTHER.into(), &"host_not_allowed".into()));
        assert!(warned[0]["why"].as_str().unwrap().contains("SENTRY_EXTENSION_ALLOWED_HOSTS"), "{warned:?}");
        assert_eq!(warned[1]["reason"], "plain_http");
        let last = lines.iter().find(|line| line["message"] == "envelopes").unwrap();
        assert_eq!((&last["refused"], &last["level"]), (&9.into(), &"warn".into()), "{last}");
        assert_eq!(
            last["reasons"],
            "refused_host_not_allowed=3 refused_plain_http=3 refused_authentication=3"
        );
        assert!(!log.contains(KEY), "{}", log.text());
    });
}

/// Sends a request for a host from one address of the test's network to another, and returns its status.
async fn status_from(from: &str, to: SocketAddr, host: &str) -> u16 {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(format!("{from}:0").parse().unwrap()).unwrap();
    let mut stream = socket.connect(to).await.unwrap();
    let request = format!("GET /api/0/x/ HTTP/1.1\r\nHost: {host}\r\nX-Forwarded-For: 203.0.113.7\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = [0; 12];
    tokio::time::timeout(HANG, stream.read_exact(&mut answer)).await.expect("no answer").unwrap();
    std::str::from_utf8(&answer[9..]).unwrap().parse().unwrap()
}

#[test]
fn a_client_on_another_machine_is_named_and_may_use_any_name_of_this_one() {
    isolated(|| async {
        let remote = "10.99.0.2";
        add_address(OTHER);
        add_address(remote);
        let upstream = ScriptedUpstream::start(false).await;
        let url = format!("http://{}", upstream.address());
        let listen = format!("{OTHER}:5333");
        let args = ["--standalone", "--listen", &listen, "--listen", "127.0.0.1:5333", "--upstream", &url];
        let extension = Extension::start(BINARY, &args, &[]);
        extension.log.wait_for_lines("\"listening\"", 2).await;
        let outside: SocketAddr = listen.parse().unwrap();
        for (at, (from, to, host, addresses)) in [
            (remote, outside, "relay.corp.example", Some("203.0.113.7, 10.99.0.2")),
            (OTHER, outside, "relay.corp.example", Some("203.0.113.7")),
            ("127.0.0.1", TUNNEL, "localhost", Some("203.0.113.7")),
            (remote, TUNNEL, "relay.corp.example", None),
        ]
        .into_iter()
        .enumerate()
        {
            let status = status_from(from, to, host).await;
            assert_eq!(status, if addresses.is_some() { 200 } else { 421 }, "{from}");
            if let Some(addresses) = addresses {
                upstream.wait_until("the request", |all| all.len() > at).await;
                let head = upstream.arrivals()[at].head.clone();
                assert_eq!(header(&head, "x-forwarded-for"), Some(addresses), "{from}: {head}");
            }
        }
    });
}
