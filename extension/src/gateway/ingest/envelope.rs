//! Envelopes as SDKs send them: read through, and passed on byte for byte.

use crate::config::Dsn;
use crate::gateway::project_auth::{self, ProjectAuth};
use crate::gateway::request::{RequestContext, Submission, decoded};
use crate::gateway::response::rejection::Rejection;
use crate::gateway::response::{self, Response};
use crate::protocol::event_id::EventId;
use crate::protocol::{Encoding, envelope_writer};
use hyper::body::Incoming;

/// Takes an envelope, in tunnel mode (`project` is none) or for a project.
pub(super) async fn take(
    context: &RequestContext<'_>,
    project: Option<&str>,
    body: &mut Incoming,
) -> Result<Response, Rejection> {
    let project = project.map(project_auth::project_in_path).transpose()?;
    let auth = context.auth(None)?;
    let encoding = context.encoding()?;
    let limit = context.config.max_body;
    let taken = context.take(body, limit).await?;
    let is_anonymous = auth.is_none();
    let scanned = context
        .scan(encoding, &taken.bytes, limit)
        .map_err(|rejection| if is_anonymous { without_header(rejection) } else { rejection })?;
    let dsn = parse_dsn(scanned.header.dsn.as_deref(), is_anonymous)?;
    let project_auth = ProjectAuth::of_envelope(auth, project, dsn.as_ref())?;
    let event_id = parse_event_id(scanned.header.event_id.as_deref())?;
    if scanned.items.is_empty() {
        return Ok(response::id(event_id.as_ref()));
    }

    let (encoding, body, event_id) = match event_id {
        None if scanned.needs_event_id => {
            // The one case in which the bytes change: upstream needs to know which event is meant.
            let id = EventId::random();
            let plain = decoded(encoding, taken.bytes, limit)?;
            (Encoding::Identity, envelope_writer::with_event_id(plain, &id)?, Some(id))
        }
        event_id => (encoding, taken.bytes, event_id),
    };
    let dsn = dsn.as_ref();
    let items = scanned.items;
    let submission = Submission { project_auth, dsn, encoding, as_envelope: true, items, body };
    Ok(response::of(context.submit(submission)?, response::id(event_id.as_ref())))
}

/// Without a header there is also nobody who sends.
fn without_header(rejection: Rejection) -> Rejection {
    match rejection.causes.split_first() {
        None if rejection == Rejection::empty() => project_auth::no_sender(rejection.detail),
        Some((first, why)) if first == "invalid envelope header" => project_auth::no_sender(why.join(": ")),
        _ => rejection,
    }
}

fn parse_dsn(dsn: Option<&str>, is_anonymous: bool) -> Result<Option<Dsn>, Rejection> {
    dsn.map(Dsn::parse).transpose().map_err(|why| {
        let cause = format!("the dsn {why}");
        if is_anonymous {
            project_auth::no_sender(cause)
        } else {
            Rejection::envelope("invalid envelope header").because(cause)
        }
    })
}

fn parse_event_id(text: Option<&str>) -> Result<Option<EventId>, Rejection> {
    let invalid = || Rejection::envelope("invalid envelope header").because("the event_id is no UUID");
    text.map(|text| EventId::parse(text).ok_or_else(invalid)).transpose()
}
