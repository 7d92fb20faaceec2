//! The door: a listener on loopback that is the upstream of Sentry's Relay. Envelopes come back through it, filtered,
//! and are queued for Sentry. Everything else that Sentry's Relay asks of Sentry is forwarded, such as project configs.

use super::drop_reasons;
use crate::config::{Config, Upstream};
use crate::gateway::connection;
use crate::gateway::connection::clients::{Clients, Connection};
use crate::gateway::connection::memory_budget::MemoryBudget;
use crate::gateway::headers::of_one_hop;
use crate::http::{self, ResponseBody, ResponseFuture};
use crate::protocol::json_fields::fields;
use crate::protocol::{
    Encoding, Item, Priority, Scanner, decode_all, envelope_header, has_dot_segments, sent_at,
};
use crate::relay::Envelope;
use crate::relay::core::Core;
use crate::{log, task};
use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::{
    CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, HOST, HeaderName, HeaderValue, USER_AGENT,
};
use hyper::http::request::Parts;
use hyper::{HeaderMap, Request, Response, StatusCode};
use std::io;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};

/// Where Sentry's Relay registers, asks for project configs, and reports outcomes.
const RELAYS: &str = "/api/0/relays/";
/// The most connections. Sentry's Relay sends at most as many envelopes at a time as it was given, and a few requests
/// of its own.
const MAX_CONNECTIONS: usize = 32;
/// What an envelope may grow by in Sentry's Relay, which adds what it derives, in bytes.
const GROWTH: usize = 4 << 20;
/// The pause after a connection could not be accepted. The function may close some files during it.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// The largest body that is read for the state of project configs, in bytes.
const MAX_CONFIGS: usize = 20 << 20;

/// The types of items that Sentry's Relay sends by itself.
const OWN_TYPES: [&str; 2] = ["client_report", "metric_buckets"];
const X_SENTRY_AUTH: HeaderName = HeaderName::from_static("x-sentry-auth");
/// The headers by which Sentry verifies that an envelope passed a Relay of its organisation.
static SIGNATURE: [HeaderName; 2] =
    [HeaderName::from_static("x-sentry-relay-id"), HeaderName::from_static("x-sentry-relay-signature")];

/// The items of a body, or `None` if it cannot be read as an envelope within all size limits.
type Items = Option<Box<[Item]>>;

pub(super) struct Door {
    core: Arc<Core>,
    upstream: Option<Arc<Upstream>>,
    /// The largest envelope, in bytes, compressed or not.
    max_body: usize,
    /// The connections, and the memory of the bodies that they bring. They are apart from the gateway's, because
    /// envelopes in custody would be lost if those of SDKs took their place.
    clients: Arc<Clients>,
    memory: MemoryBudget,
}

/// Why a request of Sentry's Relay is refused, with the status that it gets.
///
/// None of them is 502, 503 or 504: these would tell Sentry's Relay that the door cannot be reached, and it would keep
/// all envelopes until it can.
struct Refusal(StatusCode, String);

impl Refusal {
    fn bad_request(why: &str) -> Self {
        Self(StatusCode::BAD_REQUEST, why.to_owned())
    }
}

/// Opens the door on a free port. Returns the listener and its port.
pub(super) fn open() -> io::Result<(TcpListener, u16)> {
    let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    listener.set_nonblocking(true)?;
    let port = listener.local_addr()?.port();
    Ok((TcpListener::from_std(listener)?, port))
}

impl Door {
    pub(super) fn new(core: &Arc<Core>, config: &Config) -> Self {
        let max_body = config.max_body.saturating_add(GROWTH);
        Self {
            core: Arc::clone(core),
            upstream: config.upstream.clone(),
            max_body,
            clients: Arc::new(Clients::new(MAX_CONNECTIONS)),
            memory: MemoryBudget::new(max_body),
        }
    }

    /// Answers Sentry's Relay. It never returns.
    pub(super) async fn serve(&'static self, listener: TcpListener) {
        loop {
            match listener.accept().await {
                Ok((stream, _)) => {
                    let connection = self.clients.admit(&|| self.memory.give_up_silent()).await;
                    // Each connection has its own task, so that a panic ends only this connection.
                    task::spawn(self.serve_connection(stream, connection));
                }
                Err(error) => {
                    log::debug("cannot accept a connection of Sentry's Relay", &[("error", &error)]);
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    async fn serve_connection(&'static self, stream: TcpStream, connection: Connection) {
        let state = Arc::clone(connection.state());
        let handler = move |request| -> ResponseFuture {
            let state = Arc::clone(&state);
            Box::pin(async move {
                state.advance();
                let response = self.answer(request).await.unwrap_or_else(|Refusal(status, why)| {
                    log::debug("Sentry's Relay gets no answer from Sentry", &[("why", &why)]);
                    json(status, format!("{{\"detail\":{}}}", serde_json::Value::from(why)))
                });
                state.advance();
                response.map(ResponseBody::Whole)
            })
        };
        if let Err(error) = http::serve(connection::guarded(stream, connection), Box::new(handler)).await {
            log::debug("a connection of Sentry's Relay ended early", &[("error", &error)]);
        }
    }

    async fn answer(&self, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Refusal> {
        let (head, mut body) = request.into_parts();
        let path = head.uri.path();
        let is_envelope = path.ends_with("/envelope/");
        // Any process of the function can come here, and must get no further than Sentry's Relay has to.
        if has_dot_segments(path) || !is_envelope && !path.starts_with(RELAYS) {
            return Err(Refusal(StatusCode::NOT_FOUND, "Sentry's Relay does not ask for this".to_owned()));
        }
        let received = connection::body::collect(&head, &mut body, self.max_body, &self.memory).await;
        let received = received.map_err(|_| Refusal::bad_request("its body is too slow or too large"))?;
        let body = Bytes::from(received.bytes);
        match head.uri.path() {
            // It asks whether its upstream is there. That is the door.
            "/api/0/relays/live/" => Ok(json(StatusCode::OK, "{\"is_healthy\":true}".to_owned())),
            _ if is_envelope => self.take(&head, &body),
            _ => self.forward(head, body).await,
        }
    }

    /// Queues an envelope that has passed Sentry's Relay.
    fn take(&self, head: &Parts, body: &Bytes) -> Result<Response<Full<Bytes>>, Refusal> {
        let (plain, items) = self.decoded(head, body)?;
        let tag = envelope_header::tag(&plain);
        // What was no envelope when Sentry's Relay got it has no tag either.
        let is_its_own = tag.is_none()
            && envelope_header::first_type(&plain).is_none_or(|name| OWN_TYPES.contains(&&*name));
        if is_its_own && let Some(reasons) = drop_reasons::of(&plain) {
            log::info("Sentry's Relay has dropped data by its rules", &[("reasons", &reasons)]);
        }
        let custody = if is_its_own { None } else { self.core.custody(tag) };
        let mut headers = copies(&head.headers, &SIGNATURE);
        let original = custody.as_ref().map(|(_, envelope)| {
            envelope_header::header_line(envelope.encoding, &envelope.body, self.max_body)
        });
        let original = original.unwrap_or_default();
        // In the mode `managed` it has corrected all times by the SDK's `sent_at`, and then written one of its own.
        let is_dated = sent_at::of(&plain) != sent_at::of(&original);
        let body = envelope_header::restored(&plain, &original)
            .ok_or_else(|| Refusal::bad_request("its header is not a JSON object"))?;
        let (number, envelope) = if let Some((number, original)) = custody {
            // The event of a fault keeps its kind, which no item's type can name.
            let is_fault = original.priority() == Priority::Fault;
            let items = items.filter(|_| !is_fault).unwrap_or_else(|| original.items.clone());
            let mut path = &*original.path;
            if !original.is_taggable() {
                // Sentry's Relay made an envelope of it, and its key may have been in the query.
                path = head.uri.path();
                headers.extend(copies(&head.headers, &[X_SENTRY_AUTH, CONTENT_TYPE]));
            }
            (Some(number), original.filtered(body, items, path, headers))
        } else {
            let items = items.ok_or_else(|| Refusal::bad_request("it cannot be read"))?;
            (tag.map(Into::into), self.additional(head, tag, items, body, headers)?)
        };
        self.core.hand_back(number, envelope, is_dated);
        Ok(json(StatusCode::OK, "{}".to_owned()))
    }

    /// Returns a body without its encoding, and its items.
    fn decoded(&self, head: &Parts, body: &Bytes) -> Result<(Vec<u8>, Items), Refusal> {
        let encoding = head.headers.get(CONTENT_ENCODING).map_or(Ok(""), HeaderValue::to_str);
        let encoding = encoding.ok().and_then(Encoding::parse);
        let encoding = encoding.ok_or_else(|| Refusal::bad_request("unknown content encoding"))?;
        let plain = decode_all(encoding, body, self.max_body)
            .ok_or_else(|| Refusal::bad_request("it cannot be decoded"))?;
        let mut scanner = Scanner::new();
        let envelope = scanner.feed(&plain).and_then(|()| scanner.finish()).ok();
        Ok((plain, envelope.map(|envelope| envelope.items.into())))
    }

    /// Makes an envelope that Sentry's Relay sends beside those that it was given: the second part of one, or its own
    /// client report.
    fn additional(
        &self,
        head: &Parts,
        tag: Option<u64>,
        items: Box<[Item]>,
        body: Vec<u8>,
        mut headers: Vec<(HeaderName, HeaderValue)>,
    ) -> Result<Envelope, Refusal> {
        let auth = head.headers.get(X_SENTRY_AUTH).and_then(|value| value.to_str().ok()).unwrap_or_default();
        headers.extend(copies(&head.headers, &[X_SENTRY_AUTH, CONTENT_TYPE, USER_AGENT]));
        Envelope::of_sentry_relay(self.upstream(tag)?, head.uri.path(), auth, items, body, headers)
            .ok_or_else(|| Refusal::bad_request("it names no project or no key"))
    }

    /// Returns the upstream of what Sentry's Relay sends by itself. For a part of an envelope, it is that of the
    /// envelope, which may be another one than that of the settings. For all else, it is that of the settings, or, if
    /// they name none, that of the latest envelope.
    fn upstream(&self, tag: Option<u64>) -> Result<Arc<Upstream>, Refusal> {
        let of_part = tag.and_then(|_| self.core.upstream_of(tag));
        let upstream = of_part.or_else(|| self.upstream.clone()).or_else(|| self.core.upstream_of(None));
        upstream
            .ok_or_else(|| Refusal(StatusCode::INTERNAL_SERVER_ERROR, "no upstream is known yet".to_owned()))
    }

    /// Forwards a request to Sentry byte for byte, because Sentry verifies its signature.
    async fn forward(&self, head: Parts, body: Bytes) -> Result<Response<Full<Bytes>>, Refusal> {
        let is_config = head.uri.path().ends_with("/relays/projectconfigs/")
            && has_entries(&head.headers, &body, "publicKeys");
        let mut request = Request::new(body);
        (*request.method_mut(), *request.uri_mut()) = (head.method, head.uri);
        *request.headers_mut() = end_to_end(head.headers);
        let upstream = self.upstream(None)?;
        if is_config {
            self.core.set_awaits_config(true);
        }
        let answer = self.core.forward(&upstream, request).await;
        let answer = answer.map_err(|error| Refusal(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()))?;
        if is_config
            && answer.status().is_success()
            && !has_entries(answer.headers(), answer.body(), "pending")
        {
            self.core.set_awaits_config(false);
        }
        let (mut head, body) = answer.into_parts();
        head.headers = end_to_end(head.headers);
        if matches!(head.status.as_u16(), 502..=504) {
            head.status = StatusCode::INTERNAL_SERVER_ERROR;
        }
        Ok(Response::from_parts(head, Full::new(body)))
    }
}

/// Whether a body is a JSON object in which this list has entries.
fn has_entries(headers: &HeaderMap, body: &[u8], list: &str) -> bool {
    let encoding = headers.get(CONTENT_ENCODING).and_then(|value| value.to_str().ok());
    let Some(encoding) = Encoding::parse(encoding.unwrap_or_default()) else { return false };
    let plain = decode_all(encoding, body, MAX_CONFIGS).unwrap_or_default();
    let list = fields(&plain, [list]).and_then(|[list]| list);
    list.is_some_and(|list| list.get().contains('"'))
}

/// Returns copies of these headers. The values of a request share its read buffer, so one queued value would keep the
/// whole buffer in memory.
fn copies(headers: &HeaderMap, names: &[HeaderName]) -> Vec<(HeaderName, HeaderValue)> {
    let copy = |name: &HeaderName| {
        let value = HeaderValue::from_bytes(headers.get(name)?.as_bytes()).ok()?;
        Some((name.clone(), value))
    };
    names.iter().filter_map(copy).collect()
}

/// Removes the headers that are about one connection only.
fn end_to_end(mut headers: HeaderMap) -> HeaderMap {
    let mut names = of_one_hop(&headers);
    names.extend([HOST, CONTENT_LENGTH]);
    for name in names {
        headers.remove(name);
    }
    headers
}

fn json(status: StatusCode, body: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::from(body));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

#[cfg(test)]
mod tests;
