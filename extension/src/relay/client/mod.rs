//! The way to upstream: HTTP/1.1 with keep-alive over TCP or TLS, each exchange bounded in time.
//!
//! A connection that was used before may have died unseen, in a freeze most of all: a failure on it
//! says nothing about upstream, so the exchange is tried again at once on a fresh one.

pub(crate) mod active_timeout;
mod connect;
mod pool;
mod tls;

use super::envelope::Envelope;
use crate::config::{Config, Proxies, Scheme, Upstream};
use crate::http::RequestSender;
use active_timeout::{TimeoutKind, timeout_awake};
use bytes::Bytes;
use connect::ConnectError;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use hyper::header::{HOST, HeaderName, HeaderValue, PROXY_AUTHORIZATION, RETRY_AFTER};
use hyper::{Request, Response};
use pool::Pool;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;
use std::{error, fmt};
use tls::Tls;
use tokio::time::timeout;

/// Sentry's answers have some 50 bytes; a connection that brings more is not worth keeping.
const MAX_REPLY: usize = 64 * 1024;
/// Relay's bound for forwarded bodies.
const MAX_FORWARDED: usize = 20 << 20;

/// What came of a try.
pub(crate) type SendResult = Result<Reply, SendError>;

/// What upstream said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    /// `Retry-After` in seconds, where it is a number.
    pub(crate) retry_after: Option<Duration>,
    /// `X-Sentry-Rate-RateLimits`, several headers joined.
    pub(crate) rate_limits: Option<String>,
}

/// Why upstream said nothing.
#[derive(Debug)]
pub(crate) enum SendError {
    Connect(ConnectError),
    Http(hyper::Error),
    /// The request itself cannot be built: never seen, and never worth a panic.
    Request(hyper::http::Error),
    /// A forwarded request's answer broke off or is too large.
    Body(Box<dyn error::Error + Send + Sync>),
    Timeout(TimeoutKind),
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
            Self::Body(error) => error.fmt(f),
            Self::Timeout(TimeoutKind::TimedOut) => f.write_str("timed out"),
            Self::Timeout(TimeoutKind::Frozen) => f.write_str("the environment was frozen meanwhile"),
        }
    }
}

/// Sends envelopes and keeps the connections.
#[derive(Debug)]
pub(crate) struct Client {
    pool: Pool,
    tls: Tls,
    proxies: Proxies,
    timeout: Duration,
}

impl Client {
    /// Touches no file and no network until the first envelope: that would be cold start.
    pub(crate) fn new(config: &Config) -> Self {
        Self {
            pool: Pool::default(),
            tls: Tls::new(config.ca_bundles.clone()),
            proxies: config.proxies.clone(),
            timeout: config.timeout,
        }
    }

    /// The address of a path on an upstream as it stands in the request: whole where a proxy has to read it.
    fn uri(&self, upstream: &Upstream, path: &str) -> String {
        match (self.proxies.to(upstream), upstream.scheme()) {
            (Some(_), Scheme::Http) => format!("http://{}{}", upstream.authority(), upstream.path(path)),
            _ => upstream.path(path),
        }
    }

    /// `Proxy-Authorization` where the request itself goes through a proxy.
    fn proxy_authorization(&self, upstream: &Upstream) -> Option<&HeaderValue> {
        let plain = upstream.scheme() == Scheme::Http;
        self.proxies.to(upstream).filter(|_| plain)?.authorization.as_ref()
    }

    /// Delivers an envelope to this upstream, which may be a Relay before the envelope's own: one exchange, from connecting, if need be, to the head of the answer.
    /// `unanswered` counts requests that went out and have no answer: upstream may have taken each of them.
    pub(crate) async fn send(
        &self,
        envelope: &Envelope,
        upstream: &Arc<Upstream>,
        unanswered: &AtomicU8,
    ) -> SendResult {
        let exchange = self.exchange(upstream, || self.request(envelope, upstream), unanswered);
        let exchanged = timeout_awake(self.timeout, exchange).await;
        if exchanged.is_err() {
            // Idle connections may lead into the same nothing, and each would cost a time-out of its own.
            self.pool.forget(upstream);
        }
        let (response, sender) = exchanged.map_err(SendError::Timeout).flatten()?;
        let reply = read_head(&response);
        // Upstream has decided; what it adds decides over the connection only, also where time is up.
        if read_over(response).await {
            self.pool.put(Arc::clone(upstream), sender);
        }
        Ok(reply)
    }

    /// Sends any other request, and reads the whole answer.
    pub(crate) async fn forward(
        &self,
        upstream: &Arc<Upstream>,
        request: Request<Bytes>,
    ) -> Result<Response<Bytes>, SendError> {
        let exchange = async {
            let again = || self.forwarded(upstream, &request);
            let (response, sender) = self.exchange(upstream, again, &AtomicU8::new(0)).await?;
            let (head, body) = response.into_parts();
            let body = Limited::new(body, MAX_FORWARDED).collect().await.map_err(SendError::Body)?;
            self.pool.put(Arc::clone(upstream), sender);
            Ok(Response::from_parts(head, body.to_bytes()))
        };
        timeout_awake(self.timeout, exchange).await.map_err(SendError::Timeout).flatten()
    }

    fn request(
        &self,
        envelope: &Envelope,
        upstream: &Upstream,
    ) -> Result<Request<Full<Bytes>>, hyper::http::Error> {
        let request = Request::post(self.uri(upstream, &envelope.path));
        let headers = envelope.headers.iter().map(|(name, value)| (name, value));
        self.finish(request, upstream, headers, envelope.body.clone())
    }

    fn forwarded(
        &self,
        upstream: &Upstream,
        request: &Request<Bytes>,
    ) -> Result<Request<Full<Bytes>>, hyper::http::Error> {
        let path = request.uri().path_and_query().map_or("/", hyper::http::uri::PathAndQuery::as_str);
        let forwarded = Request::builder().method(request.method()).uri(self.uri(upstream, path));
        self.finish(forwarded, upstream, request.headers(), request.body().clone())
    }

    fn finish<'a>(
        &self,
        mut request: hyper::http::request::Builder,
        upstream: &Upstream,
        headers: impl IntoIterator<Item = (&'a HeaderName, &'a HeaderValue)>,
        body: Bytes,
    ) -> Result<Request<Full<Bytes>>, hyper::http::Error> {
        request = request.header(HOST, upstream.authority());
        if let Some(authorization) = self.proxy_authorization(upstream) {
            request = request.header(PROXY_AUTHORIZATION, authorization);
        }
        for (name, value) in headers {
            request = request.header(name, value);
        }
        request.body(Full::new(body))
    }

    /// Sends a request, made anew for each connection that is tried, and waits for the head of the answer.
    async fn exchange(
        &self,
        upstream: &Upstream,
        request: impl Fn() -> Result<Request<Full<Bytes>>, hyper::http::Error>,
        unanswered: &AtomicU8,
    ) -> Result<(Response<Incoming>, RequestSender), SendError> {
        if let Some(sender) = self.pool.take(upstream) {
            match speak(sender, request().map_err(SendError::Request)?, unanswered).await {
                Ok(answer) => return Ok(answer),
                Err(error) => {
                    // Its idle siblings are as old; if this one is dead, so are they.
                    self.pool.forget(upstream);
                    crate::log::debug("a reused connection failed", &[("error", &error)]);
                }
            }
        }
        let sender = connect::connect(upstream, self.proxies.to(upstream), &self.tls)
            .await
            .map_err(SendError::Connect)?;
        speak(sender, request().map_err(SendError::Request)?, unanswered).await.map_err(SendError::Http)
    }
}

/// One request over one connection. While it is under way it counts as unanswered: the caller's time may
/// run out at any moment.
async fn speak(
    mut sender: RequestSender,
    request: Request<Full<Bytes>>,
    unanswered: &AtomicU8,
) -> hyper::Result<(Response<Incoming>, RequestSender)> {
    sender.ready().await?;
    unanswered.fetch_add(1, Ordering::Relaxed);
    let answered = || unanswered.fetch_sub(1, Ordering::Relaxed);
    match sender.try_send_request(request).await {
        Ok(response) => {
            answered();
            Ok((response, sender))
        }
        Err(mut error) => {
            if error.take_message().is_some() {
                // It never went out.
                answered();
            }
            Err(error.into_error())
        }
    }
}

fn read_head(response: &Response<Incoming>) -> Reply {
    let retry_after = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok());
    let seconds = retry_after.and_then(|text| text.trim().parse::<u64>().ok());
    let rate_limits = response.headers().get_all("x-sentry-rate-limits").iter();
    let rate_limits: Vec<&str> = rate_limits.filter_map(|value| value.to_str().ok()).collect();
    Reply {
        status: response.status().as_u16(),
        retry_after: seconds.map(Duration::from_secs),
        rate_limits: Some(rate_limits.join(",")).filter(|rate_limits| !rate_limits.is_empty()),
    }
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
