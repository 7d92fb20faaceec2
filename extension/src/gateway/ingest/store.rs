//! `/store/`: a bare JSON event, which SDKs sent before envelopes existed. It is converted to an envelope, as Sentry's
//! Relay does.

use super::{MAX_EVENT, envelope, event_limit, lenient_json};
use crate::gateway::request::{RequestContext, decode_to_vec};
use crate::gateway::response::rejection::Rejection;
use crate::gateway::response::{self, Response};
use crate::gateway::{media_type, query};
use crate::protocol::event_id::EventId;
use crate::protocol::{Encoding, envelope_writer};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hyper::StatusCode;
use hyper::body::Incoming;
use serde::Deserialize;

/// A GIF of one transparent pixel. Old browser SDKs send an event as the URL of an image.
const PIXEL: &[u8] = b"GIF89a\x01\0\x01\0\0\xff\0,\0\0\0\0\x01\0\x01\0\0\x02\0;";

const INVALID_BODY: &str = "invalid request body";

/// Queues an event, or an envelope that was sent to this route.
pub(super) async fn handle(
    context: &RequestContext<'_>,
    project: &str,
    body: &mut Incoming,
) -> Result<Response, Rejection> {
    if media_type::content_type(&context.head.headers) == "application/x-sentry-envelope" {
        return envelope::handle(context, Some(project), body).await;
    }
    let project_auth = context.project_auth(project, None)?;
    let received = context.read_decoded_body(body, event_limit(context)).await?;
    let wrapped = wrap_event(received.bytes, project_auth.auth.client.as_deref())?;
    Ok(response::with_rate_limits(
        context.submit_built(project_auth, wrapped.envelope)?,
        response::json_id(Some(&wrapped.id)),
    ))
}

/// Queues an event from the query, and responds with an image.
pub(super) fn handle_query(context: &RequestContext<'_>, project: &str) -> Result<Response, Rejection> {
    let project_auth = context.project_auth(project, None)?;
    let data = context.query().and_then(|query| query::value(query, "sentry_data"));
    let data = data.ok_or_else(|| Rejection::bad_request("missing field `sentry_data`"))?;
    let wrapped = wrap_event(data.into_bytes(), project_auth.auth.client.as_deref())?;
    let pixel = response::with_body(StatusCode::OK, "image/gif", PIXEL);
    Ok(response::with_rate_limits(context.submit_built(project_auth, wrapped.envelope)?, pixel))
}

/// An envelope around one event, and the event's id.
#[derive(Debug)]
struct WrappedEvent {
    id: EventId,
    envelope: Vec<u8>,
}

#[derive(Deserialize)]
struct EventHead {
    event_id: Option<String>,
    r#type: Option<String>,
}

/// Puts an envelope around an event. `client` is the SDK's name.
fn wrap_event(body: Vec<u8>, client: Option<&str>) -> Result<WrappedEvent, Rejection> {
    let mut event = event_json(body)?;
    if event.is_empty() {
        return Err(Rejection::empty());
    }
    if client.is_some_and(|name| name.starts_with("raven-python/") || name.starts_with("sentry-python/")) {
        lenient_json::replace_non_finite(&mut event);
    }
    let head: EventHead = serde_json::from_slice(&event).map_err(|why| Rejection::json(&why))?;
    let invalid = || Rejection::bad_request("invalid JSON data: the event_id is not a UUID");
    let id = head.event_id.map(|id| EventId::parse(&id).ok_or_else(invalid)).transpose()?;
    let id = id.unwrap_or_else(EventId::random);
    let kind = match head.r#type.as_deref() {
        Some("transaction") => "transaction",
        Some("feedback") => "feedback",
        Some("csp" | "hpkp" | "expectct" | "expectstaple") => "security",
        _ => "event",
    };
    let mut envelope = envelope_writer::start(&id, &[]);
    envelope_writer::push_item(&mut envelope, kind, &[("content_type", "application/json")], &event);
    Ok(WrappedEvent { id, envelope })
}

/// The event's JSON. The oldest SDKs send it as base64 of zlib or as base64, and no header says so.
fn event_json(body: Vec<u8>) -> Result<Vec<u8>, Rejection> {
    if body.first().is_none_or(|b| *b == b'{' || b.is_ascii_whitespace()) {
        return Ok(body);
    }
    let binary = STANDARD.decode(body.trim_ascii()).map_err(invalid_body)?;
    if binary.starts_with(b"{") {
        return Ok(binary);
    }
    decode_to_vec(Encoding::Deflate, &binary, MAX_EVENT).map_err(|rejection| match rejection.status {
        StatusCode::PAYLOAD_TOO_LARGE => rejection,
        _ => Rejection { detail: INVALID_BODY.to_owned(), ..rejection },
    })
}

fn invalid_body(cause: impl std::fmt::Display) -> Rejection {
    Rejection::bad_request(INVALID_BODY).because(cause.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;

    const ID: &str = "f3d98fbd851e4cfeb5a6d4e45a253049";

    fn wrapped(body: &[u8]) -> (String, String) {
        let wrapped = wrap_event(body.to_vec(), None).unwrap();
        (wrapped.id.to_string(), String::from_utf8(wrapped.envelope).unwrap())
    }

    fn item_type(body: &[u8]) -> String {
        let item: serde_json::Value = serde_json::from_str(wrapped(body).1.lines().nth(1).unwrap()).unwrap();
        item["type"].as_str().unwrap().to_owned()
    }

    #[test]
    fn the_event_is_not_changed() {
        let event = format!("{{\"event_id\":\"{ID}\", \"message\":\"a\\nb\"}}");
        let (id, envelope) = wrapped(event.as_bytes());
        assert_eq!(id, ID);
        let expected = format!(
            "{{\"event_id\":\"{ID}\"}}\n\
             {{\"type\":\"event\",\"length\":{},\"content_type\":\"application/json\"}}\n{event}\n",
            event.len()
        );
        assert_eq!(envelope, expected);
    }

    #[test]
    fn event_ids_and_item_types() {
        assert_ne!(wrapped(b"{}").0, wrapped(b"{\"event_id\":null}").0);
        assert_eq!(wrapped(b"{\"event_id\":\"F3D98FBD-851E-4CFE-B5A6-D4E45A253049\"}").0, ID);
        assert_eq!(item_type(b"{\"type\":\"transaction\"}"), "transaction");
        assert_eq!(item_type(b"{\"type\":\"expectct\"}"), "security");
        assert_eq!(item_type(b"{\"type\":\"no such type\"}"), "event");
    }

    #[test]
    fn old_sdk_formats() {
        let mut zlib = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::default());
        zlib.write_all(b"{\"type\":\"transaction\"}").unwrap();
        let body = STANDARD.encode(zlib.finish().unwrap());
        assert_eq!(item_type(body.as_bytes()), "transaction");
        assert_eq!(item_type(STANDARD.encode("{\"type\":\"csp\"}").as_bytes()), "security");
        let nan = b"{\"extra\":{\"x\":NaN}}".to_vec();
        assert!(wrap_event(nan.clone(), Some("raven-python/6.0")).is_ok());
        assert!(wrap_event(nan, Some("raven-node/2.6.3")).is_err());
    }

    #[test]
    fn invalid_events_are_rejected() {
        let refused = |body: &[u8]| {
            let rejection = wrap_event(body.to_vec(), None).unwrap_err();
            (rejection.status.as_u16(), rejection.detail)
        };
        assert_eq!(refused(b""), (400, "empty request body".to_owned()));
        assert_eq!(refused(b"!?"), (400, "invalid request body".to_owned()));
        assert!(refused(b"{nonsense").1.starts_with("invalid JSON data"));
        assert!(refused(b"{\"event_id\":\"nonsense\"}").1.starts_with("invalid JSON data"));
        let mut zlib = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::best());
        zlib.write_all(&vec![b' '; MAX_EVENT + 1]).unwrap();
        assert_eq!(refused(STANDARD.encode(zlib.finish().unwrap()).as_bytes()).0, 413);
    }
}
