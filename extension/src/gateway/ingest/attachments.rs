//! `/events/{id}/attachments/`: files for an event that was sent before.

use crate::gateway::answer::{self, Answer};
use crate::gateway::event_id::EventId;
use crate::gateway::refusal::Refusal;
use crate::gateway::visit::Visit;
use crate::gateway::{compose, form};
use hyper::StatusCode;
use hyper::body::Incoming;

/// Takes files.
pub(super) async fn take(
    visit: &Visit<'_>,
    project: &str,
    event: &str,
    body: &mut Incoming,
) -> Result<Answer, Refusal> {
    let sender = visit.sender(project, None)?;
    let id = EventId::parse(event).ok_or_else(|| Refusal::bad("invalid event id"))?;
    let taken = visit.take_decoded(body, visit.config.max_body).await?;
    let parts = form::parse(&visit.head.headers, &taken.bytes)?;
    let mut envelope = compose::envelope(&id, &[]);
    let header = envelope.len();
    for part in parts.iter().filter(|part| part.file_name.is_some()) {
        form::attach(&mut envelope, part, "event.attachment", part.data);
    }
    form::fields(&mut envelope, &parts);
    let created = answer::empty(StatusCode::CREATED);
    if envelope.len() == header {
        return Ok(created);
    }
    Ok(answer::of(visit.submit_made(sender, envelope)?, created))
}
