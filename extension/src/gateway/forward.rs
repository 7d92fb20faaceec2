//! The rest of the API: sent to upstream as it came, and answered with what upstream says.

use super::request::RequestContext;
use super::response::Response;
use super::response::rejection::Rejection;
use super::routes::folded;
use super::{headers, project_auth};
use crate::protocol::decode;
use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::CONTENT_LENGTH;
use hyper::{HeaderMap, Method, Request, StatusCode};
use std::convert::Infallible;

/// Relay's bound for forwarded bodies, as they came and decoded.
const MAX_BODY: usize = 20 << 20;

/// Forwards a request.
pub(super) async fn take(context: &RequestContext<'_>, body: &mut Incoming) -> Result<Response, Rejection> {
    let config = context.config;
    let upstream = project_auth::upstream(config, None)?;
    let encoding = context.encoding()?;
    let limit = MAX_BODY.min(config.buffer);
    let taken = context.take(body, limit).await?;
    // It goes on as it came; but what would burst upstream stays here.
    decode(encoding, &taken.bytes, limit, |_| Ok::<(), Infallible>(()))?;
    let path = folded(context.head.uri.path_and_query().map_or("/", |path| path.as_str()));
    let request = Request::builder().method(context.head.method.clone()).uri(path);
    let mut request = request
        .body(Bytes::from(taken.bytes))
        .map_err(|why| Rejection::bad("invalid path").because(why.to_string()))?;
    *request.headers_mut() = map(headers::end_to_end(&context.head.headers, context.peer));
    let response = context.relay.forward(&upstream, request).await.map_err(|why| {
        let status = if why.is_late() { StatusCode::GATEWAY_TIMEOUT } else { StatusCode::BAD_GATEWAY };
        Rejection::new(status, format!("error while forwarding request: {why}"))
    })?;
    let (mut head, body) = response.into_parts();
    let hop_by_hop: Vec<_> =
        head.headers.keys().filter(|name| headers::is_hop_by_hop(name)).cloned().collect();
    for name in hop_by_hop {
        head.headers.remove(name);
    }
    // The body's own length counts, but for an answer that has none by nature.
    if context.head.method != Method::HEAD && head.status != StatusCode::NOT_MODIFIED {
        head.headers.remove(CONTENT_LENGTH);
    }
    Ok(Response::from_parts(head, Full::new(body)))
}

fn map(headers: headers::Owned) -> HeaderMap {
    let mut map = HeaderMap::with_capacity(headers.len());
    for (name, value) in headers {
        // A header may come several times.
        map.append(name, value);
    }
    map
}
