//! One request on its way through the gateway: what handlers share.

use super::auth::{self, Auth};
use super::connection::body::{self, ReceivedBody};
use super::connection::memory_budget::MemoryBudget;
use super::headers;
use super::project_auth::{self, ProjectAuth};
use super::response::rejection::Rejection;
use crate::config::{Config, Dsn};
use crate::insights::Insights;
use crate::protocol::{Encoding, Item, Scanned, Scanner, decode};
use crate::relay::{Acceptance, Envelope, Relay};
use hyper::StatusCode;
use hyper::body::Incoming;
use hyper::header::{CONTENT_ENCODING, HeaderValue};
use hyper::http::request::Parts;
use std::net::IpAddr;

/// A request's head, and what it takes to answer.
#[derive(Debug)]
pub(super) struct RequestContext<'a> {
    pub(super) head: &'a Parts,
    pub(super) peer: IpAddr,
    pub(super) config: &'a Config,
    pub(super) relay: &'a Relay,
    pub(super) memory: &'a MemoryBudget,
    pub(super) insights: Option<&'a Insights>,
}

/// What a client sent, and how.
pub(super) struct Submission<'a> {
    pub(super) project_auth: ProjectAuth,
    pub(super) dsn: Option<&'a Dsn>,
    pub(super) encoding: Encoding,
    /// It came as an envelope: its content type is kept.
    pub(super) as_envelope: bool,
    pub(super) items: Vec<Item>,
    pub(super) body: Vec<u8>,
}

impl<'a> RequestContext<'a> {
    pub(super) fn query(&self) -> Option<&'a str> {
        self.head.uri.query()
    }

    /// Who sends, as far as the request's head says it.
    pub(super) fn auth(&self, path_key: Option<&str>) -> Result<Option<Auth>, Rejection> {
        Ok(auth::find(&self.head.headers, self.query(), path_key)?)
    }

    /// Who sends on a route that asks for authentication.
    pub(super) fn project_auth(
        &self,
        project: &str,
        path_key: Option<&str>,
    ) -> Result<ProjectAuth, Rejection> {
        // Relay's order: a bad project is named before anything else.
        let number = project_auth::project_in_path(project);
        ProjectAuth::of_request(number.and_then(|_| self.auth(path_key))?, project)
    }

    pub(super) fn encoding(&self) -> Result<Encoding, Rejection> {
        let value = self.head.headers.get(CONTENT_ENCODING).map(HeaderValue::as_bytes).unwrap_or_default();
        let name = std::str::from_utf8(value).unwrap_or("?").trim();
        let unknown = || Rejection::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported content encoding");
        Encoding::parse(name).ok_or_else(unknown)
    }

    /// Takes the body as it is.
    pub(super) async fn take(
        &self,
        body: &mut Incoming,
        limit: usize,
    ) -> Result<ReceivedBody<'a>, Rejection> {
        Ok(body::collect(body, limit, self.memory).await?)
    }

    /// Takes the body and decodes it; neither form may be larger than `limit`.
    ///
    /// What decoding adds is not waited for: nothing is awaited from here to the queue, so on the one
    /// thread there is at most one decoded body at a time.
    pub(super) async fn take_decoded(
        &self,
        body: &mut Incoming,
        limit: usize,
    ) -> Result<ReceivedBody<'a>, Rejection> {
        let encoding = self.encoding()?;
        let taken = self.take(body, limit).await?;
        Ok(ReceivedBody { bytes: decoded(encoding, taken.bytes, limit)?, reservation: taken.reservation })
    }

    /// Reads an envelope's shape, and holds nothing of it. What it says of the invocation is noted.
    pub(super) fn scan(&self, encoding: Encoding, body: &[u8], limit: usize) -> Result<Scanned, Rejection> {
        let mut scanner = if self.insights.is_some() { Scanner::noting() } else { Scanner::new() };
        decode(encoding, body, limit, |block| scanner.feed(block))?;
        let mut shape = scanner.finish()?;
        if let (Some(insights), Some(note)) = (self.insights, shape.note.take()) {
            insights.passed(note);
        }
        Ok(shape)
    }

    /// Hands what was sent to the relay.
    pub(super) fn submit(&self, submission: Submission<'_>) -> Result<Acceptance, Rejection> {
        let Submission { project_auth, dsn, encoding, as_envelope, items, mut body } = submission;
        // It may wait for long.
        body.shrink_to_fit();
        let upstream = project_auth::upstream(self.config, dsn)?;
        let headers =
            headers::for_envelope(&self.head.headers, self.peer, &project_auth.auth, encoding, as_envelope)?;
        Ok(self.relay.accept(Envelope {
            upstream,
            path: format!("/api/{}/envelope/", project_auth.project),
            key: project_auth.auth.key,
            project: project_auth.project,
            headers: headers.into(),
            encoding,
            items: items.into(),
            body: body.into(),
        }))
    }

    /// Hands over an envelope that was made here of something else.
    pub(super) fn submit_made(
        &self,
        project_auth: ProjectAuth,
        envelope: Vec<u8>,
    ) -> Result<Acceptance, Rejection> {
        let items = self.scan(Encoding::Identity, &envelope, usize::MAX)?.items;
        let encoding = Encoding::Identity;
        self.submit(Submission {
            project_auth,
            dsn: None,
            encoding,
            as_envelope: false,
            items,
            body: envelope,
        })
    }
}

/// What a body decodes to.
pub(super) fn decoded(encoding: Encoding, body: Vec<u8>, limit: usize) -> Result<Vec<u8>, Rejection> {
    if encoding == Encoding::Identity { Ok(body) } else { expanded(encoding, &body, limit) }
}

/// What bytes decode to, at most `limit`.
pub(super) fn expanded(encoding: Encoding, body: &[u8], limit: usize) -> Result<Vec<u8>, Rejection> {
    let mut plain = Vec::new();
    decode(encoding, body, limit, |block| {
        plain.extend_from_slice(block);
        Ok::<(), std::convert::Infallible>(())
    })?;
    Ok(plain)
}
