//! A scripted Lambda: the Extensions API as an extension sees it, with each event and each failure on command.

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

/// The id that registration gives.
const ID: &str = "d7a1f0de-6b2f-4a05-8f5e-3c1f5f1f8f10";

/// What `/event/next` is answered with.
pub enum Next {
    /// An event, as Lambda sends it.
    Event(Value),
    /// A status, with a few words.
    Status(u16),
    /// These bytes, with status 200.
    Raw(&'static str),
    /// The connection is closed.
    Close,
}

/// What a subscription to telemetry is answered with.
#[derive(Clone, Copy, Debug)]
pub enum Subscription {
    /// As Lambda does: 200.
    Accepted,
    /// A status; 202 is what an emulator without telemetry says.
    Status(u16),
    /// Not at all.
    Silence,
}

/// What an extension said when it registered.
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
    /// Statuses to refuse registrations with, first come first.
    refusals: Mutex<VecDeque<u16>>,
    /// When `/event/next` was asked.
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

    /// How often somebody tried to register so far.
    pub fn registrations_so_far(&self) -> usize {
        self.shared.registrations.borrow().len()
    }

    /// Waits until `/event/next` was asked for the nth time: everything that came before is done with.
    /// Gives back when that was.
    pub async fn asked(&self, nth: usize) -> Instant {
        let mut asked = self.shared.asked.subscribe();
        let waited = tokio::time::timeout(HANG, asked.wait_for(|asked| asked.len() >= nth)).await;
        waited.unwrap_or_else(|_| panic!("next was not asked {nth} times")).unwrap()[nth - 1]
    }

    /// How often `/event/next` was asked so far.
    pub fn asked_so_far(&self) -> usize {
        self.shared.asked.borrow().len()
    }

    /// Answers subscriptions to telemetry with this from now on. At first, it is what an emulator does.
    pub fn telemetry(&self, subscription: Subscription) {
        *self.shared.subscription.lock().unwrap() = subscription;
    }

    /// Waits for the subscription to telemetry.
    pub async fn subscribed(&self) -> Value {
        let mut subscribed = self.shared.subscribed.subscribe();
        let waited = tokio::time::timeout(HANG, subscribed.wait_for(Option::is_some)).await;
        waited.expect("no subscription to telemetry").unwrap().clone().unwrap()
    }

    /// Where telemetry is to be posted. `sandbox.localdomain` is a name that only Lambda knows.
    pub async fn destination(&self) -> SocketAddr {
        let subscribed = self.subscribed().await;
        let uri: hyper::Uri = subscribed["destination"]["URI"].as_str().unwrap().parse().unwrap();
        assert_eq!(uri.host(), Some("sandbox.localdomain"));
        SocketAddr::from(([127, 0, 0, 1], uri.port_u16().unwrap()))
    }

    /// Posts a telemetry batch.
    pub async fn tell(&self, records: &Value) {
        let headers = [("content-type", "application/json")];
        let to = self.destination().await;
        let (status, _) =
            super::http::request(to, Method::POST, "/", &headers, records.to_string()).await.unwrap();
        assert_eq!(status, 200);
    }

    /// Tells that the function was started for a request.
    pub async fn started(&self, request: &str) {
        self.tell(&json!([record("platform.start", &json!({ "requestId": request }))])).await;
    }

    /// Tells that the function is done with a request.
    pub async fn done(&self, request: &str) {
        let done = json!({ "requestId": request, "status": "success", "metrics": { "durationMs": 5 } });
        self.tell(&json!([record("platform.runtimeDone", &done)])).await;
    }

    /// Answers the next question for an event with this.
    pub fn answer(&self, next: Next) {
        self.events.send(next).unwrap();
    }

    /// An invocation with three seconds to go.
    pub fn invoke(&self) {
        self.invoke_as("3da1f2dc-3222-475e-9205-e2e6c6318895", Duration::from_secs(3));
    }

    /// The invocation of this name, with so long to go.
    pub fn invoke_as(&self, request: &str, within: Duration) {
        let event = json!({
            "eventType": "INVOKE", "deadlineMs": deadline(within), "requestId": request,
            "invokedFunctionArn": "arn:aws:lambda:us-east-1:123456789012:function:f",
            "tracing": { "type": "X-Amzn-Trace-Id", "value": "Root=1-5f35ae12" },
        });
        self.answer(Next::Event(event));
    }

    /// The end, in this time.
    pub fn shutdown(&self, reason: &str, within: Duration) {
        let event =
            json!({ "eventType": "SHUTDOWN", "shutdownReason": reason, "deadlineMs": deadline(within) });
        self.answer(Next::Event(event));
    }

    /// What the extension did that Lambda does not allow.
    pub fn violations(&self) -> Vec<String> {
        self.shared.violations.lock().unwrap().clone()
    }
}

impl Drop for LambdaApi {
    fn drop(&mut self) {
        self.server.abort();
    }
}

fn record(kind: &str, record: &Value) -> Value {
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
            // A scripted close is an error here, and meant.
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

/// As RIE answers SHUTDOWN: JSON in the body, `text/plain` in the header.
fn plain(status: u16, body: &str) -> Response<Full<Bytes>> {
    let response = Response::builder().status(status).header("content-type", "text/plain");
    response.body(Full::from(body.to_owned())).unwrap()
}
