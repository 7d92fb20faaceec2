//! The response to an envelope. Its head says what happens to the envelope. Its body is read only so that the
//! connection can be used again.

use crate::protocol::masked;
use bytes::Bytes;
use http_body_util::BodyExt as _;
use hyper::Response;
use hyper::body::Incoming;
use hyper::header::RETRY_AFTER;
use std::time::Duration;
use tokio::time::timeout;

/// The most bytes of a response body that are read to reuse the connection. Sentry's responses have about 50 bytes.
const MAX_REPLY: usize = 64 * 1024;
/// The longest part of `X-Sentry-Error` that is logged, in characters.
const MAX_SENTRY_ERROR: usize = 200;

/// The parts of upstream's response that matter.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::relay) struct Reply {
    pub(in crate::relay) status: u16,
    /// `Retry-After`, if it is a number of seconds.
    pub(in crate::relay) retry_after: Option<Duration>,
    /// `X-Sentry-Rate-Limits`. If there are several such headers, they are joined by commas.
    pub(in crate::relay) rate_limits: Option<String>,
    /// The beginning of `X-Sentry-Error`, which says why Sentry refuses an envelope. Keys in it are masked.
    pub(in crate::relay) sentry_error: Option<String>,
}

pub(super) fn read_head(response: &Response<Incoming>) -> Reply {
    let retry_after = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok());
    let seconds = retry_after.and_then(|text| text.trim().parse::<u64>().ok());
    let rate_limits = response.headers().get_all("x-sentry-rate-limits").iter();
    let rate_limits: Vec<&str> = rate_limits.filter_map(|value| value.to_str().ok()).collect();
    let sentry_error = response.headers().get("x-sentry-error").and_then(|value| value.to_str().ok());
    Reply {
        // Sentry may repeat the key in its reason. Half a key could not be recognized, so this comes before the cut.
        sentry_error: sentry_error.map(|text| masked(text).chars().take(MAX_SENTRY_ERROR).collect()),
        status: response.status().as_u16(),
        retry_after: seconds.map(Duration::from_secs),
        rate_limits: Some(rate_limits.join(",")).filter(|rate_limits| !rate_limits.is_empty()),
    }
}

/// Reads the rest of a response, so that the connection can be reused. Returns `false` if the rest is too long or slow.
pub(super) async fn read_to_end(response: Response<Incoming>) -> bool {
    const MAX_WAIT: Duration = Duration::from_millis(100);
    let mut body = response.into_body();
    let mut left = MAX_REPLY;
    let reading = async {
        while let Some(frame) = body.frame().await {
            let Ok(frame) = frame else { return false };
            let read = frame.data_ref().map_or(0, Bytes::len);
            match left.checked_sub(read) {
                Some(less) => left = less,
                None => return false,
            }
        }
        true
    };
    timeout(MAX_WAIT, reading).await.unwrap_or(false)
}
