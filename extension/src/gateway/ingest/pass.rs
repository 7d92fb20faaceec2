//! What upstream must see as it was sent (OTLP most of all), but for which the function must not wait: it is
//! queued like an envelope, with path, query, headers and bytes as they came.

use crate::gateway::answer::{self, Answer};
use crate::gateway::refusal::Refusal;
use crate::gateway::routes::folded;
use crate::gateway::visit::Visit;
use crate::gateway::{forward, headers, media_type, sender};
use crate::relay::Envelope;
use crate::wire::{Encoding, ItemKind, lone_item};
use hyper::StatusCode;
use hyper::body::Incoming;

const PROTOBUF: &str = "application/x-protobuf";

/// Queues a request. One that does not say who sends cannot be limited or accounted for, so it is forwarded
/// and its sender waits for upstream's own answer.
pub(super) async fn take(
    visit: &Visit<'_>,
    project: &str,
    kind: ItemKind,
    body: &mut Incoming,
) -> Result<Answer, Refusal> {
    let project = sender::project_in_path(project)?;
    let Ok(Some(auth)) = visit.auth(None) else { return forward::take(visit, body).await };
    let upstream = sender::upstream(visit.config, None)?;
    let taken = visit.take(body, visit.config.max_body).await?;
    let came = &visit.head.headers;
    let acceptance = visit.relay.accept(Envelope {
        upstream,
        path: folded(visit.head.uri.path_and_query().map_or("/", |path| path.as_str())),
        key: auth.key,
        project,
        headers: headers::end_to_end(came, visit.peer).into(),
        // Whatever it is, nobody here looks into it.
        encoding: Encoding::Identity,
        items: [lone_item(kind, taken.bytes.len())].into(),
        body: taken.bytes.into(),
    });
    // "All of it was accepted", as OTLP says it in each of its encodings.
    let accepted = if media_type::essence(came).as_deref() == Some(PROTOBUF) {
        answer::with_body(StatusCode::OK, PROTOBUF, &b""[..])
    } else {
        answer::json(StatusCode::OK, &b"{}"[..])
    };
    Ok(answer::of(acceptance, accepted))
}
