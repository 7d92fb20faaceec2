//! Tests requests that come back to the extension that sent them. A relay of bytes in front of the extension stands for
//! every name and every process by which a request may come back.

use super::{ENVELOPE, auth, send};
use crate::support::{
    extension::Extension,
    sentry::{Sentry, Transport},
};
use hyper::Method;
use serde_json::Value;
use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::AbortHandle;

/// Passes bytes on to an address that is known later.
struct ByteRelay {
    url: String,
    target: Arc<OnceLock<SocketAddr>>,
    server: AbortHandle,
}

impl ByteRelay {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let target: Arc<OnceLock<SocketAddr>> = Arc::default();
        let known = Arc::clone(&target);
        let server = tokio::spawn(async move {
            let mut connections = tokio::task::JoinSet::new();
            while let Ok((mut client, _)) = listener.accept().await {
                let target = *known.get().expect("no target yet");
                connections.spawn(async move {
                    let mut stream = TcpStream::connect(target).await?;
                    copy_bidirectional(&mut client, &mut stream).await
                });
            }
        });
        Self { url, target, server: server.abort_handle() }
    }
}

impl Drop for ByteRelay {
    fn drop(&mut self) {
        self.server.abort();
    }
}

/// Ends the extension, and returns its warnings and its last line.
async fn warnings(extension: Extension) -> (Vec<Value>, Value) {
    extension.terminate();
    let (_, log) = extension.ended().await;
    let lines = log.text().lines().filter_map(|line| serde_json::from_str(line).ok()).collect::<Vec<Value>>();
    let last = lines.iter().find(|line| line["message"] == "envelopes").unwrap().clone();
    let is_warning = |line: &Value| line["message"] != "envelopes" && line["level"] == "warn";
    (lines.into_iter().filter(is_warning).collect(), last)
}

#[tokio::test]
async fn what_comes_back_is_refused_with_one_warning() {
    let back = ByteRelay::start().await;
    let (extension, address) = Extension::standalone(&back.url, &[]).await;
    back.target.set(address).unwrap();
    for _ in 0..3 {
        let answer = send(address, Method::GET, "/api/0/organizations/", &[], "").await;
        assert_eq!(answer.status, 508, "{}", answer.body);
        assert!(answer.body.contains("SENTRY_EXTENSION_DSN"), "{}", answer.body);
    }
    let auth = auth();
    for _ in 0..3 {
        let headers = [("x-sentry-auth", &*auth)];
        assert_eq!(send(address, Method::POST, "/api/42/envelope/", &headers, ENVELOPE).await.status, 200);
    }
    let (warnings, last) = warnings(extension).await;
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert_eq!((&warnings[0]["reason"], &warnings[0]["status"]), (&"loop".into(), &508.into()));
    assert_eq!(warnings[0]["host"], back.url.replace("http://", ""));
    let counts = ["accepted", "rejected", "pending", "refused"].map(|name| last[name].as_u64().unwrap());
    assert_eq!(counts, [3, 3, 0, 6], "{last}");
    assert_eq!(last["reasons"], "http_508=3 refused_loop=6");
}

#[tokio::test]
async fn a_loop_through_another_extension_is_refused_and_a_chain_of_extensions_is_not() {
    let sentry = Sentry::start(Transport::Plain).await;
    let (second, second_address) = Extension::standalone(&sentry.url(), &[]).await;
    let (first, first_address) = Extension::standalone(&format!("http://{second_address}"), &[]).await;
    let auth = auth();
    let headers = [("x-sentry-auth", &*auth)];
    assert_eq!(send(first_address, Method::POST, "/api/42/envelope/", &headers, ENVELOPE).await.status, 200);
    let arrived = sentry.wait_for("an event", |_| true).await;
    let hops: Vec<_> = arrived.headers.get_all("x-sentry-extension-hop").iter().collect();
    assert_eq!(hops.len(), 2, "{hops:?}");
    assert_ne!(hops[0], hops[1]);
    for extension in [first, second] {
        let (warnings, last) = warnings(extension).await;
        assert_eq!((warnings.len(), &last["delivered"]), (0, &1.into()), "{warnings:?} {last}");
    }

    let back = ByteRelay::start().await;
    let (second, second_address) = Extension::standalone(&back.url, &[]).await;
    let (first, first_address) = Extension::standalone(&format!("http://{second_address}"), &[]).await;
    back.target.set(first_address).unwrap();
    // `Connection` must not remove the marker.
    let hostile = [("connection", "x-sentry-extension-hop")];
    for headers in [&[][..], &hostile] {
        assert_eq!(send(first_address, Method::GET, "/api/0/x/", headers, "").await.status, 508);
    }
    let (of_first, last) = warnings(first).await;
    assert_eq!((of_first.len(), &last["refused"]), (1, &2.into()), "{of_first:?} {last}");
    assert_eq!(warnings(second).await.0, Vec::<Value>::new());
}
