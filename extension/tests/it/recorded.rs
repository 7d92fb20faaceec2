//! Replays requests that were recorded from Sentry's SDKs, byte for byte. The same bytes have to arrive upstream.

use crate::support::{
    extension::Extension,
    sentry::{Sentry, Transport},
};
use std::{fs, net::SocketAddr, path::Path};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::TcpStream,
};

/// The key and the project of the DSN that the SDKs had while they were recorded.
const KEY: &str = "a94ae32be2584e0bbd7a4cbb95971fee";
const PROJECT: &str = "42";

/// One recording. It is parsed without any code of the extension.
struct Recording {
    name: String,
    raw: Vec<u8>,
    encoding: Option<String>,
    /// The body without its chunk framing.
    body: Vec<u8>,
}

impl Recording {
    fn read(file: &Path) -> Self {
        let raw = fs::read(file).unwrap();
        let end = raw.windows(4).position(|four| four == b"\r\n\r\n").unwrap();
        let head = String::from_utf8(raw[..end].to_vec()).unwrap();
        let header = |name: &str| {
            let mut lines = head.lines().skip(1).filter_map(|line| line.split_once(':'));
            lines
                .find(|(found, _)| found.eq_ignore_ascii_case(name))
                .map(|(_, value)| value.trim().to_owned())
        };
        let body = &raw[end + 4..];
        let body = if header("transfer-encoding").is_some() { unchunk(body) } else { body.to_vec() };
        let name = file.file_name().unwrap().to_str().unwrap().to_owned();
        Self { name, encoding: header("content-encoding"), body, raw }
    }
}

fn unchunk(mut rest: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    loop {
        let line = rest.windows(2).position(|two| two == b"\r\n").unwrap();
        let length = usize::from_str_radix(std::str::from_utf8(&rest[..line]).unwrap(), 16).unwrap();
        if length == 0 {
            return body;
        }
        body.extend_from_slice(&rest[line + 2..line + 2 + length]);
        rest = &rest[line + 2 + length + 2..];
    }
}

/// Sends the bytes, and returns the status line of the response.
async fn replay(relay: SocketAddr, raw: &[u8]) -> String {
    let mut stream = BufReader::new(TcpStream::connect(relay).await.unwrap());
    stream.write_all(raw).await.unwrap();
    let mut status = String::new();
    stream.read_line(&mut status).await.unwrap();
    status
}

#[tokio::test]
async fn every_recorded_request_goes_upstream_unchanged() {
    let sentry = Sentry::start(Transport::Plain).await;
    let (extension, relay) = Extension::standalone(&sentry.url(), &[]).await;
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/sdk-requests");
    let mut files: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let replayed = files.len() as u64;
    assert!(replayed > 20, "recordings are missing: {files:?}");

    for file in files {
        let Recording { name, raw, encoding, body } = Recording::read(&file);
        let status = replay(relay, &raw).await;
        assert_eq!(status, "HTTP/1.1 200 OK\r\n", "{name}; violations: {:?}", sentry.violations());
        let arrived = sentry.wait_for(&name, |one| one.body == body).await;
        assert_eq!(arrived.encoding(), encoding.as_deref(), "{name}");
        assert_eq!((&arrived.key[..], &arrived.project[..]), (KEY, PROJECT), "{name}");
    }
    assert_eq!(sentry.violations(), Vec::<String>::new());
    extension.terminate();
    let [accepted, delivered, ..] = extension.final_counts().await;
    assert_eq!((accepted, delivered), (replayed, replayed));
}
