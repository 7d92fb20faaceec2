//! `/unreal/{key}/`: crash reports of the Unreal Engine, which upstream unpacks.

use crate::gateway::answer::{self, Answer};
use crate::gateway::event_id::EventId;
use crate::gateway::refusal::Refusal;
use crate::gateway::visit::Visit;
use crate::gateway::{compose, query};
use hyper::body::Incoming;

/// Takes a report. Its sender does not understand 429, so it is not told of rate limits.
pub(super) async fn take(
    visit: &Visit<'_>,
    project: &str,
    key: &str,
    body: &mut Incoming,
) -> Result<Answer, Refusal> {
    let sender = visit.sender(project, Some(key))?;
    let taken = visit.take_decoded(body, visit.config.max_body).await?;
    if taken.bytes.is_empty() {
        return Err(Refusal::empty());
    }
    let id = EventId::random();
    let user = visit.query().and_then(|query| query::value(query, "UserID"));
    let fields: Vec<_> = user.as_deref().map(|user| ("unreal_user_id", user)).into_iter().collect();
    let mut envelope = compose::envelope(&id, &fields);
    let content_type = [("content_type", "application/octet-stream")];
    compose::item(&mut envelope, "unreal_report", &content_type, &taken.bytes);
    visit.submit_made(sender, envelope)?;
    Ok(answer::text_id(&id))
}
