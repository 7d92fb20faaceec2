//! What upstream must see as it was sent (OTLP most of all), but for which the function must not wait: it is
//! queued like an envelope, with path, query, headers and bytes as they came.

use crate::gateway::request::RequestContext;
use crate::gateway::response::rejection::Rejection;
use crate::gateway::response::{self, Response};
use crate::gateway::routes::folded;
use crate::gateway::{forward, headers, media_type, project_auth};
use crate::protocol::{Encoding, ItemKind, lone_item};
use crate::relay::Envelope;
use hyper::StatusCode;
use hyper::body::Incoming;

const PROTOBUF: &str = "application/x-protobuf";

/// Queues a request. One that does not say who sends cannot be limited or accounted for, so it is forwarded
/// and its sender waits for upstream's own answer.
pub(super) async fn take(
    context: &RequestContext<'_>,
    project: &str,
    kind: ItemKind,
    body: &mut Incoming,
) -> Result<Response, Rejection> {
    let project = project_auth::project_in_path(project)?;
    let Ok(Some(auth)) = context.auth(None) else { return forward::take(context, body).await };
    let upstream = project_auth::upstream(context.config, None)?;
    let taken = context.take(body, context.config.max_body).await?;
    let came = &context.head.headers;
    let acceptance = context.relay.accept(Envelope {
        upstream,
        path: folded(context.head.uri.path_and_query().map_or("/", |path| path.as_str())),
        key: auth.key,
        project,
        headers: headers::end_to_end(came, context.peer).into(),
        // Whatever it is, nobody here looks into it.
        encoding: Encoding::Identity,
        items: [lone_item(kind, taken.bytes.len())].into(),
        body: taken.bytes.into(),
    });
    // "All of it was accepted", as OTLP says it in each of its encodings.
    let accepted = if media_type::essence(came).as_deref() == Some(PROTOBUF) {
        response::with_body(StatusCode::OK, PROTOBUF, &b""[..])
    } else {
        response::json(StatusCode::OK, &b"{}"[..])
    };
    Ok(response::of(acceptance, accepted))
}
