//! The responses to clients. An accepted envelope always gets status 200 on the routes of SDKs. Errors have a body
//! like `{"detail":"…","causes":["…"]}`, as in Sentry's Relay.

pub(super) mod cors;
pub(super) mod rejection;

use crate::http::ResponseBody;
use crate::protocol::event_id::EventId;
use crate::relay::Acceptance;
use bytes::Bytes;
use http_body_util::Full;
use hyper::StatusCode;
use hyper::header::{CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER};

const RATE_LIMITS: HeaderName = HeaderName::from_static("x-sentry-rate-limits");
const RATE_LIMITED_DETAIL: &str = "Sentry dropped data due to a quota or internal rate limit being reached. \
    This will not affect your application. See https://docs.sentry.io/product/accounts/quotas/ for more information.";

/// A response, whose body is in memory unless it comes from upstream.
pub(super) type Response = hyper::Response<ResponseBody>;

/// A response without a body.
pub(super) fn empty(status: StatusCode) -> Response {
    let mut response = Response::new(ResponseBody::Whole(Full::default()));
    *response.status_mut() = status;
    response
}

/// A response with a body.
pub(super) fn with_body(status: StatusCode, content_type: &'static str, body: impl Into<Bytes>) -> Response {
    let mut response = Response::new(ResponseBody::Whole(Full::new(body.into())));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}

/// A response with a JSON body.
pub(super) fn json(status: StatusCode, body: impl Into<Bytes>) -> Response {
    with_body(status, "application/json", body)
}

/// The response with the id of an accepted event, as SDKs expect it: `{"id":"…"}`, or `{}` without an id.
pub(super) fn json_id(id: Option<&EventId>) -> Response {
    match id {
        Some(id) => json(StatusCode::OK, format!("{{\"id\":\"{id}\"}}")),
        None => json(StatusCode::OK, &b"{}"[..]),
    }
}

/// The response with an event's id as crash reporters expect it: a UUID as plain text.
pub(super) fn text_id(id: &EventId) -> Response {
    with_body(StatusCode::OK, "text/plain; charset=utf-8", id.hyphenated())
}

/// Adds upstream's rate limits to `response`. If a limit applies to everything that was sent, the result is a response
/// with status 429 instead.
pub(super) fn with_rate_limits(acceptance: Acceptance, response: Response) -> Response {
    let (mut response, limits, retry_after) = match acceptance {
        Acceptance::Taken { limits: None } => return response,
        Acceptance::Taken { limits: Some(limits) } => (response, limits, None),
        Acceptance::Limited { limits, retry_after } => {
            (refused(StatusCode::TOO_MANY_REQUESTS, RATE_LIMITED_DETAIL, &[]), limits, Some(retry_after))
        }
    };
    if let Ok(limits) = HeaderValue::try_from(limits) {
        response.headers_mut().insert(RATE_LIMITS, limits);
    }
    if let Some(seconds) = retry_after {
        response.headers_mut().insert(RETRY_AFTER, seconds.into());
    }
    response
}

/// The response to a request that is not accepted. `causes` go from the nearest to the farthest.
pub(super) fn refused(status: StatusCode, detail: &str, causes: &[String]) -> Response {
    let detail = serde_json::Value::from(detail);
    let body = if causes.is_empty() {
        format!("{{\"detail\":{detail}}}")
    } else {
        format!("{{\"detail\":{detail},\"causes\":{}}}", serde_json::Value::from(causes))
    };
    json(status, body)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rate_limits_are_announced_and_only_enforced_ones_stop_the_sdk() {
        let limits = || "60:error:key".to_owned();
        let header = |response: &Response, name| response.headers().get(name).cloned();
        let announced = with_rate_limits(Acceptance::Taken { limits: Some(limits()) }, json_id(None));
        assert_eq!(announced.status(), 200);
        assert_eq!(header(&announced, RATE_LIMITS).unwrap(), "60:error:key");
        assert_eq!(header(&announced, RETRY_AFTER), None, "SDKs would stop sending everything");
        let stopped =
            with_rate_limits(Acceptance::Limited { limits: limits(), retry_after: 60 }, json_id(None));
        assert_eq!(stopped.status(), 429);
        assert_eq!(header(&stopped, RETRY_AFTER).unwrap(), "60");
        assert_eq!(header(&stopped, RATE_LIMITS).unwrap(), "60:error:key");
    }
}
