//! Look-ups of names, which block a thread each for as long as the resolver takes.

use super::delivery_test::DeliveryTest;
use crate::support::{
    memory::threads,
    netns::isolated,
    resolver::{Answers, NAME, Resolver},
    scripted_upstream::ScriptedUpstream,
    sdk::{KEY, TUNNEL},
};
use hyper::Method;

#[test]
fn a_resolver_that_hangs_takes_no_thread_for_each_request() {
    isolated(|| async {
        let _resolver = Resolver::start(Answers::Nothing).await;
        let upstream = ScriptedUpstream::start(false).await;
        let dsn = upstream.dsn(NAME, KEY);
        let test = DeliveryTest::with(upstream, &[("SENTRY_DSN", &dsn)]).await;
        let mut forwards = tokio::task::JoinSet::new();
        for n in 0..200 {
            forwards.spawn(async move {
                crate::support::http::request(TUNNEL, Method::GET, &format!("/api/0/{n}/"), &[], "").await
            });
        }
        let mut most = 0;
        while forwards.join_next().await.is_some() {
            most = most.max(threads(test.extension.pid()));
        }
        eprintln!("200 forwards with a resolver that hangs: {most} threads");
        assert!(most < 24, "{most} threads");
    });
}
