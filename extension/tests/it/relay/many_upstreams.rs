//! Tests many upstreams that fail at the same time: what they cost, and what the log says about them.

use super::delivery_test::{DeliveryTest, SECOND};
use crate::support::{
    memory::cpu_time,
    netns::isolated,
    resolver::{Answers, Resolver},
    scripted_upstream::{Behavior, ScriptedUpstream},
    sdk::{KEY, TUNNEL, tunnel},
};

/// Sends one envelope for each of this number of hosts, whose names do not exist.
async fn unknown_hosts(hosts: usize) {
    let resolver = Resolver::start(Answers::NoSuchName).await;
    let test =
        DeliveryTest::with(ScriptedUpstream::start(false).await, &[("SENTRY_EXTENSION_LOG", "info")]).await;
    for host in 0..hosts {
        let dsn = format!("https://{KEY}@o{host}.ingest.sentry.io/42");
        assert_eq!(tunnel(TUNNEL, &dsn, &format!("host-{host}")).await, 200);
    }
    test.log().wait_for("in trouble").await;
    let (cpu_before, queries_before) = (cpu_time(test.extension.pid()), resolver.queries());
    // There is no event to wait for if something must not happen, so the test watches for a while.
    tokio::time::sleep(4 * SECOND).await;
    let cpu = cpu_time(test.extension.pid()).saturating_sub(cpu_before);
    let queries = resolver.queries() - queries_before;
    let log = test.log();
    let warnings = log.text().matches("in trouble").count();
    eprintln!(
        "{hosts} hosts that fail, in 4 s: {cpu:?} of CPU time, {queries} DNS queries, {warnings} warnings"
    );
    assert!(warnings <= 17, "{warnings} warnings");
    // Each host is tried at most five times in 4 s, and each try asks at most for four names.
    assert!(queries <= 17 * 5 * 4, "{queries} queries");
    assert!(cpu < SECOND, "{cpu:?} of CPU time");
    let (counts, _) = test.shut_down().await;
    assert_eq!((counts.accepted, counts.dropped), (hosts as u64, hosts as u64));
}

#[test]
fn nine_hosts_that_fail_at_once_cost_nothing() {
    isolated(|| unknown_hosts(9));
}

#[test]
fn a_hundred_hosts_that_fail_at_once_cost_nothing() {
    isolated(|| unknown_hosts(100));
}

#[test]
fn an_upstream_that_fails_every_second_request_is_not_logged_for_each() {
    isolated(|| async {
        const EVENTS: usize = 300;
        let test = DeliveryTest::start(&[("SENTRY_EXTENSION_LOG", "info")]).await;
        test.upstream.behave(Behavior::Alternate(503)).await;
        let sent = super::delivery_test::markers("flapping", EVENTS);
        test.reports(&sent).await;
        test.upstream.wait_until("sixty answers", |all| all.len() >= 60).await;
        test.upstream.recover().await;
        test.upstream.wait_until_taken(&sent).await;
        let log = test.log();
        let (counts, _) = test.shut_down().await;
        assert_eq!((counts.accepted, counts.delivered), (EVENTS as u64, EVENTS as u64));
        let lines = log.text().lines().filter(|line| line.contains("upstream")).count();
        assert!(lines <= 4, "{lines} lines:\n{}", log.text());
    });
}
