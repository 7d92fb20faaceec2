//! The HTTP client to upstream: HTTP/1.1 with keep-alive over TCP or TLS. Each exchange is bounded in time.
//!
//! A reused connection may have died without notice, above all in a freeze. A failure on it says nothing about
//! upstream, so the exchange is repeated at once on a new connection.

pub(crate) mod active_timeout;
mod ca_bundles;
mod connect;
mod cryptography;
mod error;
mod forwarded;
#[cfg(any(test, fuzzing))]
pub(super) mod fuzzing;
mod meter;
mod pool;
mod reply;
mod resolve;
mod tls;
mod trust;
mod upload;

pub(crate) use error::SendError;
pub use forwarded::ForwardedBody;
pub(super) use reply::Reply;

use super::clock;
use super::envelope::Envelope;
use crate::config::{Config, Proxies, Scheme, Upstream, UpstreamHeaders};
use crate::hop_marker;
use active_timeout::{TimeoutKind, timeout_without_progress};
use bytes::Bytes;
use connect::Connection;
use forwarded::{Exchange, MAX_FORWARDED};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::{Body as _, Incoming};
use hyper::header::{HOST, HeaderName, HeaderValue, PROXY_AUTHORIZATION};
use hyper::{Request, Response};
use pool::Pool;
use reply::{read_head, read_to_end};
use resolve::Resolver;
use std::sync::Arc;
use std::sync::atomic::AtomicU8;
use std::time::Duration;
use tls::Tls;
use tokio::sync::Semaphore;
use upload::{Upload, send_over};

/// The most requests that are forwarded at a time. Each takes a descriptor, and buffers.
const MAX_FORWARDING: usize = 64;
/// Where the process may have few descriptors, one of so many is for a forwarded request.
const DESCRIPTORS_PER_FORWARDED: u64 = 16;
/// The largest response that is read as a whole, in bytes. Project configs are the largest.
const MAX_OWN: usize = 20 << 20;
/// An exchange that takes longer was interrupted by a freeze: no time-out is so long.
const LONG_FREEZE: Duration = Duration::from_mins(5);

/// The result of a try to send an envelope.
pub(super) type SendResult = Result<Reply, SendError>;

/// Sends requests and keeps idle connections.
#[derive(Debug)]
pub(super) struct Client {
    pool: Arc<Pool>,
    forwarding: Arc<Semaphore>,
    resolver: Resolver,
    tls: Tls,
    proxies: Proxies,
    /// The headers of the setting.
    headers: UpstreamHeaders,
    timeout: Duration,
}

impl Client {
    /// Touches neither files nor network, because that would add to the cold start. The first envelope does.
    pub(super) fn new(config: &Config) -> Self {
        Self {
            pool: Arc::default(),
            forwarding: Arc::new(Semaphore::new(max_forwarding())),
            resolver: Resolver::default(),
            tls: Tls::new(config.ca_bundles.clone()),
            proxies: config.proxies.clone(),
            headers: config.headers.clone(),
            timeout: config.timeout,
        }
    }

    /// Whether there is an idle connection to this upstream.
    pub(super) fn is_connected(&self, upstream: &Upstream) -> bool {
        self.pool.has(upstream)
    }

    /// Closes the idle connections that only a burst needs.
    pub(super) fn close_surplus(&self) {
        self.pool.close_surplus();
    }

    /// Returns the setting for the longest time of a request.
    pub(super) fn timeout(&self) -> Duration {
        self.timeout
    }

    /// Returns the headers of the setting. They are for requests to Sentry. Sentry's Relay would take credentials for
    /// an access gateway for those of a sender.
    pub(super) fn headers(&self) -> &UpstreamHeaders {
        &self.headers
    }

    /// Returns the URI of the request line. It is absolute if a proxy has to read it, otherwise path and query.
    fn uri(&self, upstream: &Upstream, path: &str) -> String {
        match (self.proxies.to(upstream), upstream.scheme()) {
            (Some(_), Scheme::Http) => format!("http://{}{}", upstream.authority(), upstream.path(path)),
            _ => upstream.path(path),
        }
    }

    /// Returns the value of `Proxy-Authorization` if the request itself goes through a proxy. For HTTPS, only
    /// `CONNECT` does.
    fn proxy_authorization(&self, upstream: &Upstream) -> Option<&HeaderValue> {
        let plain = upstream.scheme() == Scheme::Http;
        self.proxies.to(upstream).filter(|_| plain)?.authorization.as_ref()
    }

    /// Sends the envelope to `upstream` and waits for the response head. It connects if no idle connection exists.
    /// `unanswered` counts the requests that were sent and have no response, because upstream may have taken each of
    /// them. `limit` bounds the time, unless an upload makes progress.
    pub(super) async fn send(
        &self,
        envelope: &Envelope,
        upstream: &Arc<Upstream>,
        limit: Duration,
        unanswered: &AtomicU8,
    ) -> SendResult {
        let begun = clock::now();
        let build = || {
            // A reused connection that died in a long freeze is replaced at the thaw. The envelope goes back to the
            // queue then, because its `sent_at` may have to be moved.
            if clock::now().duration_since(begun).is_ok_and(|passed| passed > LONG_FREEZE) {
                return Err(SendError::Timeout(TimeoutKind::Frozen));
            }
            self.envelope_request(envelope, upstream).map_err(SendError::Request)
        };
        let upload = Upload::of(&envelope.body);
        let exchange = self.exchange(upstream, build, &upload, unanswered);
        let exchanged = timeout_without_progress(limit, || upload.progress(limit), exchange).await;
        if exchanged.is_err() {
            // Other idle connections may be as dead as this one, and each would cost a timeout of its own.
            self.pool.forget(upstream);
        }
        let (response, connection) = exchanged.map_err(SendError::Timeout).flatten()?;
        let reply = read_head(&response);
        // The head decides what happens to the envelope. The body only decides whether the connection can be reused.
        if read_to_end(response).await {
            self.pool.put(Arc::clone(upstream), connection);
        }
        Ok(reply)
    }

    /// Sends a request that is no envelope of the queue, and reads the whole response. The caller bounds the time.
    pub(super) async fn request(
        &self,
        upstream: &Arc<Upstream>,
        request: Request<Bytes>,
    ) -> Result<Response<Bytes>, SendError> {
        let upload = Upload::of(request.body());
        let build = || self.forwarded_request(upstream, &request).map_err(SendError::Request);
        let (response, connection) = self.exchange(upstream, build, &upload, &AtomicU8::new(0)).await?;
        let (head, body) = response.into_parts();
        let body = Limited::new(body, MAX_OWN).collect().await.map_err(SendError::Body)?;
        self.pool.put(Arc::clone(upstream), connection);
        Ok(Response::from_parts(head, body.to_bytes()))
    }

    /// Sends a request that is not an envelope, and returns the response with a body that still arrives.
    pub(super) async fn forward(
        &self,
        upstream: &Arc<Upstream>,
        mut request: Request<Bytes>,
    ) -> Result<Response<ForwardedBody>, SendError> {
        self.headers.set(request.headers_mut());
        let upload = Upload::of(request.body());
        let exchange = async {
            // The semaphore is never closed.
            let permit = Arc::clone(&self.forwarding).acquire_owned().await;
            let permit = permit.map_err(|error| SendError::Body(error.into()))?;
            let build = || self.forwarded_request(upstream, &request).map_err(SendError::Request);
            let (response, connection) = self.exchange(upstream, build, &upload, &AtomicU8::new(0)).await?;
            let (head, body) = response.into_parts();
            if body.size_hint().lower() > MAX_FORWARDED {
                return Err(SendError::Body("the response is too large".into()));
            }
            let (pool, upstream) = (Arc::clone(&self.pool), Arc::clone(upstream));
            let exchange = Exchange { pool, upstream, connection, _permit: permit };
            Ok(Response::from_parts(head, ForwardedBody::new(body, exchange, self.timeout)))
        };
        let exchanged =
            timeout_without_progress(self.timeout, || upload.progress(self.timeout), exchange).await;
        exchanged.map_err(SendError::Timeout).flatten()
    }

    fn envelope_request(
        &self,
        envelope: &Envelope,
        upstream: &Upstream,
    ) -> Result<Request<Full<Bytes>>, hyper::http::Error> {
        let request = Request::post(self.uri(upstream, &envelope.path));
        let mut request =
            self.build_request(request, upstream, envelope.headers.iter(), envelope.body.clone())?;
        self.headers.set(request.headers_mut());
        Ok(request)
    }

    fn forwarded_request(
        &self,
        upstream: &Upstream,
        request: &Request<Bytes>,
    ) -> Result<Request<Full<Bytes>>, hyper::http::Error> {
        let path = request.uri().path_and_query().map_or("/", hyper::http::uri::PathAndQuery::as_str);
        let forwarded = Request::builder().method(request.method()).uri(self.uri(upstream, path));
        let headers = request.headers().iter().map(|(name, value)| (name.clone(), value.clone()));
        self.build_request(forwarded, upstream, headers, request.body().clone())
    }

    fn build_request(
        &self,
        mut request: hyper::http::request::Builder,
        upstream: &Upstream,
        headers: impl Iterator<Item = (HeaderName, HeaderValue)>,
        body: Bytes,
    ) -> Result<Request<Full<Bytes>>, hyper::http::Error> {
        request = request.header(HOST, upstream.authority());
        if let Some(authorization) = self.proxy_authorization(upstream) {
            request = request.header(PROXY_AUTHORIZATION, authorization);
        }
        for (name, value) in headers {
            request = request.header(name, value);
        }
        let mut request = request.body(Full::new(body))?;
        hop_marker::add(request.headers_mut());
        Ok(request)
    }

    /// Sends a request and waits for the response head. `request` builds it again for each connection that is tried.
    async fn exchange(
        &self,
        upstream: &Upstream,
        request: impl Fn() -> Result<Request<Full<Bytes>>, SendError>,
        upload: &Upload,
        unanswered: &AtomicU8,
    ) -> Result<(Response<Incoming>, Connection), SendError> {
        if let Some(connection) = self.pool.take(upstream) {
            match send_over(connection, request()?, upload, unanswered).await {
                Ok(answer) => return Ok(answer),
                Err(error) => {
                    // The other idle connections are as old, and probably dead too.
                    self.pool.forget(upstream);
                    crate::log::debug("a reused connection failed", &[("error", &error)]);
                }
            }
        }
        // Boxed, because it takes much memory, and only until there is a connection.
        let connecting = connect::connect(upstream, self.proxies.to(upstream), &self.tls, &self.resolver);
        let connection = Box::pin(connecting).await.map_err(SendError::Connect)?;
        send_over(connection, request()?, upload, unanswered).await.map_err(SendError::Http)
    }
}

/// The requests that may be forwarded at a time.
fn max_forwarding() -> usize {
    let limit = nix::sys::resource::getrlimit(nix::sys::resource::Resource::RLIMIT_NOFILE);
    let share = limit.map_or(u64::MAX, |(soft, _)| soft) / DESCRIPTORS_PER_FORWARDED;
    usize::try_from(share).unwrap_or(MAX_FORWARDING).clamp(2, MAX_FORWARDING)
}
