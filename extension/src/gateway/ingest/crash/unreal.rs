//! `/unreal/{key}/`: crash reports of the Unreal Engine. They are passed on packed, because upstream unpacks them.

use crate::gateway::query;
use crate::gateway::request::RequestContext;
use crate::gateway::response::rejection::Rejection;
use crate::gateway::response::{self, Response};
use crate::protocol::envelope_writer;
use crate::protocol::event_id::EventId;
use hyper::body::Incoming;

/// Queues a report. Its sender does not understand status 429, so the response does not depend on rate limits.
pub(in crate::gateway::ingest) async fn handle(
    context: &RequestContext<'_>,
    project: &str,
    key: &str,
    body: &mut Incoming,
) -> Result<Response, Rejection> {
    let project_auth = context.project_auth(project, Some(key))?;
    let received = context.read_decoded_body(body, context.config.max_body).await?;
    if received.bytes.is_empty() {
        return Err(Rejection::empty());
    }
    let id = EventId::random();
    let user = context.query().and_then(|query| query::value(query, "UserID"));
    let fields: Vec<_> = user.as_deref().map(|user| ("unreal_user_id", user)).into_iter().collect();
    let mut envelope = envelope_writer::start(&id, &fields);
    let content_type = [("content_type", "application/octet-stream")];
    envelope_writer::push_item(&mut envelope, "unreal_report", &content_type, &received.bytes);
    context.submit_built(project_auth, envelope)?;
    Ok(response::text_id(&id))
}
