//! An upstream that records every request.

use crate::support::HANG;
use http_body_util::{BodyExt, Full};
use hyper::{
    HeaderMap, Method, Request, Response,
    body::{Bytes, Incoming},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use std::sync::Arc;
use tokio::{net::TcpListener, sync::watch, task::AbortHandle};

/// A request as it was received.
#[derive(Clone, Debug)]
pub struct Recorded {
    pub method: Method,
    /// The path and the query.
    pub path: String,
    pub headers: HeaderMap,
    pub body: Bytes,
}

/// The recording upstream. It ends when it is dropped.
pub struct Recorder {
    pub url: String,
    all: watch::Sender<Vec<Recorded>>,
    open: watch::Sender<bool>,
    server: AbortHandle,
}

impl Recorder {
    /// Starts an upstream that answers every request with 200, a body, and headers. Some of the headers must not reach
    /// the client.
    pub async fn start() -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let all = watch::Sender::new(Vec::new());
        let open = watch::Sender::new(true);
        let server = tokio::spawn(accept(listener, all.clone(), open.clone())).abort_handle();
        Self { url, all, open, server }
    }

    /// Makes the upstream hold its responses back, or send them again.
    pub fn answers(&self, open: bool) {
        self.open.send_replace(open);
    }

    /// Waits until this number of requests has arrived, and returns the last.
    pub async fn arrived(&self, count: usize) -> Recorded {
        let mut all = self.all.subscribe();
        let wait = all.wait_for(|all| all.len() >= count);
        let all = tokio::time::timeout(HANG, wait).await.expect("nothing arrives").unwrap();
        all[count - 1].clone()
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn accept(listener: TcpListener, all: watch::Sender<Vec<Recorded>>, open: watch::Sender<bool>) {
    let shared = Arc::new((all, open));
    let mut connections = tokio::task::JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let shared = Arc::clone(&shared);
        connections.spawn(async move {
            let service = service_fn(|request| answer(request, &shared.0, &shared.1));
            // An error means that the client has disconnected.
            let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

async fn answer(
    request: Request<Incoming>,
    all: &watch::Sender<Vec<Recorded>>,
    open: &watch::Sender<bool>,
) -> Result<Response<Full<Bytes>>, hyper::Error> {
    let (head, body) = request.into_parts();
    let path = head.uri.to_string();
    let body = body.collect().await?.to_bytes();
    all.send_modify(|all| all.push(Recorded { method: head.method, path, headers: head.headers, body }));
    let _ = open.subscribe().wait_for(|open| *open).await;
    let status = if all.borrow().last().unwrap().path.contains("teapot") { 418 } else { 200 };
    let answer = Response::builder()
        .status(status)
        .header("content-type", "text/x-own")
        .header("x-own", "1")
        .header("keep-alive", "timeout=7")
        .header("set-cookie", "a=1")
        .header("set-cookie", "b=2");
    Ok(answer.body(Full::from("from upstream")).unwrap())
}
