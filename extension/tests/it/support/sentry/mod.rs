//! A stand-in for Sentry: HTTP/1.1 over TLS or plain TCP on a free loopback port. It is stricter than Sentry. A request
//! that a well-behaved client would not send gets a 400 and is kept as a violation.

mod examine;
mod reply;
mod selftest;

pub use examine::Received;
pub use reply::{Gate, Reply};

use super::{HANG, tls::TestTls};
use http_body_util::{BodyExt, Full};
use hyper::{Request, Response, body::Bytes, body::Incoming, service::service_fn};
use hyper_util::rt::TokioIo;
use std::{
    fmt::Write,
    net::SocketAddr,
    path::Path,
    sync::{Arc, Mutex},
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpListener,
    sync::watch,
    task::AbortHandle,
};

/// The transport of the stand-in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    Tls,
    Plain,
}

/// Decides the response to a valid envelope.
type Script = Box<dyn Fn(&Received) -> Reply + Send + Sync>;

/// Decides the response to a request of Sentry's Relay to Sentry's API, from its path and its decoded body.
type Api = Box<dyn Fn(&str, &[u8]) -> Reply + Send + Sync>;

/// The stand-in. It runs on the runtime that started it and ends when it is dropped.
pub struct Sentry {
    address: SocketAddr,
    shared: Arc<Shared>,
    server: AbortHandle,
}

struct Shared {
    tls: Option<TestTls>,
    script: Mutex<Script>,
    api: Mutex<Option<Api>>,
    received: watch::Sender<Vec<Arc<Received>>>,
    violations: Mutex<Vec<String>>,
}

impl Sentry {
    /// Listens on a free port of 127.0.0.1.
    pub async fn start(transport: Transport) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            tls: (transport == Transport::Tls).then(TestTls::new),
            script: Mutex::new(Box::new(|_| Reply::ok())),
            api: Mutex::default(),
            received: watch::Sender::new(Vec::new()),
            violations: Mutex::default(),
        });
        let server = tokio::spawn(accept(listener, Arc::clone(&shared))).abort_handle();
        Self { address, shared, server }
    }

    /// Returns its address as an upstream URL.
    pub fn url(&self) -> String {
        let scheme = if self.shared.tls.is_some() { "https" } else { "http" };
        format!("{scheme}://{}", self.address)
    }

    /// Returns the DSN that an operator would copy from Sentry's settings.
    pub fn dsn(&self, key: &str, project: &str) -> String {
        self.url().replacen("://", &format!("://{key}@"), 1) + "/" + project
    }

    /// Returns the certificate of the authority to trust.
    pub fn ca_file(&self) -> &Path {
        self.shared.tls.as_ref().expect("a plain stand-in has no certificate").ca_file()
    }

    /// Responds to valid envelopes as `script` decides from now on, instead of with 200.
    pub fn respond_with(&self, script: impl Fn(&Received) -> Reply + Send + Sync + 'static) {
        *self.shared.script.lock().unwrap() = Box::new(script);
    }

    /// Responds to requests below `/api/0/` as `api` decides from now on. Without it, they are violations.
    pub fn answer_api(&self, api: impl Fn(&str, &[u8]) -> Reply + Send + Sync + 'static) {
        *self.shared.api.lock().unwrap() = Some(Box::new(api));
    }

    /// Waits for a valid envelope for which `wanted` returns true, and returns it. `what` names it if the test fails.
    pub async fn wait_for(&self, what: &str, wanted: impl Fn(&Received) -> bool) -> Arc<Received> {
        let mut all = self.shared.received.subscribe();
        let found = async {
            loop {
                if let Some(found) = all.borrow_and_update().iter().find(|one| wanted(one)) {
                    return Arc::clone(found);
                }
                all.changed().await.expect("the stand-in is gone");
            }
        };
        let Ok(found) = tokio::time::timeout(HANG, found).await else {
            panic!("no {what} within {HANG:?}; {}", self.state())
        };
        found
    }

    /// Returns every valid envelope so far, in order of arrival, whatever its response was.
    pub fn received(&self) -> Vec<Arc<Received>> {
        self.shared.received.borrow().clone()
    }

    /// Returns the faults of all invalid requests so far.
    pub fn violations(&self) -> Vec<String> {
        self.shared.violations.lock().unwrap().clone()
    }

    fn state(&self) -> String {
        let mut state = format!("violations: {:?}; received:", self.violations());
        for one in self.received() {
            let kinds: Vec<_> = one.envelope.items.iter().map(super::envelope::Item::kind).collect();
            write!(state, "\n  {} {kinds:?} answered {:?}", one.path, one.status).unwrap();
        }
        state
    }
}

impl Drop for Sentry {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    // Connections are tasks of this set, so they end with the stand-in.
    let mut connections = tokio::task::JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let shared = Arc::clone(&shared);
        connections.spawn(async move {
            let Some(tls) = shared.tls.as_ref().map(|tls| Arc::clone(&tls.server)) else {
                return serve(stream, shared).await;
            };
            match tokio_rustls::TlsAcceptor::from(tls).accept(stream).await {
                Ok(stream) => serve(stream, shared).await,
                Err(error) => shared.violation(format!("TLS handshake: {error}")),
            }
        });
    }
}

async fn serve(stream: impl AsyncRead + AsyncWrite + Unpin, shared: Arc<Shared>) {
    let service = service_fn(|request| answer(request, &shared));
    let served = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service);
    match served.await {
        // `is_user` means that the script closed the connection.
        Err(error) if !error.is_user() && !error.is_closed() => shared.violation(format!("HTTP: {error}")),
        _ => {}
    }
}

async fn answer(request: Request<Incoming>, shared: &Shared) -> Result<Response<Full<Bytes>>, reply::Close> {
    let (head, body) = request.into_parts();
    let examined = match body.collect().await {
        Ok(body) if head.uri.path().starts_with("/api/0/") && shared.api.lock().unwrap().is_some() => {
            let body = examine::decode(&head.headers, &body.to_bytes()).unwrap_or_default();
            let reply = shared.api.lock().unwrap().as_ref().map(|api| api(head.uri.path(), &body));
            let reply = reply.unwrap_or_else(|| Reply::status(404));
            reply.due().await;
            return reply.into_result();
        }
        Ok(body) => examine::examine(head, body.to_bytes()),
        Err(error) => Err(format!("{} {}: body broke off: {error}", head.method, head.uri)),
    };
    let mut received = match examined {
        Ok(received) => received,
        Err(why) => {
            shared.violation(why.clone());
            return Ok(Reply::status(400).body(why).response());
        }
    };
    let reply = (shared.script.lock().unwrap())(&received);
    reply.due().await;
    received.status = reply.code();
    let id = received.envelope.header.get("event_id").cloned().unwrap_or_default();
    shared.received.send_modify(|all| all.push(Arc::new(received)));
    reply.or_id(&id).into_result()
}

impl Shared {
    fn violation(&self, why: String) {
        self.violations.lock().unwrap().push(why);
    }
}
