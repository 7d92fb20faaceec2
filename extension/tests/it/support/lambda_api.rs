//! A scripted Lambda. It serves the Extensions API, and sends events and failures when a test asks for them.

use super::HANG;
use http_body_util::{BodyExt, Full};
use hyper::{HeaderMap, Method, Request, Response, body::Bytes, body::Incoming, service::service_fn};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use std::{
    collections::VecDeque,
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};
use tokio::{
    net::TcpListener,
    sync::{mpsc, watch},
    task::AbortHandle,
};

/// The id that a registration returns.
const ID: &str = "d7a1f0de-6b2f-4a05-8f5e-3c1f5f1f8f10";

/// The response to `/event/next`.
pub enum Next {
    /// An event, as Lambda sends it.
    Event(Value),
    /// A status, with a short text.
    Status(u16),
    /// These bytes, with status 200.
    Raw(&'static str),
    /// No response: the connection is closed.
    Close,
}

/// The response to a subscription to telemetry.
#[derive(Clone, Copy, Debug)]
pub enum Subscription {
    /// 200, as Lambda responds.
    Accepted,
    /// A status. An emulator without telemetry responds with 202.
    Status(u16),
    /// No response.
    Silence,
}

/// The request with which an extension registered.
#[derive(Clone, Debug)]
pub struct Registration {
    pub name: String,
    pub events: Value,
    pub headers: HeaderMap,
}

/// The scripted API. It ends when it is dropped.
pub struct LambdaApi {
    address: SocketAddr,
    shared: Arc<Shared>,
    events: mpsc::UnboundedSender<Next>,
    server: AbortHandle,
}

struct Shared {
    registrations: watch::Sender<Vec<Registration>>,
    /// The statuses with which the next registrations are refused, in this order.
    refusals: Mutex<VecDeque<u16>>,
    /// The times at which `/event/next` was asked.
    asked: watch::Sender<Vec<Instant>>,
    subscription: Mutex<Subscription>,
    subscribed: watch::Sender<Option<Value>>,
    events: tokio::sync::Mutex<mpsc::UnboundedReceiver<Next>>,
    violations: Mutex<Vec<String>>,
}

impl LambdaApi {
    pub async fn start() -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let (events, receiver) = mpsc::unbounded_channel();
        let shared = Arc::new(Shared {
            registrations: watch::Sender::default(),
            refusals: Mutex::default(),
            asked: watch::Sender::default(),
            subscription: Mutex::new(Subscription::Status(202)),
            subscribed: watch::Sender::default(),
            events: tokio::sync::Mutex::new(receiver),
            violations: Mutex::default(),
        });
        let server = tokio::spawn(accept(listener, Arc::clone(&shared))).abort_handle();
        Self { address, shared, events, server }
    }

    /// The value of `AWS_LAMBDA_RUNTIME_API`.
    pub fn address(&self) -> String {
        self.address.to_string()
    }

    /// Refuses the next registrations with these statuses.
    pub fn refuse(&self, statuses: &[u16]) {
        self.shared.refusals.lock().unwrap().extend(statuses);
    }

    /// Waits for the nth attempt to register.
    pub async fn registration(&self, nth: usize) -> Registration {
        let mut all = self.shared.registrations.subscribe();
        let enough = all.wait_for(|all| all.len() >= nth);
        let all = tokio::time::timeout(HANG, enough).await.expect("no registration").unwrap();
        all[nth - 1].clone()
    }

    /// Returns how many attempts to register there were so far.
    pub fn registrations_so_far(&self) -> usize {
        self.shared.registrations.borrow().len()
    }

    /// Waits until `/event/next` is asked for the nth time, and returns when that was. The extension has then finished
    /// all earlier events.
    pub async fn asked(&self, nth: usize) -> Instant {
        let mut asked = self.shared.asked.subscribe();
        let waited = tokio::time::timeout(HANG, asked.wait_for(|asked| asked.len() >= nth)).await;
        waited.unwrap_or_else(|_| panic!("next was not asked {nth} times")).unwrap()[nth - 1]
    }

    /// Returns how often `/event/next` was asked so far.
    pub fn asked_so_far(&self) -> usize {
        self.shared.asked.borrow().len()
    }

    /// Responds to subscriptions to telemetry in this way from now on. The default is the response of an emulator.
    pub fn telemetry(&self, subscription: Subscription) {
        *self.shared.subscription.lock().unwrap() = subscription;
    }

    /// Waits for the subscription to telemetry.
    pub async fn subscribed(&self) -> Value {
        let mut subscribed = self.shared.subscribed.subscribe();
        let waited = tokio::time::timeout(HANG, subscribed.wait_for(Option::is_some)).await;
        waited.expect("no subscription to telemetry").unwrap().clone().unwrap()
    }

    /// Returns the address that telemetry is posted to. The subscription names `sandbox.localdomain`, which only
    /// Lambda can resolve.
    pub async fn destination(&self) -> SocketAddr {
        let subscribed = self.subscribed().await;
        let uri: hyper::Uri = subscribed["destination"]["URI"].as_str().unwrap().parse().unwrap();
        assert_eq!(uri.host(), Some("sandbox.localdomain"));
        SocketAddr::from(([127, 0, 0, 1], uri.port_u16().unwrap()))
    }

    /// Posts a telemetry batch.
    pub async fn post_telemetry(&self, records: &Value) {
        let headers = [("content-type", "application/json")];
        let to = self.destination().await;
        let (status, _) =
            super::http::request(to, Method::POST, "/", &headers, records.to_string()).await.unwrap();
        assert_eq!(status, 200);
    }

    /// Posts the telemetry that the function was started for a request.
    pub async fn started(&self, request: &str) {
        self.post_telemetry(&json!([record("platform.start", &json!({ "requestId": request }))])).await;
    }

    /// Posts the telemetry that the function is done with a request.
    pub async fn done(&self, request: &str) {
        let done = json!({ "requestId": request, "status": "success", "metrics": { "durationMs": 5 } });
        self.post_telemetry(&json!([record("platform.runtimeDone", &done)])).await;
    }

    /// Sets the response to the next `/event/next`.
    pub fn answer(&self, next: Next) {
        self.events.send(next).unwrap();
    }

    /// Sends an INVOKE with three seconds to go.
    pub fn invoke(&self) {
        self.invoke_as("3da1f2dc-3222-475e-9205-e2e6c6318895", Duration::from_secs(3));
    }

    /// Sends an INVOKE with this request id and this time to go.
    pub fn invoke_as(&self, request: &str, within: Duration) {
        let event = json!({
            "eventType": "INVOKE", "deadlineMs": deadline(within), "requestId": request,
            "invokedFunctionArn": "arn:aws:lambda:us-east-1:123456789012:function:f",
            "tracing": { "type": "X-Amzn-Trace-Id", "value": "Root=1-5f35ae12" },
        });
        self.answer(Next::Event(event));
    }

    /// Sends SHUTDOWN with this time to go.
    pub fn shutdown(&self, reason: &str, within: Duration) {
        let event =
            json!({ "eventType": "SHUTDOWN", "shutdownReason": reason, "deadlineMs": deadline(within) });
        self.answer(Next::Event(event));
    }

    /// Returns what the extension did that Lambda does not allow.
    pub fn violations(&self) -> Vec<String> {
        self.shared.violations.lock().unwrap().clone()
    }
}

impl Drop for LambdaApi {
    fn drop(&mut self) {
        self.server.abort();
    }
}

/// A record of telemetry.
pub fn record(kind: &str, record: &Value) -> Value {
    json!({ "time": "2026-11-02T10:00:00.000Z", "type": kind, "record": record })
}

fn deadline(within: Duration) -> u64 {
    let deadline = SystemTime::now() + within;
    u64::try_from(deadline.duration_since(UNIX_EPOCH).unwrap().as_millis()).unwrap()
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    let mut connections = tokio::task::JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let shared = Arc::clone(&shared);
        connections.spawn(async move {
            let service = service_fn(|request| answer(request, &shared));
            // A scripted close is an error here, and expected.
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
    let header = |name| head.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    match (&head.method, head.uri.path()) {
        (&Method::POST, "/2020-01-01/extension/register") => {
            let registration = Registration {
                name: header("lambda-extension-name").to_owned(),
                events: serde_json::from_slice::<Value>(&body).unwrap_or_default()["events"].clone(),
                headers: head.headers.clone(),
            };
            shared.registrations.send_modify(|all| all.push(registration));
            if let Some(status) = shared.refusals.lock().unwrap().pop_front() {
                return Ok(plain(status, "refused as scripted"));
            }
            let mut response =
                plain(200, r#"{"functionName":"f","functionVersion":"$LATEST","handler":"h"}"#);
            response.headers_mut().insert("lambda-extension-identifier", ID.parse().unwrap());
            Ok(response)
        }
        (&Method::GET, "/2020-01-01/extension/event/next") => {
            if header("lambda-extension-identifier") != ID {
                shared
                    .violate(format!("next with the identifier {:?}", header("lambda-extension-identifier")));
            }
            shared.asked.send_modify(|asked| asked.push(Instant::now()));
            let next = shared.events.lock().await.recv().await;
            match next {
                Some(Next::Event(event)) => Ok(plain(200, &event.to_string())),
                Some(Next::Status(status)) => Ok(plain(status, "failed as scripted")),
                Some(Next::Raw(body)) => Ok(plain(200, body)),
                Some(Next::Close) | None => Err(std::io::Error::other("closed as scripted")),
            }
        }
        (&Method::PUT, "/2022-07-01/telemetry") => {
            if header("lambda-extension-identifier") != ID || !shared.asked.borrow().is_empty() {
                shared.violate("a subscription without identifier, or after init".to_owned());
            }
            shared.subscribed.send_replace(Some(serde_json::from_slice(&body).unwrap_or_default()));
            let subscription = *shared.subscription.lock().unwrap();
            Ok(match subscription {
                Subscription::Accepted => plain(200, "\"OK\""),
                Subscription::Status(status) => plain(status, r#"{"errorType":"Telemetry.NotSupported"}"#),
                Subscription::Silence => std::future::pending().await,
            })
        }
        (method, path) => {
            shared.violate(format!("{method} {path}"));
            Ok(plain(404, "no such thing"))
        }
    }
}

impl Shared {
    fn violate(&self, what: String) {
        self.violations.lock().unwrap().push(what);
    }
}

/// Makes a response as RIE sends it to SHUTDOWN: JSON in the body, and `text/plain` in the header.
fn plain(status: u16, body: &str) -> Response<Full<Bytes>> {
    let response = Response::builder().status(status).header("content-type", "text/plain");
    response.body(Full::from(body.to_owned())).unwrap()
}
