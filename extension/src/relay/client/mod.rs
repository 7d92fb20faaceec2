//! The way to upstream: HTTP/1.1 with keep-alive over TCP or TLS, each exchange bounded in time.
//!
//! A connection that was used before may have died unseen, in a freeze most of all: a failure on it
//! says nothing about upstream, so the exchange is tried again at once on a fresh one.

mod connect;
mod pool;
mod tls;

pub(crate) use connect::{Sender, handshake};

use super::envelope::Envelope;
use bytes::Bytes;
use connect::ConnectError;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::header::{CONTENT_ENCODING, CONTENT_TYPE, HOST, HeaderName, HeaderValue, RETRY_AFTER, USER_AGENT};
use hyper::{Request, Response};
use pool::Pool;
use std::path::PathBuf;
use std::time::Duration;
use std::{error, fmt};
use tls::Tls;
use tokio::time::timeout;

const X_SENTRY_AUTH: HeaderName = HeaderName::from_static("x-sentry-auth");
const ENVELOPE: HeaderValue = HeaderValue::from_static("application/x-sentry-envelope");
const OURSELVES: HeaderValue =
    HeaderValue::from_static(concat!("sentry-lambda-extension/", env!("CARGO_PKG_VERSION")));
/// Sentry's answers have some 50 bytes; a connection that brings more is not worth keeping.
const MAX_REPLY: usize = 64 * 1024;

/// What upstream said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Reply {
    pub(super) status: u16,
    /// `Retry-After` in seconds, where it is a number.
    pub(super) retry_after: Option<Duration>,
}

/// Why upstream said nothing.
#[derive(Debug)]
pub(super) enum SendError {
    Connect(ConnectError),
    Http(hyper::Error),
    /// The request itself cannot be built: never seen, and never worth a panic.
    Request(hyper::http::Error),
    TimedOut,
}

impl fmt::Display for SendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connect(error) => error.fmt(f),
            Self::Http(error) => match error::Error::source(error) {
                Some(cause) => write!(f, "{error}: {cause}"),
                None => error.fmt(f),
            },
            Self::Request(error) => error.fmt(f),
            Self::TimedOut => f.write_str("timed out"),
        }
    }
}

/// Sends envelopes and keeps the connections.
#[derive(Debug)]
pub(super) struct Client {
    pool: Pool,
    tls: Tls,
    timeout: Duration,
}

impl Client {
    /// Touches no file and no network until the first envelope: that would be cold start.
    pub(super) fn new(timeout: Duration, ca_bundles: Vec<PathBuf>) -> Self {
        Self { pool: Pool::default(), tls: Tls::new(ca_bundles), timeout }
    }

    /// One exchange: from connecting, if need be, to the head of the answer.
    pub(super) async fn send(&self, envelope: &Envelope) -> Result<Reply, SendError> {
        timeout(self.timeout, self.attempt(envelope)).await.unwrap_or(Err(SendError::TimedOut))
    }

    async fn attempt(&self, envelope: &Envelope) -> Result<Reply, SendError> {
        let upstream = &envelope.upstream;
        if let Some(sender) = self.pool.take(upstream) {
            match self.exchange(sender, envelope).await {
                Err(SendError::Http(error)) => {
                    // Its idle siblings are as old; if this one is dead, so are they.
                    self.pool.forget(upstream);
                    crate::log::debug("a reused connection failed", &[("error", &error)]);
                }
                outcome => return outcome,
            }
        }
        let sender = connect::connect(upstream, &self.tls).await.map_err(SendError::Connect)?;
        self.exchange(sender, envelope).await
    }

    async fn exchange(&self, mut sender: Sender, envelope: &Envelope) -> Result<Reply, SendError> {
        let request = request(envelope).map_err(SendError::Request)?;
        sender.ready().await.map_err(SendError::Http)?;
        let response = sender.send_request(request).await.map_err(SendError::Http)?;
        let reply = read_head(&response);
        // Upstream has decided; what it adds decides over the connection only.
        if read_over(response).await {
            self.pool.put(envelope.upstream.clone(), sender);
        }
        Ok(reply)
    }
}

fn request(envelope: &Envelope) -> Result<Request<Full<Bytes>>, hyper::http::Error> {
    let upstream = &envelope.upstream;
    let mut request = Request::post(upstream.path(&format!("/api/{}/envelope/", envelope.project)))
        .header(HOST, upstream.authority())
        .header(USER_AGENT, envelope.user_agent.clone().unwrap_or(OURSELVES))
        .header(X_SENTRY_AUTH, envelope.sentry_auth.clone())
        .header(CONTENT_TYPE, envelope.content_type.clone().unwrap_or(ENVELOPE));
    if let Some(encoding) = envelope.content_encoding.header() {
        request = request.header(CONTENT_ENCODING, encoding);
    }
    request.body(Full::new(envelope.body.clone()))
}

fn read_head(response: &Response<Incoming>) -> Reply {
    let retry_after = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok());
    let seconds = retry_after.and_then(|text| text.trim().parse::<u64>().ok());
    Reply { status: response.status().as_u16(), retry_after: seconds.map(Duration::from_secs) }
}

/// Reads what is left of an answer; `false` where it is not worth waiting for.
async fn read_over(response: Response<Incoming>) -> bool {
    const PATIENCE: Duration = Duration::from_millis(100);
    let mut body = response.into_body();
    let mut left = MAX_REPLY;
    let reading = async {
        while let Some(frame) = body.frame().await {
            let Ok(frame) = frame else { return false };
            let read = frame.data_ref().map_or(0, Bytes::len);
            match left.checked_sub(read) {
                Some(less) => left = less,
                None => return false,
            }
        }
        true
    };
    timeout(PATIENCE, reading).await.unwrap_or(false)
}
