//! Tests the ways to upstream: through proxies or without them, over IPv6, and with the user's own certificates.

use super::delivery_test::{DeliveryTest, markers};
use crate::support::{
    deliveries,
    netns::isolated,
    proxy::{Proxy, ProxyBehavior, ProxyRequest},
    resolver::{Answers, NAME, Resolver},
    scripted_upstream::ScriptedUpstream,
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
async fn behind_proxy(tls: bool, env: &[(&str, &str)]) -> (DeliveryTest, Proxy) {
    let upstream = ScriptedUpstream::start(tls).await;
    let proxy = Proxy::start(upstream.address()).await;
    let address = proxy.address().to_string();
    let dsn = upstream.dsn(NAME, KEY);
    let ca = upstream.ca_file().map(|path| path.to_str().unwrap().to_owned()).unwrap_or_default();
    let env: Vec<(&str, String)> =
        env.iter().map(|(name, value)| (*name, value.replace("{proxy}", &address))).collect();
    let mut settings = vec![("SENTRY_DSN", &*dsn), ("SENTRY_EXTENSION_CA_BUNDLE", &*ca)];
    settings.extend(env.iter().map(|(name, value)| (*name, &**value)));
    (DeliveryTest::with(upstream, &settings).await, proxy)
}

/// Reports errors, each of which has to arrive once.
async fn arrives(test: &mut DeliveryTest, prefix: &str) {
    let sent = markers(prefix, 3);
    test.invoke(&sent).await;
    test.upstream.wait_until_taken(&sent).await;
    deliveries::wait_for(&test.log(), test.upstream.arrivals().len()).await;
}

async fn done(test: DeliveryTest) {
    let (counts, upstream) = test.shut_down().await;
    assert_eq!((counts.delivered, counts.unanswered), (counts.accepted, 0));
    assert_eq!(upstream.arrivals().len() as u64, counts.accepted);
}

#[test]
fn https_uses_connect_with_credentials() {
    for variable in ["HTTPS_PROXY", "https_proxy"] {
        isolated(move || async move {
            let url = format!("http://{USER}@{{proxy}}");
            let (mut test, proxy) = behind_proxy(true, &[(variable, &url)]).await;
            arrives(&mut test, "tunnelled").await;
            let line = format!("CONNECT {NAME}:{} HTTP/1.1", test.upstream.port());
            let expected = ProxyRequest { line, authorization: Some(BASIC.to_owned()) };
            let asked = proxy.requests();
            assert!(!asked.is_empty() && asked.iter().all(|one| *one == expected), "{asked:?}");
            // A tunnel is reused like any other connection.
            arrives(&mut test, "again").await;
            assert_eq!(proxy.requests().len(), asked.len());
            // The credentials go to the proxy only, and not into the log.
            let heads = test.upstream.arrivals().into_iter().map(|one| one.head);
            assert!(heads.into_iter().all(|head| !head.to_lowercase().contains("proxy-")));
            let log = test.log();
            done(test).await;
            assert!(!log.text().contains("p%40ss") && !log.text().contains("YWRtaW46"), "{}", log.text());
        });
    }
}

#[test]
fn http_uses_absolute_uris() {
    for variable in ["HTTP_PROXY", "http_proxy"] {
        isolated(move || async move {
            let url = format!("{USER}@{{proxy}}");
            let (mut test, proxy) = behind_proxy(false, &[(variable, &url)]).await;
            arrives(&mut test, "plain").await;
            let port = test.upstream.port();
            let line = format!("POST http://{NAME}:{port}/api/42/envelope/ HTTP/1.1");
            let expected = ProxyRequest { line, authorization: Some(BASIC.to_owned()) };
            let asked = proxy.requests();
            assert!(!asked.is_empty() && asked.iter().all(|one| *one == expected), "{asked:?}");
            done(test).await;
        });
    }
}

#[test]
fn a_proxy_that_refuses_or_hangs_is_an_outage() {
    for (tls, variable) in [(true, "HTTPS_PROXY"), (false, "HTTP_PROXY")] {
        for behavior in [ProxyBehavior::Refused(407), ProxyBehavior::Refused(502), ProxyBehavior::Hangs] {
            isolated(move || async move {
                let (mut test, proxy) = behind_proxy(tls, &[(variable, "http://{proxy}")]).await;
                proxy.set(behavior);
                let sent = markers("held", 2);
                test.invoke(&sent).await;
                test.log().wait_for("could not take").await;
                proxy.set(ProxyBehavior::Open);
                test.upstream.wait_until_taken(&sent).await;
                let (counts, upstream) = test.shut_down().await;
                assert_eq!((counts.accepted, counts.delivered), (2, 2), "{behavior:?}");
                assert_eq!(upstream.arrivals().len(), 2, "{behavior:?}");
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
            let upstream = ScriptedUpstream::start(true).await;
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
            let mut test = DeliveryTest::with(upstream, &settings).await;
            arrives(&mut test, "direct").await;
            assert_eq!(proxy.requests(), [], "{exception}");
            done(test).await;
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
            let upstream = ScriptedUpstream::start_at(format!("{ADDRESS}:0").parse().unwrap(), false);
            let proxy = Proxy::start(upstream.address()).await;
            let url = format!("http://{}", proxy.address());
            let dsn = upstream.dsn(ADDRESS, KEY);
            let settings = [("SENTRY_DSN", &*dsn), ("HTTP_PROXY", &*url), ("no_proxy", exception)];
            let mut test = DeliveryTest::with(upstream, &settings).await;
            arrives(&mut test, "address").await;
            assert_eq!(proxy.requests().is_empty(), direct, "{exception}: {:?}", proxy.requests());
            done(test).await;
        });
    }
}

#[test]
fn loopback_is_reached_without_the_proxy() {
    isolated(|| async {
        let nowhere = "http://127.0.0.1:1";
        let mut test = DeliveryTest::start(&[("HTTP_PROXY", nowhere), ("HTTPS_PROXY", nowhere)]).await;
        arrives(&mut test, "local").await;
        done(test).await;
    });
}

#[test]
fn an_upstream_over_ipv6() {
    isolated(|| async {
        let upstream = ScriptedUpstream::start_at("[::1]:0".parse().unwrap(), true);
        let dsn = upstream.dsn("[::1]", KEY);
        let ca = upstream.ca_file().unwrap().to_str().unwrap().to_owned();
        // The SDK also reads SENTRY_DSN. Here it points at the extension, as the wrapper sets it.
        let own = format!("http://{KEY}@127.0.0.1:5333/42");
        let settings =
            [("SENTRY_EXTENSION_DSN", &*dsn), ("SENTRY_DSN", &*own), ("SENTRY_EXTENSION_CA_BUNDLE", &*ca)];
        let mut test = DeliveryTest::with(upstream, &settings).await;
        arrives(&mut test, "six").await;
        let host = format!("host: [::1]:{}", test.upstream.port());
        assert!(test.upstream.arrivals()[0].head.to_lowercase().contains(&host));
        done(test).await;
    });
}

#[test]
fn both_settings_add_trusted_certificates() {
    for variable in ["SENTRY_EXTENSION_CA_BUNDLE", "SSL_CERT_FILE"] {
        isolated(move || async move {
            let upstream = ScriptedUpstream::start(true).await;
            let dsn = upstream.dsn("localhost", KEY);
            let ca = upstream.ca_file().unwrap().to_str().unwrap().to_owned();
            let mut test = DeliveryTest::with(upstream, &[("SENTRY_DSN", &*dsn), (variable, &*ca)]).await;
            arrives(&mut test, "trusted").await;
            done(test).await;
        });
    }
}
