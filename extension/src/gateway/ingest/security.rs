//! `/security/` and `/csp-report/`: browsers' reports of violated policies.

use super::event_limit;
use crate::gateway::request::RequestContext;
use crate::gateway::response::rejection::Rejection;
use crate::gateway::response::{self, Response};
use crate::gateway::{media_type, query};
use crate::protocol::envelope_writer;
use crate::protocol::event_id::EventId;
use hyper::StatusCode;
use hyper::body::Incoming;

const TYPES: [&str; 5] = [
    "application/json",
    "application/csp-report",
    "application/expect-ct-report",
    "application/expect-ct-report+json",
    "application/expect-staple-report",
];

/// Takes a report.
pub(super) async fn take(
    context: &RequestContext<'_>,
    project: &str,
    body: &mut Incoming,
) -> Result<Response, Rejection> {
    let essence =
        media_type::essence(&context.head.headers).ok_or_else(|| Rejection::bad("no content type"))?;
    let project_auth = context.project_auth(project, None)?;
    let taken = context.take_decoded(body, event_limit(context)).await?;
    if !TYPES.contains(&&*essence) {
        return Err(Rejection::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported content type"));
    }
    if taken.bytes.is_empty() {
        return Err(Rejection::empty());
    }
    let value = |name| context.query().and_then(|query| query::value(query, name));
    let (release, environment) = (value("sentry_release"), value("sentry_environment"));
    let mut fields = vec![("content_type", "application/json")];
    fields.extend(release.as_deref().map(|release| ("sentry_release", release)));
    fields.extend(environment.as_deref().map(|environment| ("sentry_environment", environment)));
    let mut envelope = envelope_writer::envelope(&EventId::random(), &[]);
    envelope_writer::item(&mut envelope, "raw_security", &fields, &taken.bytes);
    Ok(response::of(context.submit_made(project_auth, envelope)?, response::empty(StatusCode::OK)))
}
