//! `/events/{id}/attachments/`: files for an event that was sent before.

use super::form;
use crate::gateway::request::RequestContext;
use crate::gateway::response::rejection::Rejection;
use crate::gateway::response::{self, Response};
use crate::protocol::envelope_writer;
use crate::protocol::event_id::EventId;
use hyper::StatusCode;
use hyper::body::Incoming;

/// Takes files.
pub(in crate::gateway::ingest) async fn take(
    context: &RequestContext<'_>,
    project: &str,
    event: &str,
    body: &mut Incoming,
) -> Result<Response, Rejection> {
    let project_auth = context.project_auth(project, None)?;
    let id = EventId::parse(event).ok_or_else(|| Rejection::bad("invalid event id"))?;
    let taken = context.take_decoded(body, context.config.max_body).await?;
    let parts = form::parse(&context.head.headers, &taken.bytes)?;
    let mut envelope = envelope_writer::envelope(&id, &[]);
    let header = envelope.len();
    for part in parts.iter().filter(|part| part.file_name.is_some()) {
        form::attach(&mut envelope, part, "event.attachment", part.data);
    }
    form::fields(&mut envelope, &parts);
    let created = response::empty(StatusCode::CREATED);
    if envelope.len() == header {
        return Ok(created);
    }
    Ok(response::of(context.submit_made(project_auth, envelope)?, created))
}
