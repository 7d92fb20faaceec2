//! The context of one request, with the steps that several handlers need.

use super::auth::{self, Auth};
use super::connection::body::{self, ReceivedBody};
use super::connection::memory_budget::MemoryBudget;
use super::headers;
use super::project_auth::{self, ProjectAuth};
use super::response::rejection::Rejection;
use crate::config::{Config, Dsn};
use crate::insights::Insights;
use crate::protocol::{Encoding, Item, Scanned, Scanner, decode};
use crate::relay::{Acceptance, Envelope, OVERHEAD, Relay};
use hyper::StatusCode;
use hyper::body::Incoming;
use hyper::header::{CONTENT_ENCODING, HeaderValue};
use hyper::http::request::Parts;
use std::net::IpAddr;
use tokio::net::TcpStream;

/// What a connection tells about the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Peer {
    /// The client's address, unless the client is on this machine.
    pub(super) remote: Option<IpAddr>,
    /// Whether the client has connected to a loopback address.
    pub(super) is_on_loopback: bool,
}

impl Peer {
    /// Reads the addresses of a connection. `address` is the client's.
    pub(super) fn of(stream: &TcpStream, address: IpAddr) -> Self {
        let address = address.to_canonical();
        let own = stream.local_addr().ok().map(|own| own.ip().to_canonical());
        // A client that connects to another address of this machine has that address itself.
        let is_here = address.is_loopback() || own == Some(address);
        Self {
            remote: (!is_here).then_some(address),
            is_on_loopback: own.is_none_or(|own| own.is_loopback()),
        }
    }
}

/// A request's head, and what handlers need to answer it.
#[derive(Debug)]
pub(super) struct RequestContext<'a> {
    pub(super) head: &'a Parts,
    pub(super) peer: Peer,
    pub(super) config: &'a Config,
    pub(super) relay: &'a Relay,
    pub(super) memory: &'a MemoryBudget,
    pub(super) insights: Option<&'a Insights>,
}

/// An envelope for the queue, with its sender.
pub(super) struct Submission<'a> {
    pub(super) project_auth: ProjectAuth,
    pub(super) dsn: Option<&'a Dsn>,
    pub(super) encoding: Encoding,
    /// The client sent an envelope, so upstream gets the client's content type.
    pub(super) as_envelope: bool,
    pub(super) items: Vec<Item>,
    pub(super) body: Vec<u8>,
}

impl<'a> RequestContext<'a> {
    pub(super) fn query(&self) -> Option<&'a str> {
        self.head.uri.query()
    }

    /// The authentication in the request's head, or `None` if there is none.
    pub(super) fn auth(&self, path_key: Option<&str>) -> Result<Option<Auth>, Rejection> {
        Ok(auth::find(&self.head.headers, self.query(), path_key)?)
    }

    /// The sender and the project on a route that requires authentication.
    pub(super) fn project_auth(
        &self,
        project: &str,
        path_key: Option<&str>,
    ) -> Result<ProjectAuth, Rejection> {
        // A bad project is reported before bad authentication, as in Sentry's Relay.
        let number = project_auth::project_in_path(project);
        ProjectAuth::of_request(number.and_then(|_| self.auth(path_key))?, project)
    }

    pub(super) fn encoding(&self) -> Result<Encoding, Rejection> {
        let value = self.head.headers.get(CONTENT_ENCODING).map(HeaderValue::as_bytes).unwrap_or_default();
        let name = std::str::from_utf8(value).unwrap_or("?").trim();
        let unknown = || Rejection::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported content encoding");
        Encoding::parse(name).ok_or_else(unknown)
    }

    /// Fails if the queue could not take the envelope even if it were empty.
    pub(super) fn check_fits(&self, envelope: &Envelope) -> Result<(), Rejection> {
        if envelope.size() > self.config.buffer { Err(Rejection::too_large()) } else { Ok(()) }
    }

    /// Reads the body without decoding it.
    pub(super) async fn read_body(
        &self,
        body: &mut Incoming,
        limit: usize,
    ) -> Result<ReceivedBody<'a>, Rejection> {
        let limit = limit.min(self.config.buffer.saturating_sub(OVERHEAD));
        Ok(body::collect(self.head, body, limit, self.memory).await?)
    }

    /// Reads the body and decodes it. Neither the encoded nor the decoded body may be larger than `limit`.
    ///
    /// The memory for decoding is not reserved in the budget. Nothing is awaited between decoding and the queue, and
    /// there is one thread, so only one decoded body exists at a time.
    pub(super) async fn read_decoded_body(
        &self,
        body: &mut Incoming,
        limit: usize,
    ) -> Result<ReceivedBody<'a>, Rejection> {
        let encoding = self.encoding()?;
        let received = self.read_body(body, limit).await?;
        Ok(ReceivedBody {
            bytes: decode_body(encoding, received.bytes, limit)?,
            reservation: received.reservation,
        })
    }

    /// Hands an envelope to the relay. Fails if no upstream may get it.
    pub(super) fn submit(&self, submission: Submission<'_>) -> Result<Acceptance, Rejection> {
        let Submission { project_auth, dsn, encoding, as_envelope, items, mut body } = submission;
        // The body may stay in the queue for a long time, so it gives unused memory back.
        body.shrink_to_fit();
        let upstream = project_auth::upstream(self.config, dsn)?;
        let (sent, remote) = (&self.head.headers, self.peer.remote);
        let headers = headers::for_envelope(sent, remote, &project_auth.auth, encoding, as_envelope)?;
        let envelope = Envelope {
            upstream,
            path: format!("/api/{}/envelope/", project_auth.project),
            key: project_auth.auth.key,
            project: project_auth.project,
            headers: headers.into(),
            encoding,
            items: items.into(),
            body: body.into(),
            is_background: false,
        };
        self.check_fits(&envelope)?;
        if let Some(insights) = self.insights {
            insights.envelope_passed(&envelope);
        }
        Ok(self.relay.accept(envelope))
    }

    /// Hands an envelope to the relay that the gateway made from another format.
    pub(super) fn submit_built(
        &self,
        project_auth: ProjectAuth,
        envelope: Vec<u8>,
    ) -> Result<Acceptance, Rejection> {
        let items = scan_envelope(Encoding::Identity, &envelope, usize::MAX)?.items;
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

/// Decodes a body to at most `limit` bytes. A body without encoding is returned as it is.
pub(super) fn decode_body(encoding: Encoding, body: Vec<u8>, limit: usize) -> Result<Vec<u8>, Rejection> {
    if encoding == Encoding::Identity { Ok(body) } else { decode_to_vec(encoding, &body, limit) }
}

/// Decodes bytes to at most `limit` bytes.
pub(super) fn decode_to_vec(encoding: Encoding, body: &[u8], limit: usize) -> Result<Vec<u8>, Rejection> {
    let mut plain = Vec::new();
    decode(encoding, body, limit, |block| body::append(&mut plain, block, limit).map_err(Rejection::from))?;
    Ok(plain)
}

/// Checks an envelope and lists its items, without holding the decoded bytes. Fails if it decodes to more than `limit`
/// bytes.
pub(super) fn scan_envelope(encoding: Encoding, body: &[u8], limit: usize) -> Result<Scanned, Rejection> {
    let mut scanner = Scanner::new();
    decode(encoding, body, limit, |block| scanner.feed(block))?;
    Ok(scanner.finish()?)
}
