//! Tests telemetry that is missing, stops, or is malformed. Its effect on an invocation has to be bounded.

use super::{Environment, SECOND, report};
use crate::support::{
    http,
    lambda_api::Subscription,
    netns::isolated,
    sentry::{Gate, Reply},
};
use hyper::Method;
use serde_json::json;
use std::time::Instant;
use tokio::{io::AsyncWriteExt as _, net::TcpStream};

#[test]
fn the_subscription_is_made_before_the_first_next() {
    isolated(|| async {
        let environment = Environment::start("auto", Subscription::Accepted).await;
        let subscribed = environment.api.subscribed().await;
        assert_eq!(subscribed["schemaVersion"], "2022-12-13");
        assert_eq!(subscribed["types"], json!(["platform"]));
        assert_eq!(
            subscribed["buffering"],
            json!({ "timeoutMs": 25, "maxItems": 1000, "maxBytes": 262_144 })
        );
        assert_eq!(subscribed["destination"]["protocol"], "HTTP");
        environment.finish([0; 4]).await;
    });
}

#[test]
fn if_telemetry_is_not_supported_nothing_waits_for_it() {
    isolated(|| async {
        for status in [202, 400, 403, 404, 500] {
            for mode in ["auto", "end"] {
                let mut environment = Environment::start(mode, Subscription::Status(status)).await;
                environment.invoke();
                environment.was_not_held().await;
                environment.extension.log.wait_for("no telemetry").await;
                let nobody = environment.api.destination().await;
                assert!(tokio::net::TcpStream::connect(nobody).await.is_err(), "{status}: still listening");
                environment.finish([0; 4]).await;
            }
        }
    });
}

#[test]
fn without_telemetry_queued_envelopes_hold_for_a_short_time() {
    isolated(|| async {
        let mut environment = Environment::start("end", Subscription::Status(202)).await;
        environment.sentry.respond_with(|_| Reply::ok().held_by(&Gate::closed()));
        report("left over").await;
        let invoked = Instant::now();
        environment.invoke();
        let waited = environment.released().await.saturating_duration_since(invoked);
        // Half a second; nothing else ends this hold.
        assert!((400..5000).contains(&waited.as_millis()), "{waited:?}");
        environment.api.shutdown("spindown", SECOND);
        assert_eq!(environment.extension.final_counts().await, [1, 0, 0, 1]);
    });
}

#[test]
fn an_unanswered_subscription_costs_no_more_than_its_bound() {
    isolated(|| async {
        let started = Instant::now();
        let mut environment = Environment::start("end", Subscription::Silence).await;
        let took = started.elapsed();
        // A fifth of a second, and less than the five that any other call may take.
        assert!((150..4000).contains(&took.as_millis()), "{took:?}");
        environment.invoke();
        environment.was_not_held().await;
        // The subscription had arrived although its response was missing.
        environment.api.done("request-1").await;
        let request = environment.run().await;
        environment.stays_held().await;
        environment.api.done(&request).await;
        environment.released().await;
        environment.finish([0; 4]).await;
    });
}

#[test]
fn telemetry_that_stops_is_waited_for_once() {
    isolated(|| async {
        let mut environment = Environment::start("end", Subscription::Accepted).await;
        environment.invoke();
        environment.released().await;
        environment.extension.log.wait_for("telemetry did not report the end of the function in time").await;
        for _ in 0..5 {
            environment.invoke();
            environment.was_not_held().await;
        }
        // Telemetry is sent again.
        environment.api.done("request-6").await;
        let request = environment.run().await;
        environment.stays_held().await;
        environment.api.done(&request).await;
        environment.released().await;
        environment.finish([0; 4]).await;
    });
}

#[test]
fn odd_telemetry_does_no_harm() {
    isolated(|| async {
        let mut environment = Environment::start("end", Subscription::Accepted).await;
        let to = environment.api.destination().await;
        let request = environment.run().await;
        for body in ["", "[", "{}", "[7]", r#"[{"type":"platform.runtimeDone"}]"#, "\u{fffd}"] {
            let (status, _) = http::request(to, Method::POST, "/", &[], body).await.unwrap();
            assert_eq!(status, 200);
        }
        let (status, _) = http::request(to, Method::GET, "/elsewhere", &[], "").await.unwrap();
        assert_eq!(status, 200);
        // This batch is too large. Only its connection may break.
        let _ = http::request(to, Method::POST, "/", &[], vec![b'['; 5 << 20]).await;
        environment.api.done("of another request").await;
        environment.stays_held().await;
        // A start record after the end record of the same request changes nothing.
        environment.api.done(&request).await;
        environment.api.started(&request).await;
        environment.released().await;
        // The end record may come before the event, and in one batch with other records.
        environment.api.done("request-2").await;
        environment.invoke();
        environment.released().await;
        // The dropped records may include an end record.
        environment.run().await;
        environment.api.post_telemetry(&json!([{ "type": "platform.logsDropped", "record": {} }])).await;
        environment.released().await;
        environment.finish([0; 4]).await;
    });
}

#[test]
fn what_others_connect_does_not_keep_lambda_out() {
    isolated(|| async {
        let mut environment = Environment::start("end", Subscription::Accepted).await;
        let to = environment.api.destination().await;
        let mut others = Vec::new();
        for n in 0..40 {
            let mut other = TcpStream::connect(to).await.unwrap();
            // Some have sent nothing, and others a part of a body.
            let part = format!("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n[", 1 << 20);
            other.write_all(&part.as_bytes()[..if n % 2 == 0 { 0 } else { part.len() }]).await.unwrap();
            others.push(other);
        }
        let request = environment.run().await;
        environment.stays_held().await;
        environment.api.done(&request).await;
        environment.released().await;
        environment.finish([0; 4]).await;
    });
}
