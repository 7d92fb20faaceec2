//! Envelopes as SDKs send them. They are checked, and then queued byte for byte.

use crate::config::Dsn;
use crate::gateway::project_auth::{self, ProjectAuth};
use crate::gateway::request::{RequestContext, Submission, decode_body, scan_envelope};
use crate::gateway::response::rejection::Rejection;
use crate::gateway::response::{self, Response};
use crate::protocol::event_id::EventId;
use crate::protocol::{Encoding, envelope_writer};
use hyper::body::Incoming;

/// The longest DSN in an envelope's header, in bytes. Real ones have about 100.
const MAX_DSN: usize = 1024;

/// Queues an envelope. `project` is the one in the path; in tunnel mode there is none, and the envelope's DSN decides.
pub(super) async fn handle(
    context: &RequestContext<'_>,
    project: Option<&str>,
    body: &mut Incoming,
) -> Result<Response, Rejection> {
    let project = project.map(project_auth::project_in_path).transpose()?;
    let auth = context.auth(None)?;
    let encoding = context.encoding()?;
    let limit = context.config.max_body;
    let received = context.read_body(body, limit).await?;
    let is_anonymous = auth.is_none();
    let scanned = scan_envelope(encoding, &received.bytes, limit)
        .map_err(|rejection| if is_anonymous { invalid_header(rejection) } else { rejection })?;
    let dsn = parse_dsn(scanned.header.dsn.as_deref(), is_anonymous)?;
    let project_auth = ProjectAuth::of_envelope(auth, project, dsn.as_ref())?;
    let event_id = parse_event_id(scanned.header.event_id.as_deref())?;
    if scanned.items.is_empty() {
        return Ok(response::json_id(event_id.as_ref()));
    }

    let (encoding, body, event_id) = match event_id {
        None if scanned.needs_event_id => {
            // Upstream needs an event id for these items. This is the only case in which the bytes change.
            let id = EventId::random();
            let plain = decode_body(encoding, received.bytes, limit)?;
            (Encoding::Identity, envelope_writer::with_event_id(plain, &id)?, Some(id))
        }
        event_id => (encoding, received.bytes, event_id),
    };
    let dsn = dsn.as_ref();
    let items = scanned.items;
    let submission = Submission { project_auth, dsn, encoding, as_envelope: true, items, body };
    Ok(response::with_rate_limits(context.submit(submission)?, response::json_id(event_id.as_ref())))
}

/// The rejection of an envelope without a valid header. If the request has no authentication either, nothing names the
/// sender, and the status is 401.
fn invalid_header(rejection: Rejection) -> Rejection {
    match rejection.causes.split_first() {
        None if rejection == Rejection::empty() => project_auth::unknown_sender(rejection.detail),
        Some((first, why)) if first == "invalid envelope header" => {
            project_auth::unknown_sender(why.join(": "))
        }
        _ => rejection,
    }
}

fn parse_dsn(dsn: Option<&str>, is_anonymous: bool) -> Result<Option<Dsn>, Rejection> {
    let parse = |text: &str| {
        // Its host and path stay in memory beside the envelope, and compressed they cost the sender nothing.
        if text.len() > MAX_DSN {
            return Err(format!("is longer than {MAX_DSN} bytes"));
        }
        Dsn::parse(text).map_err(|why| why.to_string())
    };
    dsn.map(parse).transpose().map_err(|why| {
        let cause = format!("the dsn {why}");
        if is_anonymous {
            project_auth::unknown_sender(cause)
        } else {
            Rejection::envelope("invalid envelope header").because(cause)
        }
    })
}

fn parse_event_id(text: Option<&str>) -> Result<Option<EventId>, Rejection> {
    let invalid = || Rejection::envelope("invalid envelope header").because("the event_id is not a UUID");
    text.map(|text| EventId::parse(text).ok_or_else(invalid)).transpose()
}
