//! `/events/{id}/attachments/`: files that belong to an event which was sent before.

use super::form;
use crate::gateway::request::RequestContext;
use crate::gateway::response::rejection::Rejection;
use crate::gateway::response::{self, Response};
use crate::protocol::envelope_writer;
use crate::protocol::event_id::EventId;
use hyper::StatusCode;
use hyper::body::Incoming;

/// Queues the files and fields of a form as attachments of the event.
pub(in crate::gateway::ingest) async fn handle(
    context: &RequestContext<'_>,
    project: &str,
    event: &str,
    body: &mut Incoming,
) -> Result<Response, Rejection> {
    let project_auth = context.project_auth(project, None)?;
    let id = EventId::parse(event).ok_or_else(|| Rejection::bad_request("invalid event id"))?;
    let received = context.read_decoded_body(body, context.config.max_body).await?;
    let parts = form::parse(&context.head.headers, &received.bytes)?;
    let mut envelope = envelope_writer::start(&id, &[]);
    let header = envelope.len();
    for part in parts.iter().filter(|part| part.file_name.is_some()) {
        form::add_attachment(&mut envelope, part, "event.attachment", part.data);
    }
    form::add_fields(&mut envelope, &parts);
    let created = response::empty(StatusCode::CREATED);
    if envelope.len() == header {
        return Ok(created);
    }
    Ok(response::with_rate_limits(context.submit_built(project_auth, envelope)?, created))
}
