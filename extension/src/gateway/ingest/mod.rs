//! The routes that accept data. Each of them queues an envelope, except `passthrough`, which queues the request as it
//! came.

mod crash;
mod cron;
mod envelope;
mod lenient_json;
mod passthrough;
mod security;
mod store;

#[cfg(any(test, fuzzing))]
pub(super) use crash::fuzzing;

use super::request::RequestContext;
use super::response::Response;
use super::response::rejection::Rejection;
use super::routes::Ingest;
use hyper::Method;
use hyper::body::Incoming;

/// The largest decompressed event, in bytes. The value is that of Sentry's Relay.
const MAX_EVENT: usize = 1 << 20;

/// Handles a request to a route. The caller has checked that the route accepts the method.
pub(super) async fn handle(
    context: &RequestContext<'_>,
    route: Ingest<'_>,
    body: &mut Incoming,
) -> Result<Response, Rejection> {
    match route {
        Ingest::Tunnel => envelope::handle(context, None, body).await,
        Ingest::Envelope { project } => envelope::handle(context, Some(project), body).await,
        Ingest::Store { project } if context.head.method == Method::GET => {
            store::handle_query(context, project)
        }
        Ingest::Store { project } => store::handle(context, project, body).await,
        Ingest::Security { project } => security::handle(context, project, body).await,
        Ingest::Cron { project, slug, key } => cron::handle(context, project, slug, key, body).await,
        Ingest::Minidump { project } => crash::minidump::handle(context, project, body).await,
        Ingest::Unreal { project, key } => crash::unreal::handle(context, project, key, body).await,
        Ingest::Attachments { project, event } => {
            crash::attachments::handle(context, project, event, body).await
        }
        Ingest::Passthrough { project, kind } => passthrough::handle(context, project, kind, body).await,
    }
}

/// The largest body on a route for single events, in bytes.
fn event_limit(context: &RequestContext<'_>) -> usize {
    MAX_EVENT.min(context.config.max_body)
}
