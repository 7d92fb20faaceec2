//! The routes that take data in. All but `pass` end as envelopes.

mod crash;
mod cron;
mod envelope;
mod lenient_json;
mod passthrough;
mod security;
mod store;

use super::request::RequestContext;
use super::response::Response;
use super::response::rejection::Rejection;
use super::routes::Ingest;
use hyper::Method;
use hyper::body::Incoming;

/// Relay's bound for a single event, decompressed.
const MAX_EVENT: usize = 1 << 20;

/// Takes what a client sends to a route, with a method that the route answers.
pub(super) async fn take(
    context: &RequestContext<'_>,
    route: Ingest<'_>,
    body: &mut Incoming,
) -> Result<Response, Rejection> {
    match route {
        Ingest::Tunnel => envelope::take(context, None, body).await,
        Ingest::Envelope { project } => envelope::take(context, Some(project), body).await,
        Ingest::Store { project } if context.head.method == Method::GET => {
            store::take_query(context, project)
        }
        Ingest::Store { project } => store::take(context, project, body).await,
        Ingest::Security { project } => security::take(context, project, body).await,
        Ingest::Cron { project, slug, key } => cron::take(context, project, slug, key, body).await,
        Ingest::Minidump { project } => crash::minidump::take(context, project, body).await,
        Ingest::Unreal { project, key } => crash::unreal::take(context, project, key, body).await,
        Ingest::Attachments { project, event } => {
            crash::attachments::take(context, project, event, body).await
        }
        Ingest::Pass { project, kind } => passthrough::take(context, project, kind, body).await,
    }
}

/// The bound of a body on a route for single events.
fn event_limit(context: &RequestContext<'_>) -> usize {
    MAX_EVENT.min(context.config.max_body)
}
