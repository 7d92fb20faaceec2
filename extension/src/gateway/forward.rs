//! Forwards every other request of the API to upstream unchanged, and returns upstream's response.

use super::request::RequestContext;
use super::response::Response;
use super::response::rejection::Rejection;
use super::routes::fold_slashes;
use super::{headers, host_check, project_auth};
use crate::config::RelayMode;
use crate::http::ResponseBody;
use crate::protocol::{decode, has_dot_segments};
use crate::relay::RefusalReason;
use bytes::Bytes;
use hyper::body::Incoming;
use hyper::header::CONTENT_LENGTH;
use hyper::{HeaderMap, Method, Request, StatusCode};
use std::convert::Infallible;

/// The largest forwarded body, both as received and after decoding. Bytes. The value is that of Sentry's Relay.
const MAX_BODY: usize = 20 << 20;

/// Forwards a request. The client waits for upstream's response. Some requests that are forwarded carry data, which
/// Sentry's Relay would pass on unread.
pub(super) async fn handle(context: &RequestContext<'_>, body: &mut Incoming) -> Result<Response, Rejection> {
    let config = context.config;
    host_check::check(context)?;
    if config.relay == RelayMode::Only {
        let detail = "SENTRY_EXTENSION_RELAY=only lets nothing past Sentry's Relay, which does not filter requests to \
            this path, or only those with a key";
        return Err(Rejection::new(StatusCode::FORBIDDEN, detail).for_reason(RefusalReason::Unfiltered));
    }
    if has_dot_segments(context.head.uri.path()) {
        let detail = "the path has segments of dots, so it may lead out of Sentry's API";
        return Err(Rejection::bad_request(detail).for_reason(RefusalReason::Path));
    }
    let upstream = project_auth::upstream(config, None)?;
    let encoding = context.encoding()?;
    let limit = MAX_BODY.min(config.buffer);
    let received = context.read_body(body, limit).await?;
    // The body is forwarded as received. It is decoded here only to refuse one that decodes to more than the limit.
    decode(encoding, &received.bytes, limit, |_| Ok::<(), Infallible>(()))?;
    let path = fold_slashes(context.head.uri.path_and_query().map_or("/", |path| path.as_str()));
    let request = Request::builder().method(context.head.method.clone()).uri(path);
    let mut request = request
        .body(Bytes::from(received.bytes))
        .map_err(|why| Rejection::bad_request("invalid path").because(why.to_string()))?;
    *request.headers_mut() = to_header_map(headers::end_to_end(&context.head.headers, context.peer.remote));
    let response = context.relay.forward(&upstream, request).await.map_err(|why| {
        let status = if why.is_late() { StatusCode::GATEWAY_TIMEOUT } else { StatusCode::BAD_GATEWAY };
        Rejection::new(status, format!("error while forwarding request: {why}"))
    })?;
    let (mut head, body) = response.into_parts();
    for name in headers::of_one_hop(&head.headers) {
        head.headers.remove(name);
    }
    // hyper sets the length of the body. A response without a body (to HEAD, or status 304) keeps upstream's header.
    if context.head.method != Method::HEAD && head.status != StatusCode::NOT_MODIFIED {
        head.headers.remove(CONTENT_LENGTH);
    }
    Ok(Response::from_parts(head, ResponseBody::Arriving(Box::pin(body))))
}

fn to_header_map(headers: headers::OwnedHeaders) -> HeaderMap {
    let mut map = HeaderMap::with_capacity(headers.len());
    for (name, value) in headers {
        // `append`, not `insert`: a header may occur several times.
        map.append(name, value);
    }
    map
}
