//! The part of Lambda's API that a function's runtime client uses, for a function that runs beside the scripted Lambda.

use super::HANG;
use http_body_util::{BodyExt, Full};
use hyper::{Method, Request, Response, body::Bytes, body::Incoming, service::service_fn};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use std::{
    net::SocketAddr,
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};
use tokio::{
    net::TcpListener,
    sync::{Mutex, mpsc},
    task::AbortHandle,
};

/// The API. It ends when it is dropped.
pub struct RuntimeApi {
    address: SocketAddr,
    /// The invocations: request id and event.
    invocations: mpsc::UnboundedSender<(String, Value)>,
    responses: mpsc::UnboundedReceiver<(String, Value)>,
    server: AbortHandle,
}

struct Shared {
    invocations: Mutex<mpsc::UnboundedReceiver<(String, Value)>>,
    responses: mpsc::UnboundedSender<(String, Value)>,
}

impl RuntimeApi {
    pub async fn start() -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let (invocations, invoked) = mpsc::unbounded_channel();
        let (respond, responses) = mpsc::unbounded_channel();
        let shared = Arc::new(Shared { invocations: Mutex::new(invoked), responses: respond });
        let server = tokio::spawn(accept(listener, shared)).abort_handle();
        Self { address, invocations, responses, server }
    }

    /// The value of `AWS_LAMBDA_RUNTIME_API`.
    pub fn address(&self) -> String {
        self.address.to_string()
    }

    /// Invokes the function, and returns the last part of the path that it responds to, and the response.
    pub async fn invoke(&mut self, request: &str, event: Value) -> (String, Value) {
        self.invocations.send((request.to_owned(), event)).unwrap();
        let responded = tokio::time::timeout(HANG, self.responses.recv()).await;
        responded.expect("the function does not respond").unwrap()
    }
}

impl Drop for RuntimeApi {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    let mut connections = tokio::task::JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let shared = Arc::clone(&shared);
        connections.spawn(async move {
            let service = service_fn(|request| answer(request, &shared));
            // The function may end at any time.
            let _ = hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service)
                .await;
        });
    }
}

async fn answer(
    request: Request<Incoming>,
    shared: &Shared,
) -> Result<Response<Full<Bytes>>, std::io::Error> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.map_err(std::io::Error::other)?.to_bytes();
    if head.method == Method::GET && head.uri.path().ends_with("/runtime/invocation/next") {
        let Some((request, event)) = shared.invocations.lock().await.recv().await else {
            return Err(std::io::Error::other("the test has ended"));
        };
        let deadline = SystemTime::now().duration_since(UNIX_EPOCH).unwrap() + HANG;
        let response = Response::builder()
            .header("lambda-runtime-aws-request-id", request)
            .header("lambda-runtime-deadline-ms", deadline.as_millis().to_string())
            .header(
                "lambda-runtime-invoked-function-arn",
                "arn:aws:lambda:eu-central-1:123456789012:function:orders",
            )
            .header("content-type", "application/json");
        return Ok(response.body(Full::from(event.to_string())).unwrap());
    }
    let kind = head.uri.path().rsplit('/').next().unwrap_or_default().to_owned();
    shared.responses.send((kind, serde_json::from_slice(&body).unwrap_or_default())).unwrap();
    Ok(Response::builder().status(202).body(Full::from("{\"status\":\"OK\"}")).unwrap())
}
