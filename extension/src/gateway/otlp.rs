//! OpenTelemetry's OTLP over HTTP, on a port of its own and without a key: everything goes to the project of the DSN.
//! Traces and logs go to Sentry's own endpoints for OTLP as the client has sent them. Metrics are converted, because
//! Sentry has no endpoint for them. All of it is queued like envelopes.

use super::auth::{Auth, AuthError};
use super::headers::{self, OwnedHeaders};
use super::request::{RequestContext, decode_to_vec};
use super::response::rejection::Rejection;
use super::response::{self, Response};
use super::{host_check, media_type};
use crate::config::{Config, Function, variable};
use crate::log::{self, Level};
use crate::otlp::{self, Converted, Converter, Format, Malformed, Message, Signal};
use crate::protocol::{Encoding, Item, ItemKind};
use crate::relay::{Acceptance, Envelope, RefusalReason, Relay, ReportTarget};
use hyper::body::Incoming;
use hyper::header::{ALLOW, HeaderValue, RETRY_AFTER};
use hyper::{HeaderMap, Method, StatusCode};
use std::borrow::Cow;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

/// The largest decompressed request, in bytes. The value is that of Sentry's Relay.
const MAX_BODY: usize = 12 << 20;
/// The most bytes of metrics that are made of one request.
const MAX_METRICS: usize = 4 << 20;
/// A client that finds no memory tries again after this time. Seconds.
const RETRY_SECONDS: u64 = 1;

const RATE_LIMITED: &str = "Sentry's rate limits forbid this now";

/// What listens for OTLP.
#[derive(Clone, Debug)]
pub struct Otlp {
    state: Arc<Mutex<State>>,
}

#[derive(Debug)]
struct State {
    converter: Converter,
    /// The reasons for which data points were rejected, as far as they were logged.
    logged: Vec<&'static str>,
}

impl Otlp {
    /// Call this at the start of the process: a series of metrics that is older cannot be new.
    #[must_use]
    #[expect(clippy::new_without_default, reason = "it reads the clock and the environment")]
    pub fn new() -> Self {
        let converter = Converter::new(&Function::read(variable), SystemTime::now());
        Self { state: Arc::new(Mutex::new(State { converter, logged: Vec::new() })) }
    }

    /// Queues what a request carries. If a part of it cannot be, that is no error: after an error the client would
    /// send all of it again, and the function would wait for that.
    pub(super) async fn handle(
        &self,
        context: &RequestContext<'_>,
        body: &mut Incoming,
    ) -> Result<Response, Rejection> {
        host_check::check(context)?;
        let signal = signal(context.head.uri.path()).ok_or_else(|| {
            let detail = "the paths are /v1/traces, /v1/logs and /v1/metrics";
            Rejection::new(StatusCode::NOT_FOUND, detail)
        })?;
        if context.head.method != Method::POST {
            return Err(Rejection::method_not_allowed("POST"));
        }
        let format = format(&context.head.headers).ok_or_else(|| {
            let detail = "the content type is neither application/x-protobuf nor application/json";
            Rejection::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, detail)
        })?;
        let target = target(context.config)?;
        let encoding = context.encoding()?;
        let limit = MAX_BODY.min(context.config.max_body);
        let received = context.read_body(body, limit).await?;
        let plain = match encoding {
            Encoding::Identity => Cow::Borrowed(&received.bytes[..]),
            encoding => Cow::Owned(decode_to_vec(encoding, &received.bytes, limit)?),
        };
        let message = Message::new(format, &plain)?;
        let (rejected, why) = if signal == Signal::Metrics {
            self.convert(message, context.relay, &target)?
        } else {
            let count = otlp::count(signal, message)?;
            if let Some(insights) = context.insights.filter(|_| signal == Signal::Traces && count > 0) {
                insights.sdk_traces();
            }
            let item = Item { kind: signal.kind(), count, bytes: plain.len() };
            drop(plain);
            let is_taken = count == 0 || pass_on(context, target, signal, encoding, item, received.bytes)?;
            if is_taken { (0, "") } else { (count.into(), RATE_LIMITED) }
        };
        let body = otlp::accepted(format, signal, rejected, why);
        Ok(response::with_body(StatusCode::OK, format.media_type(), body))
    }

    /// Queues metrics. Returns how many data points were not accepted, and why.
    fn convert(
        &self,
        request: Message<'_>,
        relay: &Relay,
        target: &ReportTarget,
    ) -> Result<(u64, &'static str), Malformed> {
        // A poisoned lock is safe to use: at worst, one data point is not counted.
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let converted = state.converter.convert(request, SystemTime::now(), MAX_METRICS)?;
        let Converted { containers, mut rejected, mut why } = converted;
        if rejected > 0 {
            // Most clients do not tell their users of it.
            let is_new = !state.logged.contains(&why);
            if is_new {
                state.logged.push(why);
            }
            log::write(
                if is_new { Level::Warn } else { Level::Debug },
                "some metrics cannot be converted",
                &[("data_points", &rejected), ("why", &why)],
            );
        }
        drop(state);
        for container in containers {
            let ReportTarget { upstream, key, project } = target.clone();
            let envelope = Envelope::of_ours(upstream, key, project, container.item, container.envelope);
            if let Acceptance::Limited { .. } = relay.accept(envelope) {
                rejected += container.points;
                why = RATE_LIMITED;
            }
        }
        Ok((rejected, why))
    }
}

/// Queues a request for Sentry's endpoint of the same signal. Returns `false` if rate limits forbid it.
fn pass_on(
    context: &RequestContext<'_>,
    target: ReportTarget,
    signal: Signal,
    encoding: Encoding,
    item: Item,
    body: Vec<u8>,
) -> Result<bool, Rejection> {
    let ReportTarget { upstream, key, project } = target;
    let headers = upstream_headers(context, &Auth::from_key(key.clone()), encoding)?;
    let envelope = Envelope {
        upstream,
        path: format!("/api/{project}/integration/otlp/v1/{}", signal.name()),
        key,
        project,
        headers: headers.into(),
        encoding,
        items: [item].into(),
        body: body.into(),
        is_background: false,
    };
    context.check_fits(&envelope)?;
    Ok(matches!(context.relay.accept(envelope), Acceptance::Taken { .. }))
}

/// The client's headers, with the authentication of the DSN instead of its own.
fn upstream_headers(
    context: &RequestContext<'_>,
    auth: &Auth,
    encoding: Encoding,
) -> Result<OwnedHeaders, AuthError> {
    headers::for_envelope(&context.head.headers, context.peer.remote, auth, encoding, true)
}

/// Counts the spans or logs of a request that came to another route. `None` if it cannot be read, or has none.
pub(super) fn count(context: &RequestContext<'_>, kind: ItemKind, body: &[u8]) -> Option<u32> {
    let signal = [Signal::Traces, Signal::Logs].into_iter().find(|signal| signal.kind() == kind)?;
    let format = format(&context.head.headers)?;
    let limit = MAX_BODY.min(context.config.max_body);
    let plain = decode_to_vec(context.encoding().ok()?, body, limit).ok()?;
    otlp::count(signal, Message::new(format, &plain).ok()?).ok().filter(|count| *count > 0)
}

/// Writes the response to a request that is refused.
pub(super) fn refused(rejection: &Rejection, client_headers: &HeaderMap, relay: &Relay) -> Response {
    let (detail, causes) = rejection.record(relay);
    let message = std::iter::once(detail).chain(causes).collect::<Vec<_>>().join(": ");
    let format = format(client_headers).unwrap_or(Format::Json);
    let mut response =
        response::with_body(rejection.status, format.media_type(), otlp::status(format, &message));
    if let Some(allowed) = rejection.allowed_methods {
        response.headers_mut().insert(ALLOW, HeaderValue::from_static(allowed));
    }
    if rejection.status == StatusCode::SERVICE_UNAVAILABLE {
        response.headers_mut().insert(RETRY_AFTER, RETRY_SECONDS.into());
    }
    response
}

/// Reads a path like `/v1/traces`. A slash at the end is optional.
fn signal(path: &str) -> Option<Signal> {
    let mut segments = path.split('/').filter(|segment| !segment.is_empty());
    match [segments.next(), segments.next(), segments.next()] {
        [Some("v1"), Some(name), None] => Signal::of(name),
        _ => None,
    }
}

fn format(client_headers: &HeaderMap) -> Option<Format> {
    media_type::essence(client_headers).and_then(|essence| Format::of(&essence))
}

/// The project of the DSN, and where it is.
fn target(config: &Config) -> Result<ReportTarget, Rejection> {
    let found = config.dsn.as_ref().and_then(|dsn| {
        // The project belongs to the host of its own DSN, unless one host is to receive everything.
        let configured = config.upstream.as_ref().filter(|_| config.upstream_takes_all);
        let upstream = configured.cloned().unwrap_or_else(|| Arc::new(dsn.upstream.clone()));
        Some(ReportTarget { upstream, key: dsn.key.clone()?, project: dsn.project? })
    });
    found.ok_or_else(|| {
        let detail = "no project: set SENTRY_DSN or SENTRY_EXTENSION_DSN in the function's environment";
        Rejection::new(StatusCode::FORBIDDEN, detail).for_reason(RefusalReason::NoUpstream)
    })
}

impl From<Malformed> for Rejection {
    fn from(why: Malformed) -> Self {
        Self::bad_request("malformed request").because(why.to_string())
    }
}
