//! What the SDK is told. An accepted envelope is always exactly 200; errors are `{"detail","causes"}`, as Relay's.

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{ALLOW, CONTENT_TYPE, HeaderValue};
use hyper::{Response, StatusCode};

/// A response of ours: its body is at hand.
pub(super) type Answer = Response<Full<Bytes>>;

/// Any status with a JSON body.
pub(super) fn json(status: StatusCode, body: impl Into<Bytes>) -> Answer {
    let mut answer = Response::new(Full::new(body.into()));
    *answer.status_mut() = status;
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    answer
}

/// The envelope is ours now. `event_id` is what came in its header, if it has the form of an id.
pub(super) fn accepted(event_id: Option<&str>) -> Answer {
    // What is not an id could break out of the JSON string.
    let id =
        event_id.filter(|id| !id.is_empty() && id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-'));
    match id {
        Some(id) => json(StatusCode::OK, format!("{{\"id\":\"{id}\"}}")),
        None => json(StatusCode::OK, &b"{}"[..]),
    }
}

/// The request will not be taken, and why.
pub(super) fn refused(status: StatusCode, detail: &str) -> Answer {
    let detail = serde_json::Value::from(detail);
    json(status, format!("{{\"detail\":{detail},\"causes\":[]}}"))
}

/// The path is known, the method is not.
pub(super) fn method_not_allowed(allowed: &'static str) -> Answer {
    let mut answer = refused(StatusCode::METHOD_NOT_ALLOWED, "method not allowed");
    answer.headers_mut().insert(ALLOW, HeaderValue::from_static(allowed));
    answer
}
