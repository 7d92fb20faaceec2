//! `/security/` and `/csp-report/`: reports of browsers about pages that violate a security policy.

use super::event_limit;
use crate::gateway::request::RequestContext;
use crate::gateway::response::rejection::Rejection;
use crate::gateway::response::{self, Response};
use crate::gateway::{media_type, query};
use crate::protocol::envelope_writer;
use crate::protocol::event_id::EventId;
use hyper::StatusCode;
use hyper::body::Incoming;

const CONTENT_TYPES: [&str; 5] = [
    "application/json",
    "application/csp-report",
    "application/expect-ct-report",
    "application/expect-ct-report+json",
    "application/expect-staple-report",
];

/// Queues a report. Release and environment come from the query.
pub(super) async fn handle(
    context: &RequestContext<'_>,
    project: &str,
    body: &mut Incoming,
) -> Result<Response, Rejection> {
    let essence = media_type::essence(&context.head.headers)
        .ok_or_else(|| Rejection::bad_request("no content type"))?;
    let project_auth = context.project_auth(project, None)?;
    let received = context.read_decoded_body(body, event_limit(context)).await?;
    if !CONTENT_TYPES.contains(&&*essence) {
        return Err(Rejection::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported content type"));
    }
    if received.bytes.is_empty() {
        return Err(Rejection::empty());
    }
    let value = |name| context.query().and_then(|query| query::value(query, name));
    let (release, environment) = (value("sentry_release"), value("sentry_environment"));
    let mut fields = vec![("content_type", "application/json")];
    fields.extend(release.as_deref().map(|release| ("sentry_release", release)));
    fields.extend(environment.as_deref().map(|environment| ("sentry_environment", environment)));
    let mut envelope = envelope_writer::start(&EventId::random(), &[]);
    envelope_writer::push_item(&mut envelope, "raw_security", &fields, &received.bytes);
    Ok(response::with_rate_limits(
        context.submit_built(project_auth, envelope)?,
        response::empty(StatusCode::OK),
    ))
}
