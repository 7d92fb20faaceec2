//! Tests the ways to upstream: through proxies or without them, over IPv6, and with the user's own certificates.

use super::bench::{Bench, markers};
use crate::support::{
    deliveries,
    hostile::Hostile,
    netns::isolated,
    proxy::{Asked, Passage, Proxy},
    resolver::{Answers, NAME, Resolver},
    sdk::KEY,
    tools,
};
use std::process::Command;

/// An address of the test's own network that is not a loopback address.
const ADDRESS: &str = "10.99.0.1";

/// The credentials `admin:p@ss`, as they stand in a proxy's URL and as they are sent.
const USER: &str = "admin:p%40ss";
const BASIC: &str = "Basic YWRtaW46cEBzcw==";

/// Starts an upstream that only the proxy can find, and an extension with these settings. `{proxy}` in a setting is
/// replaced by the proxy's address.
async fn behind_proxy(tls: bool, env: &[(&str, &str)]) -> (Bench, Proxy) {
    let upstream = Hostile::start(tls).await;
    let proxy = Proxy::start(upstream.address()).await;
    let address = proxy.address().to_string();
    let dsn = upstream.dsn(NAME, KEY);
    let ca = upstream.ca_file().map(|path| path.to_str().unwrap().to_owned()).unwrap_or_default();
    let env: Vec<(&str, String)> =
        env.iter().map(|(name, value)| (*name, value.replace("{proxy}", &address))).collect();
    let mut settings = vec![("SENTRY_DSN", &*dsn), ("SENTRY_EXTENSION_CA_BUNDLE", &*ca)];
    settings.extend(env.iter().map(|(name, value)| (*name, &**value)));
    (Bench::with(upstream, &settings).await, proxy)
}

/// Reports errors, each of which has to arrive once.
async fn arrives(bench: &mut Bench, prefix: &str) {
    let sent = markers(prefix, 3);
    bench.invoke(&sent).await;
    bench.upstream.takes(&sent).await;
    deliveries::known(&bench.log(), bench.upstream.arrivals().len()).await;
}

async fn done(bench: Bench) {
    let (books, upstream) = bench.shut_down().await;
    assert_eq!((books.delivered, books.unanswered), (books.accepted, 0));
    assert_eq!(upstream.arrivals().len() as u64, books.accepted);
}

#[test]
fn https_uses_connect_with_credentials() {
    for variable in ["HTTPS_PROXY", "https_proxy"] {
        isolated(move || async move {
            let url = format!("http://{USER}@{{proxy}}");
            let (mut bench, proxy) = behind_proxy(true, &[(variable, &url)]).await;
            arrives(&mut bench, "tunnelled").await;
            let line = format!("CONNECT {NAME}:{} HTTP/1.1", bench.upstream.port());
            let expected = Asked { line, authorization: Some(BASIC.to_owned()) };
            let asked = proxy.asked();
            assert!(!asked.is_empty() && asked.iter().all(|one| *one == expected), "{asked:?}");
            // A tunnel is reused like any other connection.
            arrives(&mut bench, "again").await;
            assert_eq!(proxy.asked().len(), asked.len());
            // The credentials go to the proxy only, and not into the log.
            let heads = bench.upstream.arrivals().into_iter().map(|one| one.head);
            assert!(heads.into_iter().all(|head| !head.to_lowercase().contains("proxy-")));
            let log = bench.log();
            done(bench).await;
            assert!(!log.text().contains("p%40ss") && !log.text().contains("YWRtaW46"), "{}", log.text());
        });
    }
}

#[test]
fn http_uses_absolute_uris() {
    for variable in ["HTTP_PROXY", "http_proxy"] {
        isolated(move || async move {
            let url = format!("{USER}@{{proxy}}");
            let (mut bench, proxy) = behind_proxy(false, &[(variable, &url)]).await;
            arrives(&mut bench, "plain").await;
            let port = bench.upstream.port();
            let line = format!("POST http://{NAME}:{port}/api/42/envelope/ HTTP/1.1");
            let expected = Asked { line, authorization: Some(BASIC.to_owned()) };
            let asked = proxy.asked();
            assert!(!asked.is_empty() && asked.iter().all(|one| *one == expected), "{asked:?}");
            done(bench).await;
        });
    }
}

#[test]
fn a_proxy_that_refuses_or_hangs_is_an_outage() {
    for (tls, variable) in [(true, "HTTPS_PROXY"), (false, "HTTP_PROXY")] {
        for passage in [Passage::Refused(407), Passage::Refused(502), Passage::Hangs] {
            isolated(move || async move {
                let (mut bench, proxy) = behind_proxy(tls, &[(variable, "http://{proxy}")]).await;
                proxy.set(passage);
                let sent = markers("held", 2);
                bench.invoke(&sent).await;
                bench.log().wait_for("could not take").await;
                proxy.set(Passage::Open);
                bench.upstream.takes(&sent).await;
                let (books, upstream) = bench.shut_down().await;
                assert_eq!((books.accepted, books.delivered), (2, 2), "{passage:?}");
                assert_eq!(upstream.arrivals().len(), 2, "{passage:?}");
            });
        }
    }
}

#[test]
fn no_proxy_matches_names() {
    for exception in [NAME, ".test", "*", "elsewhere.example, upstream.test:{port}"] {
        isolated(move || async move {
            let resolver = Resolver::start(Answers::NoSuchName).await;
            resolver.learn();
            let upstream = Hostile::start(true).await;
            let proxy = Proxy::start(upstream.address()).await;
            let url = format!("http://{}", proxy.address());
            let ca = upstream.ca_file().unwrap().to_str().unwrap().to_owned();
            let dsn = upstream.dsn(NAME, KEY);
            let exception = exception.replace("{port}", &upstream.port().to_string());
            let settings = [
                ("SENTRY_DSN", &*dsn),
                ("SENTRY_EXTENSION_CA_BUNDLE", &*ca),
                ("HTTPS_PROXY", &*url),
                ("NO_PROXY", &*exception),
            ];
            let mut bench = Bench::with(upstream, &settings).await;
            arrives(&mut bench, "direct").await;
            assert_eq!(proxy.asked(), [], "{exception}");
            done(bench).await;
        });
    }
}

#[test]
fn no_proxy_matches_addresses_and_is_required_for_them() {
    for (exception, direct) in [("10.0.0.0/8", true), ("10.99.0.1", true), ("192.168.0.0/16", false)] {
        isolated(move || async move {
            let added =
                Command::new(tools::program("ip")).args(["address", "add", ADDRESS, "dev", "lo"]).status();
            assert!(added.unwrap().success());
            let upstream = Hostile::start_at(format!("{ADDRESS}:0").parse().unwrap(), false);
            let proxy = Proxy::start(upstream.address()).await;
            let url = format!("http://{}", proxy.address());
            let dsn = upstream.dsn(ADDRESS, KEY);
            let settings = [("SENTRY_DSN", &*dsn), ("HTTP_PROXY", &*url), ("no_proxy", exception)];
            let mut bench = Bench::with(upstream, &settings).await;
            arrives(&mut bench, "address").await;
            assert_eq!(proxy.asked().is_empty(), direct, "{exception}: {:?}", proxy.asked());
            done(bench).await;
        });
    }
}

#[test]
fn loopback_is_reached_without_the_proxy() {
    isolated(|| async {
        let nowhere = "http://127.0.0.1:1";
        let mut bench = Bench::start(&[("HTTP_PROXY", nowhere), ("HTTPS_PROXY", nowhere)]).await;
        arrives(&mut bench, "local").await;
        done(bench).await;
    });
}

#[test]
fn an_upstream_over_ipv6() {
    isolated(|| async {
        let upstream = Hostile::start_at("[::1]:0".parse().unwrap(), true);
        let dsn = upstream.dsn("[::1]", KEY);
        let ca = upstream.ca_file().unwrap().to_str().unwrap().to_owned();
        // The SDK also reads SENTRY_DSN. Here it points at the extension, as the wrapper sets it.
        let own = format!("http://{KEY}@127.0.0.1:5333/42");
        let settings =
            [("SENTRY_EXTENSION_DSN", &*dsn), ("SENTRY_DSN", &*own), ("SENTRY_EXTENSION_CA_BUNDLE", &*ca)];
        let mut bench = Bench::with(upstream, &settings).await;
        arrives(&mut bench, "six").await;
        let host = format!("host: [::1]:{}", bench.upstream.port());
        assert!(bench.upstream.arrivals()[0].head.to_lowercase().contains(&host));
        done(bench).await;
    });
}

#[test]
fn both_settings_add_trusted_certificates() {
    for variable in ["SENTRY_EXTENSION_CA_BUNDLE", "SSL_CERT_FILE"] {
        isolated(move || async move {
            let upstream = Hostile::start(true).await;
            let dsn = upstream.dsn("localhost", KEY);
            let ca = upstream.ca_file().unwrap().to_str().unwrap().to_owned();
            let mut bench = Bench::with(upstream, &[("SENTRY_DSN", &*dsn), (variable, &*ca)]).await;
            arrives(&mut bench, "trusted").await;
            done(bench).await;
        });
    }
}
