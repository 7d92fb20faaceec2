//! The routes that take data in. All but `pass` end as envelopes.

mod attachments;
mod cron;
mod envelope;
mod lenient_json;
mod minidump;
mod pass;
mod security;
mod store;
mod unreal;

use super::answer::Answer;
use super::refusal::Refusal;
use super::routes::Ingest;
use super::visit::Visit;
use hyper::Method;
use hyper::body::Incoming;

/// Relay's bound for a single event, decompressed.
const MAX_EVENT: usize = 1 << 20;

/// Takes what a client sends to a route, with a method that the route answers.
pub(super) async fn take(
    visit: &Visit<'_>,
    route: Ingest<'_>,
    body: &mut Incoming,
) -> Result<Answer, Refusal> {
    match route {
        Ingest::Tunnel => envelope::take(visit, None, body).await,
        Ingest::Envelope { project } => envelope::take(visit, Some(project), body).await,
        Ingest::Store { project } if visit.head.method == Method::GET => store::take_query(visit, project),
        Ingest::Store { project } => store::take(visit, project, body).await,
        Ingest::Security { project } => security::take(visit, project, body).await,
        Ingest::Cron { project, slug, key } => cron::take(visit, project, slug, key, body).await,
        Ingest::Minidump { project } => minidump::take(visit, project, body).await,
        Ingest::Unreal { project, key } => unreal::take(visit, project, key, body).await,
        Ingest::Attachments { project, event } => attachments::take(visit, project, event, body).await,
        Ingest::Pass { project, kind } => pass::take(visit, project, kind, body).await,
    }
}

/// The bound of a body on a route for single events.
fn event_limit(visit: &Visit<'_>) -> usize {
    MAX_EVENT.min(visit.config.max_body)
}
