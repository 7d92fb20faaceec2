//! The rest of the API: sent to upstream as it came, and answered with what upstream says.

use super::answer::Answer;
use super::headers;
use super::refusal::Refusal;
use super::routes::folded;
use super::sender;
use super::visit::Visit;
use crate::wire::decode;
use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::CONTENT_LENGTH;
use hyper::{HeaderMap, Method, Request, StatusCode};
use std::convert::Infallible;

/// Relay's bound for forwarded bodies, as they came and decoded.
const MAX_BODY: usize = 20 << 20;

/// Forwards a request.
pub(super) async fn take(visit: &Visit<'_>, body: &mut Incoming) -> Result<Answer, Refusal> {
    let config = visit.config;
    let upstream = sender::upstream(config, None)?;
    let encoding = visit.encoding()?;
    let limit = MAX_BODY.min(config.buffer);
    let taken = visit.take(body, limit).await?;
    // It goes on as it came; but what would burst upstream stays here.
    decode(encoding, &taken.bytes, limit, |_| Ok::<(), Infallible>(()))?;
    let path = folded(visit.head.uri.path_and_query().map_or("/", |path| path.as_str()));
    let request = Request::builder().method(visit.head.method.clone()).uri(path);
    let mut request = request
        .body(Bytes::from(taken.bytes))
        .map_err(|why| Refusal::bad("invalid path").because(why.to_string()))?;
    *request.headers_mut() = map(headers::end_to_end(&visit.head.headers, visit.peer));
    let response = visit.relay.forward(&upstream, request).await.map_err(|why| {
        let status = if why.is_late() { StatusCode::GATEWAY_TIMEOUT } else { StatusCode::BAD_GATEWAY };
        Refusal::new(status, format!("error while forwarding request: {why}"))
    })?;
    let (mut head, body) = response.into_parts();
    let hop_by_hop: Vec<_> =
        head.headers.keys().filter(|name| headers::is_hop_by_hop(name)).cloned().collect();
    for name in hop_by_hop {
        head.headers.remove(name);
    }
    // The body's own length counts, but for an answer that has none by nature.
    if visit.head.method != Method::HEAD && head.status != StatusCode::NOT_MODIFIED {
        head.headers.remove(CONTENT_LENGTH);
    }
    Ok(Answer::from_parts(head, Full::new(body)))
}

fn map(headers: headers::Owned) -> HeaderMap {
    let mut map = HeaderMap::with_capacity(headers.len());
    for (name, value) in headers {
        // A header may come several times.
        map.append(name, value);
    }
    map
}
