//! Finds segments of dots in paths, which lead to another path than the one that is written.

use super::percent::percent_decoded;
use std::borrow::Cow;

/// The most encodings of a path, one inside the other, that are looked through.
const MAX_ENCODINGS: usize = 3;

/// Whether a server might read a segment of the path as `.` or `..`, in whatever encoding, and so reach what is outside
/// of Sentry's API. Some servers decode twice, take a backslash for a slash, or cut a segment at a semicolon.
pub(crate) fn has_dot_segments(path: &str) -> bool {
    let mut path = Cow::Borrowed(path.as_bytes());
    for _ in 0..=MAX_ENCODINGS {
        let segments = path.split(|byte| matches!(byte, b'/' | b'\\'));
        let names = segments.map(|segment| segment.split(|byte| *byte == b';').next().unwrap_or_default());
        if names.into_iter().any(|name| matches!(name.trim_ascii(), b"." | b"..")) {
            return true;
        }
        let decoded = percent_decoded(&String::from_utf8_lossy(&path));
        if decoded == *path {
            return false;
        }
        path = Cow::Owned(decoded);
    }
    // Whoever encodes a path as often as this hides something.
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn segments_of_dots_are_found_in_every_encoding() {
        for path in [
            "/api/0/../x",
            "/api/./x",
            "/api/..",
            "/api/%2e%2E/x",
            "/api/.%2e/x",
            "/api/%2e",
            "/api/x%2f..%2fy",
            "/api/x%5c..%5cy",
            "/api/..%5cx",
            "/api/%252e%252e/x",
            "/api/%25252e./x",
            "/api/..;a=b/x",
            "/api/%2e.%3bx/",
            "/api/..%20/x",
            "/api/..%09/x",
        ] {
            assert!(has_dot_segments(path), "{path}");
        }
        for path in ["/api/0/x", "/api/...", "/api/.x/a..b/v1.0/", "/api/100%", "/api/a%20b/%C3%A4/%2f/", "/"]
        {
            assert!(!has_dot_segments(path), "{path}");
        }
    }
}
