//! Tests that the wrapper names only a port that the extension holds, and what it sets for the SDK in Sentry's Node
//! layer.

use super::{KEY, extension, settings::run_with, value};
use crate::support::{extension::Extension, lambda_api::LambdaApi, layer::Layer, netns::isolated};
use std::{
    fs,
    net::{Ipv4Addr, Ipv6Addr, TcpListener},
    time::Duration,
};

fn dsn() -> String {
    format!("https://{KEY}@o1.ingest.sentry.io/42")
}

/// Runs the wrapper with these ports. Returns the DSN that the runtime gets, and the lines that the wrapper logs.
fn dsn_for_runtime(ports: Option<&str>) -> (String, Vec<serde_json::Value>) {
    let dsn = dsn();
    let ports = ports.map(|ports| ("SENTRY_EXTENSION_PORTS", ports));
    let env: Vec<_> = [("SENTRY_DSN", &*dsn)].into_iter().chain(ports).collect();
    let (lines, entries) = run_with(&env);
    (value(&entries, "SENTRY_DSN").unwrap(), lines)
}

fn stays(ports: Option<&str>) {
    let (dsn_then, lines) = dsn_for_runtime(ports);
    assert_eq!(dsn_then, dsn());
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert_eq!(lines[0]["level"], "warn");
    assert!(lines[0]["why"].as_str().unwrap().contains("SENTRY_EXTENSION_PORTS"), "{lines:?}");
}

#[test]
fn where_no_extension_runs_the_dsn_stays() {
    isolated(|| async { stays(None) });
}

#[test]
fn a_stranger_on_the_port_gets_nothing() {
    isolated(|| async {
        // This takes the port on IPv4 only. The extension still gets it on IPv6, which the wrapper does not name.
        let stranger = TcpListener::bind((Ipv4Addr::LOCALHOST, 5333)).unwrap();
        stranger.set_nonblocking(true).unwrap();
        let api = LambdaApi::start().await;
        let dsn = dsn();
        let extension = Extension::in_lambda(&api, &[("SENTRY_DSN", &dsn)]);
        api.asked(1).await;
        stays(None);
        assert!(stranger.accept().is_err(), "the wrapper itself connected to it");
        api.shutdown("spindown", Duration::from_secs(2));
        extension.final_counts().await;
    });
}

#[test]
fn a_stranger_on_ipv6_alone_is_no_matter() {
    isolated(|| async {
        let _stranger = TcpListener::bind((Ipv6Addr::LOCALHOST, 5333)).unwrap();
        let _extension = extension(&[]).await;
        let (dsn, lines) = dsn_for_runtime(None);
        assert_eq!(dsn, format!("http://{KEY}@127.0.0.1:5333/42"));
        assert!(lines.is_empty(), "{lines:?}");
    });
}

#[test]
fn of_several_ports_one_that_is_held_is_named() {
    isolated(|| async {
        let _strangers = [5333, 4000].map(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, port)).unwrap());
        let ports = "4000,5333,4001";
        let _extension = extension(&[("SENTRY_EXTENSION_PORTS", ports)]).await;
        let (dsn, lines) = dsn_for_runtime(Some(ports));
        assert_eq!(dsn, format!("http://{KEY}@127.0.0.1:4001/42"));
        assert!(lines.is_empty(), "{lines:?}");
    });
}

#[test]
fn an_extension_that_has_ended_holds_nothing() {
    isolated(|| async {
        let running = extension(&[]).await;
        assert!(dsn_for_runtime(None).0.ends_with("127.0.0.1:5333/42"));
        running.terminate();
        running.ended().await;
        stays(None);
    });
}

#[test]
fn a_dsn_that_names_the_port_is_kept_and_warned_of_where_no_extension_listens() {
    isolated(|| async {
        let dsns = ["localhost", "127.0.0.1", "[::1]"].map(|host| format!("http://{KEY}@{host}:5333/42"));
        let warnings = |dsn: &String| {
            let (lines, entries) = run_with(&[("SENTRY_DSN", dsn)]);
            assert_eq!(value(&entries, "SENTRY_DSN").as_ref(), Some(dsn));
            lines.len()
        };
        assert_eq!(dsns.each_ref().map(warnings), [1; 3], "a stranger may have the port");
        let _extension = extension(&[]).await;
        assert_eq!(dsns.each_ref().map(warnings), [0; 3]);
    });
}

#[test]
fn the_sdk_in_sentrys_node_layer_is_told_to_use_its_dsn() {
    isolated(|| async {
        let real = dsn();
        let local = format!("http://{KEY}@localhost:5333/42");
        let layer_setting = |env: &[(&str, &str)]| value(&run_with(env).1, "SENTRY_LAYER_EXTENSION");
        let layer = Layer::empty();
        let _extension = extension(&[]).await;
        assert_eq!(layer_setting(&[("SENTRY_DSN", &real)]), None, "without that layer");
        let theirs = layer.path("extensions/sentry-extension");
        fs::create_dir(theirs.parent().unwrap()).unwrap();
        fs::write(theirs, "").unwrap();
        for dsn in [&real, &local] {
            assert_eq!(layer_setting(&[("SENTRY_DSN", dsn)]).as_deref(), Some("0"), "{dsn}");
        }
        let chosen = [("SENTRY_DSN", &*real), ("SENTRY_LAYER_EXTENSION", "true")];
        assert_eq!(layer_setting(&chosen).as_deref(), Some("true"), "the user's own choice counts");
        assert_eq!(layer_setting(&[("SENTRY_DSN", "nonsense")]), None, "where the wrapper changes nothing");
    });
}
