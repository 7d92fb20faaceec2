//! Tests the lifecycle against a scripted Lambda: the extension never ends before SHUTDOWN, and then ends in time.

use crate::support::{
    extension::{BINARY, Extension},
    http,
    lambda_api::{LambdaApi, Next},
    netns::isolated,
    sentry::{Gate, Reply, Sentry, Transport},
};
use hyper::{Method, StatusCode};
use serde_json::json;
use std::{
    net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener},
    time::{Duration, Instant},
};

const KEY: &str = "5b0ff8a1e2c94d7fb7a3c1d2e4f60718";
const SECOND: Duration = Duration::from_secs(1);
const TUNNEL: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 5333);

/// Posts an error as a Python SDK would.
async fn report(to: SocketAddr, message: &str) -> StatusCode {
    let event = json!({ "message": message }).to_string();
    let body = format!("{{}}\n{{\"type\":\"event\",\"length\":{}}}\n{event}\n", event.len());
    let auth = format!("Sentry sentry_key={KEY}, sentry_version=7, sentry_client=test/1");
    http::request(to, Method::POST, "/api/42/envelope/", &[("x-sentry-auth", &auth)], body).await.unwrap().0
}

fn is_event_with(message: &str) -> impl Fn(&crate::support::sentry::Received) -> bool + '_ {
    move |one| one.envelope.item("event").is_some_and(|event| event.json()["message"] == message)
}

#[test]
fn a_life_from_register_to_shutdown() {
    isolated(|| async {
        let api = LambdaApi::start().await;
        let sentry = Sentry::start(Transport::Tls).await;
        let ca = sentry.ca_file().to_str().unwrap().to_owned();
        let dsn = sentry.dsn(KEY, "42");
        let extension = Extension::in_lambda(
            &api,
            &[("SENTRY_DSN", &*dsn), ("SENTRY_EXTENSION_CA_BUNDLE", &*ca), ("SENTRY_EXTENSION_LOG", "debug")],
        );
        let registration = api.registration(1).await;
        assert_eq!(registration.name, "sentry-lambda-extension");
        assert_eq!(registration.events, json!(["INVOKE", "SHUTDOWN"]));
        assert_eq!(registration.headers["lambda-extension-accept-feature"], "accountId");

        api.asked(1).await;
        api.invoke();
        let v6 = SocketAddr::from((Ipv6Addr::LOCALHOST, 5333));
        assert_eq!(report(TUNNEL, "over IPv4").await, 200);
        assert_eq!(report(v6, "over IPv6").await, 200);
        api.asked(2).await;
        for message in ["over IPv4", "over IPv6"] {
            sentry.wait_for(message, is_event_with(message)).await;
        }
        api.shutdown("spindown", 2 * SECOND);
        let log = extension.log.clone();
        assert_eq!(extension.final_counts().await, [2, 2, 0, 0]);
        assert!(!log.text().contains(KEY), "a key is in the log:\n{}", log.text());
        assert!(sentry.violations().is_empty(), "{:?}", sentry.violations());
        assert!(api.violations().is_empty(), "{:?}", api.violations());
    });
}

#[test]
fn registers_with_the_name_of_its_file() {
    isolated(|| async {
        let folder = tempfile::tempdir().unwrap();
        let renamed = folder.path().join("renamed-by-someone");
        std::fs::copy(BINARY, &renamed).unwrap();
        let api = LambdaApi::start().await;
        let address = api.address();
        let extension = Extension::start(&renamed, &[], &[("AWS_LAMBDA_RUNTIME_API", &*address)]);
        assert_eq!(api.registration(1).await.name, "renamed-by-someone");
        api.asked(1).await;
        api.shutdown("spindown", 2 * SECOND);
        assert_eq!(extension.final_counts().await, [0; 4]);
    });
}

#[test]
fn managed_instances_are_registered_for_shutdown_alone() {
    isolated(|| async {
        let api = LambdaApi::start().await;
        let env = [("AWS_LAMBDA_INITIALIZATION_TYPE", "lambda-managed-instances")];
        let extension = Extension::in_lambda(&api, &env);
        assert_eq!(api.registration(1).await.events, json!(["SHUTDOWN"]));
        api.asked(1).await;
        api.shutdown("spindown", 2 * SECOND);
        extension.final_counts().await;
    });
}

#[test]
fn with_invalid_settings_it_still_takes_events_until_shutdown() {
    isolated(|| async {
        // The port is taken and the settings are invalid. The extension cannot work, but must not disturb the function.
        let taken: Vec<TcpListener> = [5333]
            .into_iter()
            .flat_map(|port| {
                [
                    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).unwrap(),
                    TcpListener::bind((Ipv6Addr::LOCALHOST, port)).unwrap(),
                ]
            })
            .collect();
        let api = LambdaApi::start().await;
        let mut extension = Extension::in_lambda(
            &api,
            &[
                ("SENTRY_DSN", "nonsense"),
                ("SENTRY_EXTENSION_BUFFER", "-1"),
                ("SENTRY_EXTENSION_LOG", "shout"),
                ("SENTRY_EXTENSION_PORTS", "99999"),
                ("SENTRY_EXTENSION_CA_BUNDLE", "/nonexistent.pem"),
            ],
        );
        for nth in 1..=5 {
            api.asked(nth).await;
            api.invoke();
        }
        api.asked(6).await;
        assert!(!extension.has_ended());
        extension.log.wait_for("cannot listen").await;
        drop(taken);
        api.shutdown("spindown", 2 * SECOND);
        assert_eq!(extension.final_counts().await, [0; 4]);
    });
}

#[test]
fn failures_of_lambdas_api_do_not_end_the_extension() {
    isolated(|| async {
        let api = LambdaApi::start().await;
        api.refuse(&[500, 403]);
        let mut extension = Extension::in_lambda(&api, &[]);
        api.registration(3).await;
        for (nth, next) in [
            Next::Status(500),
            Next::Close,
            Next::Status(403),
            Next::Raw("<html>"),
            Next::Event(json!({ "eventType": "RESTORE" })),
            Next::Raw("{}"),
        ]
        .into_iter()
        .enumerate()
        {
            api.asked(nth + 1).await;
            api.answer(next);
        }
        api.asked(7).await;
        assert!(!extension.has_ended());
        let so_far = api.asked_so_far();
        assert_eq!(so_far, 7, "one question at a time");
        api.shutdown("a reason of the future", 2 * SECOND);
        extension.final_counts().await;
    });
}

#[test]
fn a_persistent_failure_is_retried_with_pauses() {
    isolated(|| async {
        let api = LambdaApi::start().await;
        for _ in 0..10_000 {
            api.answer(Next::Status(500));
        }
        let _extension = Extension::in_lambda(&api, &[]);
        api.asked(3).await;
        tokio::time::sleep(SECOND).await;
        let asked = api.asked_so_far();
        assert!(asked < 20, "asked {asked} times in little more than a second");
    });
}

#[test]
fn shutdown_ends_in_time_when_sentry_is_dead() {
    isolated(|| async {
        let dead = TcpListener::bind("127.0.0.1:0").unwrap();
        let hanging = format!("http://{KEY}@{}/42", dead.local_addr().unwrap());
        let refused = format!("http://{KEY}@127.0.0.1:1/42");
        for dsn in [&*hanging, &*refused] {
            let api = LambdaApi::start().await;
            let extension = Extension::in_lambda(&api, &[("SENTRY_DSN", dsn)]);
            api.asked(1).await;
            for n in 0..3 {
                assert_eq!(report(TUNNEL, &format!("lost {n}")).await, 200);
            }
            let start = Instant::now();
            api.shutdown("spindown", Duration::from_millis(900));
            assert_eq!(extension.final_counts().await, [3, 0, 0, 3], "{dsn}");
            let took = start.elapsed();
            // Ten times the deadline, which a busy machine does not reach.
            assert!(took < Duration::from_secs(9), "{dsn}: took {took:?}");
        }
    });
}

#[test]
fn shutdown_drains_what_is_queued() {
    isolated(|| async {
        let api = LambdaApi::start().await;
        let sentry = Sentry::start(Transport::Plain).await;
        let gate = Gate::closed();
        let held = gate.clone();
        sentry.respond_with(move |_| Reply::ok().held_by(&held));
        let dsn = sentry.dsn(KEY, "42");
        let extension = Extension::in_lambda(&api, &[("SENTRY_DSN", &*dsn)]);
        api.asked(1).await;
        for n in 0..20 {
            assert_eq!(report(TUNNEL, &format!("event {n}")).await, 200);
        }
        api.shutdown("spindown", 2 * SECOND);
        extension.log.wait_for("\"shutting down\"").await;
        gate.open();
        assert_eq!(extension.final_counts().await, [20, 20, 0, 0]);
        assert_eq!(sentry.received().len(), 20);
    });
}

#[test]
fn an_outage_ends_without_new_traffic() {
    isolated(|| async {
        let api = LambdaApi::start().await;
        let sentry = Sentry::start(Transport::Plain).await;
        let failures = std::sync::atomic::AtomicUsize::new(0);
        sentry.respond_with(move |_| match failures.fetch_add(1, std::sync::atomic::Ordering::SeqCst) {
            0 => Reply::close(),
            1 => Reply::status(503),
            _ => Reply::ok(),
        });
        let dsn = sentry.dsn(KEY, "42");
        let extension = Extension::in_lambda(&api, &[("SENTRY_DSN", &*dsn)]);
        api.asked(1).await;
        assert_eq!(report(TUNNEL, "patient").await, 200);
        let delivered = |one: &crate::support::sentry::Received| one.status == Some(200);
        sentry.wait_for("the third try", delivered).await;
        api.shutdown("spindown", 2 * SECOND);
        assert_eq!(extension.final_counts().await, [1, 1, 0, 0]);
    });
}

#[test]
fn a_rejected_envelope_is_not_sent_again() {
    isolated(|| async {
        let api = LambdaApi::start().await;
        let sentry = Sentry::start(Transport::Plain).await;
        sentry.respond_with(|_| Reply::status(403));
        let dsn = sentry.dsn(KEY, "42");
        let extension = Extension::in_lambda(&api, &[("SENTRY_DSN", &*dsn)]);
        api.asked(1).await;
        assert_eq!(report(TUNNEL, "unwanted").await, 200);
        sentry.wait_for("the try", is_event_with("unwanted")).await;
        api.shutdown("spindown", 2 * SECOND);
        assert_eq!(extension.final_counts().await, [1, 0, 1, 0]);
        assert_eq!(sentry.received().len(), 1);
    });
}

#[test]
fn an_untrusted_certificate_is_refused() {
    isolated(|| async {
        let api = LambdaApi::start().await;
        let sentry = Sentry::start(Transport::Tls).await;
        let dsn = sentry.dsn(KEY, "42");
        let extension =
            Extension::in_lambda(&api, &[("SENTRY_DSN", &*dsn), ("SENTRY_EXTENSION_LOG", "debug")]);
        api.asked(1).await;
        assert_eq!(report(TUNNEL, "not over this line").await, 200);
        extension.log.wait_for("TLS handshake failed").await;
        api.shutdown("spindown", SECOND);
        assert_eq!(extension.final_counts().await, [1, 0, 0, 1]);
        assert!(sentry.received().is_empty());
    });
}

#[tokio::test]
async fn without_lambda_the_error_says_what_to_do() {
    for (args, code, hint) in [
        (&[][..], 2, "--standalone"),
        (&["--standalone", "--verbose"], 2, "--help"),
        (&["--standalone", "--listen", "9000"], 2, "127.0.0.1:5333"),
        (&["--standalone", "--upstream", "sentry.io"], 2, "https://"),
    ] {
        let (status, log) = Extension::start(BINARY, args, &[]).ended().await;
        assert_eq!(status.code(), Some(code), "{args:?}");
        assert!(log.contains(hint), "{args:?}: {}", log.text());
    }
    let version = Extension::start(BINARY, &["--version"], &[]).ended().await.1;
    assert!(version.text().starts_with("sentry-lambda-extension 0."), "{}", version.text());
    let help = Extension::start(BINARY, &["--help"], &[]).ended().await.1;
    assert!(help.contains("--standalone"));
}

#[tokio::test]
async fn standalone_on_a_taken_port_ends_with_an_error() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let extension = Extension::start(BINARY, &["--standalone", "--listen", &address], &[]);
    let (status, log) = extension.ended().await;
    assert_eq!(status.code(), Some(1));
    assert!(log.contains("--listen") && log.contains(&address), "{}", log.text());
}
