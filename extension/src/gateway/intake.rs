//! From a request to an accepted envelope, or to the answer that says why not.

use super::answer::{self, Answer};
use super::auth::{self, Auth, AuthError};
use super::body::{self, BodyError};
use super::store::{self, StoreError};
use crate::config::{Config, Dsn, ProjectId, Scheme, Upstream};
use crate::relay::{Envelope, Relay};
use crate::wire::{DecodeError, Encoding, Item, ItemKind, ScanError, Scanned, Scanner, decode};
use bytes::Bytes;
use hyper::body::Incoming;
use hyper::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, USER_AGENT};
use hyper::{Request, StatusCode};
use std::sync::Arc;

const X_SENTRY_AUTH: HeaderName = HeaderName::from_static("x-sentry-auth");
const ENVELOPE: HeaderValue = HeaderValue::from_static("application/x-sentry-envelope");
const OURSELVES: HeaderValue =
    HeaderValue::from_static(concat!("sentry-lambda-extension/", env!("CARGO_PKG_VERSION")));

/// Why a request is not accepted.
#[derive(Debug)]
struct Refusal(StatusCode, String);

impl Refusal {
    fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        Self(status, detail.into())
    }
}

impl From<AuthError> for Refusal {
    fn from(error: AuthError) -> Self {
        let status = match error {
            AuthError::Multiple | AuthError::Malformed => StatusCode::UNAUTHORIZED,
            AuthError::Version | AuthError::Key => StatusCode::BAD_REQUEST,
        };
        Self::new(status, error.to_string())
    }
}

impl From<BodyError> for Refusal {
    fn from(error: BodyError) -> Self {
        match error {
            BodyError::TooLarge => Self::too_large(),
            BodyError::Broken => Self::new(StatusCode::BAD_REQUEST, "the request body ended early"),
        }
    }
}

impl From<DecodeError<ScanError>> for Refusal {
    fn from(error: DecodeError<ScanError>) -> Self {
        match error {
            DecodeError::TooLarge => Self::too_large(),
            DecodeError::Corrupt(why) => {
                Self::new(StatusCode::BAD_REQUEST, format!("failed to decode body: {why}"))
            }
            DecodeError::Refused(why) => why.into(),
        }
    }
}

impl From<ScanError> for Refusal {
    fn from(error: ScanError) -> Self {
        Self::new(StatusCode::BAD_REQUEST, error.to_string())
    }
}

impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Self {
        let bad = |detail: &str| Self::new(StatusCode::BAD_REQUEST, detail);
        match error {
            StoreError::Empty => bad("empty request body"),
            StoreError::Encoding => bad("failed to decode body: neither JSON nor base64 of zlib"),
            StoreError::Json(why) => bad(&format!("invalid JSON: {why}")),
            StoreError::TooLarge => Self::too_large(),
        }
    }
}

impl Refusal {
    fn too_large() -> Self {
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "envelope exceeded size limits")
    }
}

/// Takes an envelope, in tunnel mode (`project` is none) or from `/api/{project}/envelope/`.
pub(super) async fn envelope(
    request: Request<Incoming>,
    project: Option<ProjectId>,
    config: &Config,
    relay: &Relay,
) -> Answer {
    respond(envelope_id(request, project, config, relay).await)
}

/// Takes a bare event from `/api/{project}/store/`.
pub(super) async fn store(
    request: Request<Incoming>,
    project: ProjectId,
    config: &Config,
    relay: &Relay,
) -> Answer {
    respond(stored_id(request, project, config, relay).await)
}

fn respond(outcome: Result<Option<String>, Refusal>) -> Answer {
    match outcome {
        Ok(id) => answer::accepted(id.as_deref()),
        Err(Refusal(status, detail)) => {
            crate::log::debug("refused a request", &[("status", &status.as_u16()), ("why", &detail)]);
            answer::refused(status, &detail)
        }
    }
}

async fn envelope_id(
    request: Request<Incoming>,
    project: Option<ProjectId>,
    config: &Config,
    relay: &Relay,
) -> Result<Option<String>, Refusal> {
    let (head, body) = request.into_parts();
    let auth = auth::find(&head.headers, head.uri.query())?;
    let encoding = encoding(&head.headers)?;
    let body = body::collect(body, config.max_body).await?;
    let scanned = scan(encoding, &body, config.max_body)?;
    let dsn = scanned.header.dsn.as_deref().map(parse_dsn).transpose()?;
    let (auth, project) = sender(auth, project, dsn.as_ref())?;
    let upstream = upstream(config, dsn.as_ref())?;
    if !scanned.items.is_empty() {
        let _ =
            relay.accept(forwarded(&head.headers, auth, project, upstream, encoding, scanned.items, body)?);
    }
    Ok(scanned.header.event_id)
}

async fn stored_id(
    request: Request<Incoming>,
    project: ProjectId,
    config: &Config,
    relay: &Relay,
) -> Result<Option<String>, Refusal> {
    let (head, body) = request.into_parts();
    let auth = auth::find(&head.headers, head.uri.query())?;
    let (auth, project) = sender(auth, Some(project), None)?;
    let encoding = encoding(&head.headers)?;
    let upstream = upstream(config, None)?;
    let limit = store::MAX_EVENT.min(config.max_body);
    let body = body::collect(body, limit).await?;
    let mut event = Vec::new();
    decode(encoding, &body, limit, |block| {
        event.extend_from_slice(block);
        Ok::<(), ScanError>(())
    })?;
    let wrapped = store::wrap(event, new_event_id)?;
    let items = vec![Item { kind: ItemKind::of(wrapped.item_type), count: 1, bytes: wrapped.body.len() }];
    let mut headers = head.headers;
    headers.remove(CONTENT_TYPE);
    let body = wrapped.body.into();
    let _ = relay.accept(forwarded(&headers, auth, project, upstream, Encoding::Identity, items, body)?);
    Ok(Some(wrapped.event_id))
}

fn encoding(headers: &HeaderMap) -> Result<Encoding, Refusal> {
    let value = headers.get(CONTENT_ENCODING).map(HeaderValue::as_bytes).unwrap_or_default();
    let name = std::str::from_utf8(value).unwrap_or("?").trim();
    Encoding::parse(name)
        .ok_or_else(|| Refusal::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported content encoding"))
}

fn scan(encoding: Encoding, body: &Bytes, limit: usize) -> Result<Scanned, Refusal> {
    let mut scanner = Scanner::new();
    decode(encoding, body, limit, |block| scanner.feed(block))?;
    Ok(scanner.finish()?)
}

fn parse_dsn(text: &str) -> Result<Dsn, Refusal> {
    Dsn::parse(text)
        .map_err(|why| Refusal::new(StatusCode::BAD_REQUEST, format!("the dsn in the envelope header {why}")))
}

/// Who sends to which project: the request says so, or the `dsn` in the envelope's header; both must agree.
fn sender(
    auth: Option<Auth>,
    project: Option<ProjectId>,
    dsn: Option<&Dsn>,
) -> Result<(Auth, ProjectId), Refusal> {
    let mismatch = |what| {
        Refusal::new(StatusCode::BAD_REQUEST, format!("envelope DSN and request name different {what}"))
    };
    let Some(auth) = auth else {
        let dsn =
            dsn.ok_or_else(|| Refusal::new(StatusCode::UNAUTHORIZED, "missing authorization information"))?;
        let key = dsn.key.clone().ok_or(AuthError::Key)?;
        let project = dsn.project.ok_or_else(no_project)?;
        return Ok((Auth::of_key(key), project));
    };
    if let Some(dsn) = dsn {
        if dsn.key.as_ref() != Some(&auth.key) {
            return Err(mismatch("keys"));
        }
        if project.is_some() && dsn.project != project {
            return Err(mismatch("projects"));
        }
    }
    let project = project.or(dsn.and_then(|d| d.project)).ok_or_else(no_project)?;
    Ok((auth, project))
}

fn no_project() -> Refusal {
    Refusal::new(
        StatusCode::BAD_REQUEST,
        "no project: the envelope header's dsn must end in a project number",
    )
}

/// Where it goes: what is configured, else what the envelope names and the allow-list lets through.
fn upstream(config: &Config, dsn: Option<&Dsn>) -> Result<Arc<Upstream>, Refusal> {
    if let Some(upstream) = &config.upstream {
        return Ok(Arc::clone(upstream));
    }
    let forbidden = |detail: String| Refusal::new(StatusCode::FORBIDDEN, detail);
    let named = dsn.map(|d| &d.upstream).filter(|u| !config.is_loop(u));
    let Some(upstream) = named else {
        let mistake = config.upstream_mistake.clone();
        return Err(forbidden(mistake.unwrap_or_else(|| {
            "no upstream: set SENTRY_DSN or SENTRY_EXTENSION_DSN in the function's environment".to_owned()
        })));
    };
    if !config.allowed_hosts.contains(upstream.host()) {
        let host = upstream.host();
        return Err(forbidden(format!(
            "host {host} is not allowed: add it to SENTRY_EXTENSION_ALLOWED_HOSTS"
        )));
    }
    if upstream.scheme() == Scheme::Http && !upstream.is_loopback() {
        return Err(forbidden("plain http is sent to loopback or to a configured upstream only".to_owned()));
    }
    Ok(Arc::new(upstream.clone()))
}

fn forwarded(
    headers: &HeaderMap,
    auth: Auth,
    project: ProjectId,
    upstream: Arc<Upstream>,
    encoding: Encoding,
    items: Vec<Item>,
    body: Bytes,
) -> Result<Envelope, Refusal> {
    let own = |name: HeaderName, default| {
        let value = headers.get(&name).map_or(default, copied);
        (name, value)
    };
    let mut sent = vec![
        (X_SENTRY_AUTH, HeaderValue::try_from(auth.header()).map_err(|_| AuthError::Malformed)?),
        own(USER_AGENT, OURSELVES),
        own(CONTENT_TYPE, ENVELOPE),
    ];
    if let Some(encoding) = encoding.header() {
        sent.push((CONTENT_ENCODING, HeaderValue::from_static(encoding)));
    }
    Ok(Envelope {
        upstream,
        path: format!("/api/{project}/envelope/"),
        key: auth.key,
        project,
        headers: sent.into(),
        encoding,
        items: items.into(),
        body,
    })
}

/// A value with memory of its own.
fn copied(value: &HeaderValue) -> HeaderValue {
    HeaderValue::from_bytes(value.as_bytes()).unwrap_or_else(|_| value.clone())
}

/// A random UUID's 32 hex digits.
fn new_event_id() -> String {
    use std::hash::BuildHasher as _;
    // RandomState is seeded by the system once a process and differs at each call: ids need to be
    // unique, not secret.
    let random = || std::hash::RandomState::new().hash_one(std::time::SystemTime::now());
    let high = (random() & !0xf000) | 0x4000;
    let low = (random() & !(0b11 << 62)) | (0b10 << 62);
    format!("{high:016x}{low:016x}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Overrides, PublicKey};

    const KEY: &str = "a94ae32be2584e0bbd7a4cbb95971fee";

    fn config(vars: &[(&str, &str)]) -> Config {
        let var = |name: &str| vars.iter().find(|(n, _)| *n == name).map(|(_, v)| (*v).to_owned());
        Config::read(var, Overrides::default()).0
    }

    fn dsn(text: &str) -> Dsn {
        Dsn::parse(&text.replace("KEY", KEY)).unwrap()
    }

    fn status<T>(result: Result<T, Refusal>) -> Option<u16> {
        result.err().map(|refusal| refusal.0.as_u16())
    }

    #[test]
    fn request_and_envelope_must_name_the_same_sender() {
        let auth = || Some(Auth::of_key(PublicKey::parse(KEY).unwrap()));
        let project = ProjectId::parse("42");
        let own = dsn("https://KEY@anywhere.example/42");
        assert_eq!(sender(auth(), project, Some(&own)).unwrap().1, project.unwrap());
        assert_eq!(sender(auth(), None, Some(&own)).unwrap().1, project.unwrap());
        // Without authentication the path's project does not count.
        assert_eq!(sender(None, ProjectId::parse("7"), Some(&own)).unwrap().1, project.unwrap());
        assert_eq!(status(sender(None, project, None)), Some(401));
        assert_eq!(status(sender(auth(), None, None)), Some(400));
        assert_eq!(status(sender(auth(), ProjectId::parse("7"), Some(&own))), Some(400));
        let other = dsn("https://ffffffffffffffffffffffffffffffff@anywhere.example/42");
        assert_eq!(status(sender(auth(), project, Some(&other))), Some(400));
        assert_eq!(status(sender(None, project, Some(&dsn("https://short@anywhere.example/42")))), Some(400));
    }

    #[test]
    fn where_an_envelope_may_go() {
        let open = config(&[]);
        let sentry = dsn("https://KEY@o1.ingest.sentry.io/42");
        assert_eq!(upstream(&open, Some(&sentry)).unwrap().host(), "o1.ingest.sentry.io");
        assert_eq!(status(upstream(&open, Some(&dsn("https://KEY@evil.example/42")))), Some(403));
        assert_eq!(status(upstream(&open, Some(&dsn("http://KEY@sentry.io/42")))), Some(403));
        assert_eq!(status(upstream(&open, Some(&dsn("http://KEY@localhost:9000/42")))), Some(403));
        assert_eq!(status(upstream(&open, None)), Some(403));
        let configured = config(&[("SENTRY_DSN", "http://k@relay.example:3000/1")]);
        for envelope in [None, Some(&sentry)] {
            assert_eq!(upstream(&configured, envelope).unwrap().host(), "relay.example");
        }
    }

    #[test]
    fn the_loop_is_named() {
        let looped = config(&[("SENTRY_DSN", "http://KEY@localhost:5333/42")]);
        let refusal = upstream(&looped, None).unwrap_err();
        assert!(refusal.1.contains("SENTRY_EXTENSION_DSN"), "{}", refusal.1);
    }

    #[test]
    fn ids_are_version_4_uuids_and_differ() {
        let ids: std::collections::HashSet<String> = (0..100).map(|_| new_event_id()).collect();
        assert_eq!(ids.len(), 100);
        for id in ids {
            assert_eq!((id.len(), &id[12..13]), (32, "4"), "{id}");
            assert!("89ab".contains(&id[16..17]), "{id}");
        }
    }
}
