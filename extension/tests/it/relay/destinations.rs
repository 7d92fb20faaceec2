//! Tests to which Sentry an envelope goes if it names one itself, and what happens if that is not allowed.

use super::delivery_test::DeliveryTest;
use crate::support::{
    netns::isolated,
    scripted_upstream::ScriptedUpstream,
    sdk::{KEY, TUNNEL, error_of, post, report, tunnel},
    tools,
};
use serde_json::Value;
use std::process::Command;

/// An address of the test's network that is no loopback address. The test's certificates cover it.
const OTHER: &str = "10.99.0.1";

/// A second Sentry, at another host.
fn other_sentry() -> ScriptedUpstream {
    let arguments = ["address", "add", &format!("{OTHER}/32"), "dev", "lo"];
    assert!(Command::new(tools::program("ip")).args(arguments).status().unwrap().success());
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
