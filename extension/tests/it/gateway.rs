//! What SDKs are answered, by the real binary in standalone mode: the contract of a local relay.

use crate::support::{
    extension::Extension,
    http,
    sentry::{Sentry, Transport},
};
use hyper::{Method, body::Bytes};
use std::{io::Write, net::SocketAddr, time::Duration};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

const KEY: &str = "5b0ff8a1e2c94d7fb7a3c1d2e4f60718";
const ENVELOPE: &str = "{\"event_id\":\"f3d98fbd851e4cfeb5a6d4e45a253049\"}\n{\"type\":\"event\"}\n{}\n";
const SECOND: Duration = Duration::from_secs(1);

/// Names and values.
type Headers<'a> = Vec<(&'a str, &'a str)>;

struct Setup {
    extension: Extension,
    sentry: Sentry,
    address: SocketAddr,
}

impl Setup {
    async fn new(env: &[(&str, &str)]) -> Self {
        let sentry = Sentry::start(Transport::Plain).await;
        let (extension, address) = Extension::standalone(&sentry.url(), env).await;
        Self { extension, sentry, address }
    }

    /// Posts and returns the status and the body.
    async fn post(&self, path: &str, headers: &[(&str, &str)], body: impl Into<Bytes>) -> (u16, String) {
        let (status, body) = http::request(self.address, Method::POST, path, headers, body).await.unwrap();
        (status.as_u16(), String::from_utf8(body.to_vec()).unwrap())
    }

    /// Ends it; the stand-in must have got exactly so many envelopes, and nothing odd.
    async fn finish(self, envelopes: u64) {
        self.extension.terminate();
        assert_eq!(self.extension.books(5 * SECOND).await, [envelopes, envelopes, 0, 0]);
        assert_eq!(self.sentry.violations(), Vec::<String>::new());
    }
}

fn with_dsn(dsn: &str) -> String {
    ENVELOPE.replacen('{', &format!("{{\"dsn\":\"{dsn}\","), 1)
}

#[tokio::test]
async fn accepted_in_every_form_of_authentication() {
    let setup = Setup::new(&[]).await;
    let own = format!("Sentry sentry_version=7,sentry_client=test/1,sentry_key={KEY}");
    let basic = format!("Basic {}", base64(&format!("{KEY}:")));
    let query = format!("/api/42/envelope/?sentry_key={KEY}&sentry_version=7");
    let id = "{\"id\":\"f3d98fbd851e4cfeb5a6d4e45a253049\"}";
    let plain: Vec<(&str, Headers<'_>, String)> = vec![
        ("/api/42/envelope/", vec![("x-sentry-auth", &own)], ENVELOPE.to_owned()),
        ("/api/42/envelope", vec![("authorization", &own)], ENVELOPE.to_owned()),
        ("//api/42//envelope/", vec![("authorization", &basic)], ENVELOPE.to_owned()),
        (&query, vec![], ENVELOPE.to_owned()),
        ("/envelope", vec![], with_dsn(&format!("https://{KEY}@anywhere.example/42"))),
        ("/envelope/?x=y", vec![], with_dsn(&format!("https://{KEY}@anywhere.example/42"))),
        ("/api/7/envelope/", vec![("x-sentry-auth", "")], with_dsn(&format!("http://{KEY}@x.example/42"))),
    ];
    let count = plain.len();
    for (path, headers, body) in plain {
        assert_eq!(setup.post(path, &headers, body).await, (200, id.to_owned()), "{path} {headers:?}");
    }
    setup.sentry.wait_for("the last", 5 * SECOND, |_| setup.sentry.received().len() == count).await;
    for one in setup.sentry.received() {
        assert_eq!((&*one.key, &*one.path), (KEY, "/api/42/envelope/"));
    }
    setup.finish(count as u64).await;
}

#[tokio::test]
async fn refused_with_a_reason() {
    let setup = Setup::new(&[("SENTRY_EXTENSION_MAX_BODY", "100KiB")]).await;
    let auth = format!("Sentry sentry_key={KEY}");
    let signed = ("x-sentry-auth", &*auth);
    let envelope = "/api/42/envelope/";
    let other = with_dsn("https://ffffffffffffffffffffffffffffffff@x.example/42");
    let elsewhere = with_dsn(&format!("https://{KEY}@x.example/43"));
    let twice = format!("{envelope}?sentry_key={KEY}");
    let bomb = gzip(&[&b"{}\n{\"type\":\"event\"}\n"[..], &vec![b' '; 1 << 20]].concat());
    assert!(bomb.len() < 10_000);
    let cases: Vec<(u16, &str, Headers<'_>, Vec<u8>)> = vec![
        (401, envelope, vec![], ENVELOPE.into()),
        (401, &twice, vec![signed], ENVELOPE.into()),
        (401, envelope, vec![("x-sentry-auth", "Sentry sentry_version=7")], ENVELOPE.into()),
        (400, envelope, vec![("x-sentry-auth", "Sentry sentry_key=short")], ENVELOPE.into()),
        (400, "/api/abc/envelope/", vec![signed], ENVELOPE.into()),
        (400, envelope, vec![signed], other.into()),
        (400, envelope, vec![signed], elsewhere.into()),
        (400, envelope, vec![signed], vec![]),
        (400, envelope, vec![signed], b"no json\n".to_vec()),
        (400, envelope, vec![signed], b"{}\n{\"type\":\"event\",\"length\":9}\n{}".to_vec()),
        (400, envelope, vec![signed, ("content-encoding", "gzip")], ENVELOPE.into()),
        (415, envelope, vec![signed, ("content-encoding", "lzma")], ENVELOPE.into()),
        (413, envelope, vec![signed], vec![b' '; 200 * 1024]),
        (413, envelope, vec![signed, ("content-encoding", "gzip")], bomb),
        (400, "/api/42/store/", vec![signed], vec![]),
        (400, "/api/42/store/", vec![signed], b"{nonsense".to_vec()),
        (404, "/api/42/nonsense/", vec![signed], ENVELOPE.into()),
        (404, "/", vec![signed], ENVELOPE.into()),
    ];
    for (status, path, headers, body) in cases {
        let (got, text) = setup.post(path, &headers, body).await;
        assert_eq!(got, status, "{path} {headers:?}: {text}");
        let error: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert!(error["detail"].as_str().is_some_and(|d| !d.is_empty()), "{text}");
        assert!(error["causes"].is_array(), "{text}");
    }
    setup.finish(0).await;
}

#[tokio::test]
async fn health_and_methods() {
    let setup = Setup::new(&[]).await;
    for (method, path, status) in [
        (Method::GET, "/api/relay/healthcheck/live/", 200),
        (Method::HEAD, "/api/relay/healthcheck/ready/", 200),
        (Method::GET, "/api/0/relays/live/", 200),
        (Method::GET, "/api/relay/healthcheck/live", 404),
        (Method::GET, "/api/relay/healthcheck/odd/", 400),
        (Method::GET, "/envelope", 405),
        (Method::PUT, "/api/42/envelope/", 405),
    ] {
        let (got, _) = http::request(setup.address, method.clone(), path, &[], "").await.unwrap();
        assert_eq!(got.as_u16(), status, "{method} {path}");
    }
    setup.finish(0).await;
}

#[tokio::test]
async fn bytes_and_headers_go_upstream_as_they_came() {
    let setup = Setup::new(&[]).await;
    let auth = format!("Sentry sentry_key={KEY}, sentry_version=7, sentry_client=sentry.ruby/5.0");
    let body = gzip(ENVELOPE.as_bytes());
    let headers = [
        ("x-sentry-auth", &*auth),
        ("content-encoding", "gzip"),
        ("content-type", "application/x-sentry-envelope"),
        ("user-agent", "sentry-ruby/5.0"),
    ];
    assert_eq!(setup.post("/api/42/envelope/", &headers, body.clone()).await.0, 200);
    let one = setup.sentry.wait_for("it", 5 * SECOND, |_| true).await;
    assert_eq!(one.body, body);
    for (name, value) in headers {
        assert_eq!(one.headers[name], value);
    }
    setup.finish(1).await;
}

#[tokio::test]
async fn an_event_of_old_becomes_an_envelope() {
    let setup = Setup::new(&[]).await;
    let auth = format!("Sentry sentry_key={KEY}, sentry_version=7, sentry_client=raven/1");
    let headers =
        [("x-sentry-auth", &*auth), ("content-encoding", "gzip"), ("content-type", "application/json")];
    let event = "{\"event_id\":\"f3d98fbd851e4cfeb5a6d4e45a253049\",\"message\":\"old\"}";
    let (status, answer) = setup.post("/api/42/store/", &headers, gzip(event.as_bytes())).await;
    assert_eq!((status, &*answer), (200, "{\"id\":\"f3d98fbd851e4cfeb5a6d4e45a253049\"}"));
    let one = setup.sentry.wait_for("it", 5 * SECOND, |_| true).await;
    assert_eq!(one.envelope.item("event").unwrap().payload, event);
    assert_eq!(one.envelope.header["event_id"], "f3d98fbd851e4cfeb5a6d4e45a253049");
    assert_eq!(one.encoding(), None);
    setup.finish(1).await;
}

#[tokio::test]
async fn clients_of_every_temper() {
    let setup = Setup::new(&[]).await;
    let length = ENVELOPE.len();
    let auth = format!("X-Sentry-Auth: Sentry sentry_key={KEY}\r\n");
    let post = format!("POST /api/42/envelope/ HTTP/1.1\r\nHost: x\r\n{auth}");
    let one = format!("{post}Content-Length: {length}\r\n\r\n{ENVELOPE}");

    // Two at once on one connection.
    let mut stream = TcpStream::connect(setup.address).await.unwrap();
    stream.write_all(one.repeat(2).as_bytes()).await.unwrap();
    read_answers(&mut stream, "HTTP/1.1 200", 2).await;

    // In chunks, one of them on each side of a pause.
    let (first, second) = ENVELOPE.split_at(10);
    stream
        .write_all(format!("{post}Transfer-Encoding: chunked\r\n\r\na\r\n{first}\r\n").as_bytes())
        .await
        .unwrap();
    stream.write_all(format!("{:x}\r\n{second}\r\n0\r\n\r\n", second.len()).as_bytes()).await.unwrap();
    read_answers(&mut stream, "HTTP/1.1 200", 1).await;

    // Waits to be asked for the body.
    let polite = format!("{post}Expect: 100-continue\r\nContent-Length: {length}\r\n\r\n");
    stream.write_all(polite.as_bytes()).await.unwrap();
    read_answers(&mut stream, "HTTP/1.1 100", 1).await;
    stream.write_all(ENVELOPE.as_bytes()).await.unwrap();
    read_answers(&mut stream, "HTTP/1.1 200", 1).await;

    // Sends, and closes its half.
    let mut stream = TcpStream::connect(setup.address).await.unwrap();
    stream.write_all(one.as_bytes()).await.unwrap();
    stream.shutdown().await.unwrap();
    read_answers(&mut stream, "HTTP/1.1 200", 1).await;

    // HTTP/1.0: the answer, and then the end.
    let mut stream = TcpStream::connect(setup.address).await.unwrap();
    stream.write_all(one.replace("HTTP/1.1", "HTTP/1.0").as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.0 200"), "{answer}");

    // Leaves in mid-body: nobody was told that it is accepted.
    let mut stream = TcpStream::connect(setup.address).await.unwrap();
    stream.write_all(format!("{post}Content-Length: 9999\r\n\r\n{ENVELOPE}").as_bytes()).await.unwrap();
    drop(stream);

    setup.finish(6).await;
}

async fn read_answers(stream: &mut TcpStream, status: &str, count: usize) {
    let mut read = Vec::new();
    let reading = async {
        loop {
            let text = String::from_utf8_lossy(&read);
            let heads = text.matches("HTTP/1.").count();
            assert_eq!(text.matches(status).count(), heads, "{text}");
            if heads == count
                && (status.ends_with("100") && text.ends_with("\r\n\r\n") || text.ends_with('}'))
            {
                return;
            }
            let got = stream.read_buf(&mut read).await.unwrap();
            assert!(got > 0, "closed after {:?}", String::from_utf8_lossy(&read));
        }
    };
    tokio::time::timeout(5 * SECOND, reading).await.expect("no answer");
}

fn gzip(plain: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(plain).unwrap();
    encoder.finish().unwrap()
}

fn base64(text: &str) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(text)
}
