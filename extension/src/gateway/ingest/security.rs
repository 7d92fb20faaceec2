//! `/security/` and `/csp-report/`: browsers' reports of violated policies.

use super::event_limit;
use crate::gateway::answer::{self, Answer};
use crate::gateway::event_id::EventId;
use crate::gateway::refusal::Refusal;
use crate::gateway::visit::Visit;
use crate::gateway::{compose, media_type, query};
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
pub(super) async fn take(visit: &Visit<'_>, project: &str, body: &mut Incoming) -> Result<Answer, Refusal> {
    let essence = media_type::essence(&visit.head.headers).ok_or_else(|| Refusal::bad("no content type"))?;
    let sender = visit.sender(project, None)?;
    let taken = visit.take_decoded(body, event_limit(visit)).await?;
    if !TYPES.contains(&&*essence) {
        return Err(Refusal::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported content type"));
    }
    if taken.bytes.is_empty() {
        return Err(Refusal::empty());
    }
    let value = |name| visit.query().and_then(|query| query::value(query, name));
    let (release, environment) = (value("sentry_release"), value("sentry_environment"));
    let mut fields = vec![("content_type", "application/json")];
    fields.extend(release.as_deref().map(|release| ("sentry_release", release)));
    fields.extend(environment.as_deref().map(|environment| ("sentry_environment", environment)));
    let mut envelope = compose::envelope(&EventId::random(), &[]);
    compose::item(&mut envelope, "raw_security", &fields, &taken.bytes);
    Ok(answer::of(visit.submit_made(sender, envelope)?, answer::empty(StatusCode::OK)))
}
