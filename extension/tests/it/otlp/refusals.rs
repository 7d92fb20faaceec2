//! What is refused on the port for OTLP, and how the client is told.

use super::{JSON, OTLP, PORT, PROTOBUF, counter, logs, message, spans, start};
use crate::gateway::{gzip, send};
use crate::relay::delivery_test::{DeliveryTest, SECOND};
use crate::support::{
    HANG,
    http::request,
    lambda_api::LambdaApi,
    netns::isolated,
    scripted_upstream::ScriptedUpstream,
    sdk::{KEY, TUNNEL},
};
use hyper::Method;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

const GZIP: (&str, &str) = ("content-encoding", "gzip");

#[test]
fn a_request_that_is_refused_says_why_in_its_own_encoding() {
    isolated(|| async {
        let test = start(&[("SENTRY_EXTENSION_MAX_BODY", "100KiB")]).await;
        let large = logs(&"x".repeat(200_000), 1);
        let get = Method::GET;
        let post = Method::POST;
        for (status, method, path, headers, body) in [
            (404, &post, "/v1/profiles", &[JSON][..], "{}".into()),
            (404, &post, "/api/42/envelope/", &[JSON], "{}".into()),
            (404, &post, "/", &[PROTOBUF], "".into()),
            (405, &get, "/v1/traces", &[JSON], "".into()),
            (415, &post, "/v1/traces", &[], "{}".into()),
            (415, &post, "/v1/metrics", &[("content-type", "text/plain")], "{}".into()),
            (415, &post, "/v1/logs", &[JSON, ("content-encoding", "x")], "{}".into()),
            (413, &post, "/v1/logs", &[JSON], large.clone().into_bytes()),
            (413, &post, "/v1/metrics", &[PROTOBUF, GZIP], gzip(large.as_bytes())),
            (400, &post, "/v1/traces", &[JSON], "".into()),
            (400, &post, "/v1/traces", &[JSON], "{\"resourceSpans\":[1]}".into()),
            (400, &post, "/v1/traces", &[JSON], b"{\"\xff\":1}".to_vec()),
            (400, &post, "/v1/logs", &[PROTOBUF], "no protobuf".into()),
            (400, &post, "/v1/metrics", &[PROTOBUF], b"\x0a\x05\x12".to_vec()),
            (400, &post, "/v1/metrics", &[JSON, GZIP], "no gzip".into()),
            // It is the second Host header. A page in a browser could name any.
            (400, &post, "/v1/logs", &[JSON, ("host", "evil.example")], "{}".into()),
        ] {
            let headers: Vec<_> = headers.to_vec();
            let answer = send(OTLP, method.clone(), path, &headers, body).await;
            assert_eq!(answer.status, status, "{path} {headers:?}: {}", answer.body);
            let why = if headers.contains(&PROTOBUF) {
                assert_eq!((answer.header("content-type"), answer.body.as_bytes()[0]), (PROTOBUF.1, 0x12));
                answer.body.get(2..).unwrap().to_owned()
            } else {
                assert_eq!(answer.header("content-type"), JSON.1);
                let status: Value = serde_json::from_str(&answer.body).unwrap();
                status["message"].as_str().unwrap().to_owned()
            };
            assert!(why.len() > 8, "{why:?}");
            assert_eq!(answer.header("allow"), if status == 405 { "POST" } else { "" });
            assert!(answer.headers.get("access-control-allow-origin").is_none());
        }
        let log = test.log();
        let (counts, upstream) = test.shut_down().await;
        assert_eq!((counts.accepted, upstream.arrivals().len()), (0, 0));
        for reason in ["refused_too_large=2", "refused_path=3", "refused_method=1", "refused_unsupported=3"] {
            assert!(log.contains(reason), "{reason}: {}", log.text());
        }
    });
}

#[test]
fn data_points_that_cannot_be_converted_are_a_partial_success() {
    isolated(|| async {
        let test = start(&[]).await;
        let metric = message(&[(1, b"size"), (11, &message(&[(1, b""), (1, b"")]))]);
        let body = message(&[(1, &message(&[(2, &message(&[(2, &metric)]))]))]);
        let (status, response) = request(OTLP, Method::POST, "/v1/metrics", &[PROTOBUF], body).await.unwrap();
        assert_eq!(status, 200);
        // The message in field 1 begins with the number of rejected data points, which is 2.
        assert_eq!((response[0], &response[2..4]), (0x0a, &[0x08, 2][..]), "{response:?}");
        assert!(String::from_utf8_lossy(&response).contains("summaries"), "{response:?}");
        test.log().wait_for("some metrics cannot be converted").await;
        assert_eq!(test.shut_down().await.0.accepted, 0);
    });
}

/// Reads until the text has this in it.
async fn read_until(stream: &mut TcpStream, end: &str) -> String {
    let mut read = Vec::new();
    let reading = async {
        while !String::from_utf8_lossy(&read).contains(end) {
            assert_ne!(stream.read_buf(&mut read).await.unwrap(), 0, "{}", String::from_utf8_lossy(&read));
        }
    };
    tokio::time::timeout(HANG, reading).await.expect("no answer");
    String::from_utf8(read).unwrap()
}

#[test]
fn a_client_that_finds_no_memory_is_asked_to_try_again() {
    isolated(|| async {
        let test = start(&[]).await;
        // Heads whose bodies are awaited may take 2 MiB together.
        let head = format!(
            "POST /v1/logs HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\
             expect: 100-continue\r\nx-long: {}\r\n\r\n",
            "x".repeat(60_000)
        );
        let mut clients = Vec::new();
        let mut answer = String::new();
        for _ in 0..60 {
            let mut stream = TcpStream::connect(OTLP).await.unwrap();
            stream.write_all(head.as_bytes()).await.unwrap();
            // The extension says that it awaits the body, and then it may refuse to.
            answer = read_until(&mut stream, "\r\n\r\n").await;
            clients.push(stream);
        }
        if !answer.contains("503") {
            answer.push_str(&read_until(clients.last_mut().unwrap(), "}").await);
        }
        let answer = answer.to_ascii_lowercase();
        assert!(answer.contains("http/1.1 503") && answer.contains("retry-after: 1\r\n"), "{answer}");
        drop(clients);
        let answer = send(OTLP, Method::POST, "/v1/logs", &[JSON], logs("after", 1)).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        assert_eq!(test.shut_down().await.0.delivered, 1);
    });
}

#[test]
fn without_the_setting_nothing_listens() {
    isolated(|| async {
        let test = DeliveryTest::start(&[]).await;
        assert!(TcpStream::connect(OTLP).await.is_err());
        // The paths belong to that port alone.
        assert_eq!(send(TUNNEL, Method::POST, "/v1/traces", &[JSON], spans("here", 1)).await.status, 404);
        test.shut_down().await;
    });
}

#[test]
fn a_port_that_is_taken_costs_nothing_else() {
    isolated(|| async {
        let taken = TcpListener::bind(OTLP).await.unwrap();
        let mut test = start(&[]).await;
        test.log().wait_for("cannot listen").await;
        test.invoke(&["an-error".to_owned()]).await;
        drop(taken);
        assert_eq!(test.shut_down().await.0.delivered, 1);
    });
}

#[test]
fn without_a_project_everything_is_refused_with_the_remedy() {
    isolated(|| async {
        let upstream = ScriptedUpstream::start(false).await;
        let url = format!("http://{}", upstream.address());
        let test = DeliveryTest::with(upstream, &[PORT, ("SENTRY_EXTENSION_UPSTREAM", &url)]).await;
        test.log().wait_for("SENTRY_EXTENSION_OTLP_PORT needs a project").await;
        let answer = send(OTLP, Method::POST, "/v1/metrics", &[JSON], counter("x", 1)).await;
        assert_eq!(answer.status, 403);
        assert!(answer.body.contains("set SENTRY_DSN"), "{}", answer.body);
        assert_eq!(test.shut_down().await.0.accepted, 0);
    });
}

#[test]
fn it_listens_before_the_function_starts_and_does_nothing_else() {
    isolated(|| async {
        let upstream = ScriptedUpstream::start(false).await;
        let api = LambdaApi::start().await;
        let dsn = upstream.dsn("127.0.0.1", KEY);
        let extension = crate::support::extension::Extension::in_lambda(&api, &[PORT, ("SENTRY_DSN", &dsn)]);
        // The function may start now.
        api.registration(1).await;
        let answer = send(OTLP, Method::POST, "/v1/traces", &[JSON], spans("early", 1)).await;
        assert_eq!(answer.status, 200);
        api.asked(1).await;
        upstream.wait_until_taken(&["early".to_owned()]).await;
        api.shutdown("spindown", 2 * SECOND);
        assert_eq!(extension.final_counts().await, [1, 1, 0, 0]);
    });
}
