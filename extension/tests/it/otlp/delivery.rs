//! What is sent by OTLP is queued like envelopes: it survives outages and freezes, and is counted.

use super::{JSON, OTLP, PROTOBUF, counter, is_taken, key, logs, message, metrics, spans, start};
use crate::gateway::{gzip, send, zlib};
use crate::relay::delivery_test::{DeliveryTest, FinalCounts, SECOND};
use crate::support::{
    envelope,
    netns::isolated,
    scripted_upstream::{Arrival, Behavior, header},
    sdk::{KEY, TUNNEL},
};
use hyper::{Method, body::Bytes};
use serde_json::Value;

/// Posts a request that has to be accepted as a whole.
async fn post(path: &str, headers: &[(&str, &str)], body: impl Into<Bytes>) {
    let answer = send(OTLP, Method::POST, path, headers, body).await;
    assert_eq!(answer.status, 200, "{path}: {}", answer.body);
    let is_json = headers.contains(&JSON);
    assert_eq!(answer.body, if is_json { "{}" } else { "" }, "{path}");
    assert_eq!(answer.header("content-type"), if is_json { JSON.1 } else { PROTOBUF.1 });
}

async fn post_all(prefix: &str) -> [String; 3] {
    let markers = ["traces", "logs", "metrics"].map(|signal| format!("{prefix}-{signal}"));
    post("/v1/traces", &[JSON], spans(&markers[0], 2)).await;
    post("/v1/logs", &[JSON], logs(&markers[1], 3)).await;
    post("/v1/metrics", &[JSON], counter(&markers[2], 1)).await;
    markers
}

fn arrival(test: &DeliveryTest, marker: &str) -> Arrival {
    test.upstream.arrivals().into_iter().find(|one| one.marker == marker).expect("it has not arrived")
}

#[test]
fn traces_and_logs_reach_sentrys_own_endpoints_as_they_were_sent() {
    isolated(|| async {
        let test = start(&[]).await;
        let protobuf = message(&[(1, &message(&[(2, &message(&[(2, b"\x2a\x01x")]))]))]);
        let marked = [&protobuf[..], &message(&[(15, b"\"marker\":\"protobuf\"")])].concat();
        let own_key = ("x-sentry-auth", "Sentry sentry_key=ffffffffffffffffffffffffffffffff");
        for (path, headers, body, marker) in [
            ("/v1/traces", &[JSON, own_key][..], spans("json", 2).into_bytes(), "json"),
            ("/v1/logs/", &[PROTOBUF, ("x-own", "kept")], marked, "protobuf"),
        ] {
            post(path, headers, body.clone()).await;
            test.upstream.wait_until_taken(&[marker.to_owned()]).await;
            let arrival = arrival(&test, marker);
            let path = path.trim_end_matches('/');
            assert_eq!(arrival.path, format!("/api/42/integration/otlp{path}"));
            assert_eq!(arrival.body, body);
            assert_eq!(key(&arrival), KEY);
            assert_eq!(
                header(&arrival.head, headers[1].0).is_some_and(|value| value == "kept"),
                path == "/v1/logs"
            );
            assert_eq!(header(&arrival.head, "content-type"), Some(headers[0].1));
        }
        // The body is compressed, so the marker is not seen.
        for (encoding, body) in [("gzip", gzip(&protobuf)), ("deflate", zlib(&protobuf))] {
            let before = test.upstream.arrivals().len();
            post("/v1/traces", &[PROTOBUF, ("content-encoding", encoding)], body.clone()).await;
            test.upstream.wait_until("the compressed one", |all| all.len() > before).await;
            let arrival = test.upstream.arrivals().pop().unwrap();
            assert_eq!((header(&arrival.head, "content-encoding"), arrival.body), (Some(encoding), body));
        }
        // A request without anything is no reason to bother Sentry.
        post("/v1/traces", &[PROTOBUF], "").await;
        post("/v1/logs", &[JSON], logs("nothing", 0)).await;
        post("/v1/metrics", &[JSON], counter("nothing", 0)).await;
        let (counts, upstream) = test.shut_down().await;
        assert_eq!((counts.accepted, counts.delivered, upstream.arrivals().len()), (4, 4, 4));
    });
}

#[test]
fn metrics_become_sentrys_own() {
    isolated(|| async {
        let settings = [("SENTRY_RELEASE", "shop@1"), ("SENTRY_ENVIRONMENT", "production")];
        let test = start(&settings).await;
        post("/v1/metrics", &[JSON, ("content-encoding", "gzip")], gzip(counter("many", 250).as_bytes()))
            .await;
        let whole = |all: &[Arrival]| all.iter().flat_map(metrics).count() == 250;
        test.upstream.wait_until("all metrics", whole).await;
        for arrival in test.upstream.arrivals() {
            assert_eq!((&*arrival.path, key(&arrival)), ("/api/42/envelope/", KEY));
            let metrics = metrics(&arrival);
            assert!(metrics.len() <= 100, "{}", metrics.len());
            for metric in metrics {
                assert_eq!(
                    (&metric["name"], &metric["type"], &metric["value"]),
                    (&"orders".into(), &"counter".into(), &1.into())
                );
                assert_eq!(metric["timestamp"].as_f64(), Some(1_795_600_800.499));
                assert_eq!(metric["attributes"]["sentry.release"]["value"], "shop@1");
                assert_eq!(metric["attributes"]["sentry.environment"]["value"], "production");
            }
        }
        let (counts, _) = test.shut_down().await;
        assert_eq!((counts.accepted, counts.delivered), (3, 3));
    });
}

#[test]
fn what_is_sent_during_an_outage_arrives_after_it() {
    isolated(|| async {
        let test = start(&[]).await;
        test.upstream.behave(Behavior::Refuse).await;
        let mut sent = Vec::new();
        for round in 0..5 {
            sent.extend(post_all(&format!("outage-{round}")).await);
        }
        test.log().wait_for("upstream is in trouble").await;
        test.upstream.recover().await;
        test.upstream.wait_until("all", |all| sent.iter().all(|marker| is_taken(all, marker))).await;
        let (counts, upstream) = test.shut_down().await;
        let expected = FinalCounts { accepted: 15, delivered: 15, rejected: 0, dropped: 0, unanswered: 0 };
        assert_eq!(counts, expected, "{:?}", upstream.fates());
    });
}

#[test]
fn what_is_under_way_in_a_freeze_is_sent_again() {
    isolated(|| async {
        let test = start(&[]).await;
        test.upstream.behave(Behavior::Stall).await;
        let sent = post_all("frozen").await;
        test.upstream.wait_until("the first", |all| !all.is_empty()).await;
        test.extension.freeze();
        test.upstream.recover().await;
        test.upstream.reset().await;
        test.extension.thaw();
        test.upstream.wait_until("all", |all| sent.iter().all(|marker| is_taken(all, marker))).await;
        let (counts, _) = test.shut_down().await;
        assert_eq!((counts.accepted, counts.delivered, counts.dropped), (3, 3, 0));
        assert!(counts.unanswered > 0, "nothing was under way");
    });
}

#[test]
fn what_sentry_refuses_is_counted_and_not_sent_again() {
    isolated(|| async {
        let test = start(&[]).await;
        test.upstream.behave(Behavior::Answer(400, "")).await;
        post_all("refused").await;
        test.upstream.wait_until("all", |all| all.len() == 3).await;
        let (counts, upstream) = test.shut_down().await;
        assert_eq!((counts.accepted, counts.rejected, counts.delivered), (3, 3, 0));
        assert_eq!(upstream.arrivals().len(), 3);
    });
}

/// The losses in client reports: reason, category and quantity.
fn reported(all: &[Arrival]) -> Vec<(String, String, u64)> {
    let report = |arrival: &Arrival| {
        let envelope = envelope::parse(&Bytes::from(arrival.body.clone())).ok()?;
        Some(envelope.item("client_report")?.json()["discarded_events"].as_array().unwrap().clone())
    };
    let read = |one: Value| {
        let text = |name: &str| one[name].as_str().unwrap().to_owned();
        (text("reason"), text("category"), one["quantity"].as_u64().unwrap())
    };
    all.iter().filter_map(report).flatten().map(read).collect()
}

#[test]
fn sentrys_rate_limits_are_told_as_a_partial_success_and_losses_are_reported_in_full() {
    isolated(|| async {
        let test = start(&[]).await;
        let limits = "x-sentry-rate-limits: 60:span;log_item;trace_metric:key\r\n";
        test.upstream.behave(Behavior::Answer(200, limits)).await;
        post("/v1/logs", &[JSON], logs("limiting", 1)).await;
        test.log().wait_for("\"message\":\"delivered\"").await;
        test.upstream.recover().await;
        for (path, body, rejected) in [
            ("/v1/traces", spans("limited", 7), "rejectedSpans"),
            ("/v1/logs", logs("limited", 7), "rejectedLogRecords"),
            ("/v1/metrics", counter("limited", 7), "rejectedDataPoints"),
        ] {
            let answer = send(OTLP, Method::POST, path, &[JSON], body).await;
            let response: Value = serde_json::from_str(&answer.body).unwrap();
            // With another status the client would send it again, and the function would wait for it.
            assert_eq!(
                (answer.status, &response["partialSuccess"][rejected]),
                (200, &"7".into()),
                "{}",
                answer.body
            );
            assert!(answer.body.contains("rate limits"), "{}", answer.body);
            assert!(answer.headers.get("retry-after").is_none());
        }
        let in_full = |all: &[Arrival]| {
            let reported = reported(all);
            let has = |category: &str| {
                reported.iter().any(|one| *one == ("ratelimit_backoff".to_owned(), category.to_owned(), 7))
            };
            has("span") && has("log_item") && has("trace_metric")
        };
        let upstream = test.upstream;
        test.api.shutdown("spindown", 2 * SECOND);
        assert_eq!(test.extension.final_counts().await, [1, 1, 0, 0]);
        assert!(in_full(&upstream.arrivals()), "{:?}", reported(&upstream.arrivals()));
    });
}

#[test]
fn what_comes_to_the_port_for_sentrys_sdks_is_counted_too() {
    isolated(|| async {
        let test = start(&[]).await;
        test.upstream.behave(Behavior::Answer(200, "x-sentry-rate-limits: 60:span:key\r\n")).await;
        let auth = format!("Sentry sentry_key={KEY}");
        let headers = [JSON, ("x-sentry-auth", &*auth), ("content-encoding", "gzip")];
        let path = "/api/42/integration/otlp/v1/traces";
        let body = gzip(spans("limiting", 1).as_bytes());
        assert_eq!(send(TUNNEL, Method::POST, path, &headers, body).await.status, 200);
        test.log().wait_for("\"message\":\"delivered\"").await;
        test.upstream.recover().await;
        let body = gzip(spans("limited", 7).as_bytes());
        assert_eq!(send(TUNNEL, Method::POST, path, &headers, body).await.status, 429);
        let (counts, upstream) = test.shut_down().await;
        assert_eq!((counts.accepted, counts.delivered), (1, 1));
        let expected = ("ratelimit_backoff".to_owned(), "span".to_owned(), 7);
        assert_eq!(reported(&upstream.arrivals()), [expected]);
    });
}

#[test]
fn cumulative_sums_count_once_however_often_they_are_sent() {
    isolated(|| async {
        let test = start(&[]).await;
        let now = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap().as_nanos().to_string();
        for total in [3, 3, 5] {
            let body = counter("total", 1)
                .replace("\"aggregationTemporality\":1", "\"aggregationTemporality\":2")
                .replace(
                    "\"asInt\":\"1\"",
                    &format!("\"asInt\":\"{total}\",\"startTimeUnixNano\":\"{now}\""),
                );
            assert!(body.contains(&now));
            post("/v1/metrics", &[JSON], body).await;
        }
        test.upstream.wait_until("both", |all| all.iter().flat_map(metrics).count() == 2).await;
        // The two are delivered side by side, so any of them may arrive first.
        let mut values: Vec<u64> = test
            .upstream
            .arrivals()
            .iter()
            .flat_map(metrics)
            .map(|metric| metric["value"].as_u64().unwrap())
            .collect();
        values.sort_unstable();
        assert_eq!(values, [2, 3]);
        assert_eq!(test.shut_down().await.0.delivered, 2);
    });
}
