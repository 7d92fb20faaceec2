//! Requests that upstream must see as they were sent, OTLP most of all. The function does not wait for upstream: the
//! request is queued like an envelope, with its path, query, headers and body unchanged.

use crate::gateway::request::RequestContext;
use crate::gateway::response::rejection::Rejection;
use crate::gateway::response::{self, Response};
use crate::gateway::routes::fold_slashes;
use crate::gateway::{forward, headers, media_type, otlp, project_auth};
use crate::protocol::{Encoding, Item, ItemKind};
use crate::relay::Envelope;
use hyper::StatusCode;
use hyper::body::Incoming;

const PROTOBUF: &str = "application/x-protobuf";

/// Queues a request. Rate limits and client reports need the sender's key, so a request without one is forwarded
/// at once, and its sender waits for upstream's response.
pub(super) async fn handle(
    context: &RequestContext<'_>,
    project: &str,
    kind: ItemKind,
    body: &mut Incoming,
) -> Result<Response, Rejection> {
    let project = project_auth::project_in_path(project)?;
    let Some(auth) = context.auth(None)? else { return forward::handle(context, body).await };
    let upstream = project_auth::upstream(context.config, None)?;
    let received = context.read_body(body, context.config.max_body).await?;
    let client_headers = &context.head.headers;
    if let Some(insights) = context.insights.filter(|_| kind == ItemKind::Span) {
        insights.sdk_traces();
    }
    // What cannot be counted is taken for one.
    let count = otlp::count(context, kind, &received.bytes).unwrap_or(1);
    let envelope = Envelope {
        upstream,
        path: fold_slashes(context.head.uri.path_and_query().map_or("/", |path| path.as_str())),
        key: auth.key,
        project,
        headers: headers::end_to_end(client_headers, context.peer.remote).into(),
        // The body is never decoded here, so its real encoding does not matter. `Content-Encoding` is in the headers.
        encoding: Encoding::Identity,
        items: [Item { kind, count, bytes: received.bytes.len() }].into(),
        body: received.bytes.into(),
        is_background: false,
    };
    context.check_fits(&envelope)?;
    let acceptance = context.relay.accept(envelope);
    // An empty message means in OTLP that everything was accepted. Each of its two encodings writes it differently.
    let accepted = if media_type::essence(client_headers).as_deref() == Some(PROTOBUF) {
        response::with_body(StatusCode::OK, PROTOBUF, &b""[..])
    } else {
        response::json(StatusCode::OK, &b"{}"[..])
    };
    Ok(response::with_rate_limits(acceptance, accepted))
}
