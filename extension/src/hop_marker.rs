//! The hop marker: a header on everything that this process sends upstream. What comes back with it is a loop, however
//! the upstream is spelled: by another name of this machine, or through another process.
//!
//! Each process has a marker of its own, so one extension may be the upstream of another. A request that passes several
//! of them carries the marker of each.

use hyper::HeaderMap;
use hyper::header::{HeaderName, HeaderValue};
use std::hash::{BuildHasher as _, RandomState};
use std::sync::OnceLock;

/// The name of the header in lower case.
pub(crate) const NAME: &str = "x-sentry-extension-hop";

const HEADER: HeaderName = HeaderName::from_static(NAME);

/// Adds the marker of this process to a request upstream, beside those of the processes before it.
pub(crate) fn add(request: &mut HeaderMap) {
    request.append(HEADER, own().clone());
}

/// Whether this process has sent the request that has these headers. A proxy may have joined the markers by commas.
pub(crate) fn is_own(headers: &HeaderMap) -> bool {
    let mut markers =
        headers.get_all(HEADER).iter().flat_map(|value| value.as_bytes().split(|byte| *byte == b','));
    // Most requests have no marker, and the own one is made for the first request upstream.
    markers.any(|marker| marker.trim_ascii() == own().as_bytes())
}

/// The marker of this process: a random number, which says nothing about the machine.
fn own() -> &'static HeaderValue {
    static OWN: OnceLock<HeaderValue> = OnceLock::new();
    // All hexadecimal digits are valid in a header, so the marker is never empty.
    let made = || HeaderValue::try_from(format!("{:016x}", RandomState::new().hash_one(NAME)));
    OWN.get_or_init(|| made().unwrap_or(HeaderValue::from_static("sentry-lambda-extension")))
}

/// Returns the marker of this process as a text that no client knows.
pub(crate) fn text() -> &'static str {
    own().to_str().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_own_marker_is_recognized() {
        let mut headers = HeaderMap::new();
        assert!(!is_own(&headers));
        headers.append(HEADER, HeaderValue::from_static("0123456789abcdef, x"));
        assert!(!is_own(&headers));
        let before = headers.clone();
        add(&mut headers);
        assert!(is_own(&headers));
        assert_eq!(headers.get_all(HEADER).iter().count(), 2);
        let joined = format!("x,{}, y", own().to_str().unwrap());
        let mut headers = before;
        headers.append(HEADER, joined.parse().unwrap());
        assert!(is_own(&headers));
    }
}
