//! Reads values from a query, and decodes percent encoding.

use crate::protocol::percent_decoded;
use std::borrow::Cow;

/// The decoded value of the first field with this name.
pub(super) fn value(query: &str, name: &str) -> Option<String> {
    let fields = query.split('&').map(|field| field.split_once('=').unwrap_or((field, "")));
    let mut named = fields.filter(|(found, _)| percent_decode(&found.replace('+', " ")) == name);
    named.next().map(|(_, value)| percent_decode(&value.replace('+', " ")).into_owned())
}

/// Decodes text like `sentry.javascript.node%2F7.43.0`. A percent sign without two hex digits stays as it is.
pub(super) fn percent_decode(text: &str) -> Cow<'_, str> {
    // Each request has six such texts in its authentication, and most have nothing to decode.
    if text.as_bytes().contains(&b'%') {
        String::from_utf8_lossy(&percent_decoded(text)).into_owned().into()
    } else {
        text.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_by_name() {
        let query = "a=1&status=in%5fprogress&text=one+two%2Bthree&empty=&flag&a=2&odd=100%&b=%+1";
        for (name, expected) in [
            ("a", Some("1")),
            ("status", Some("in_progress")),
            ("text", Some("one two+three")),
            ("empty", Some("")),
            ("flag", Some("")),
            ("odd", Some("100%")),
            ("b", Some("% 1")),
            ("absent", None),
        ] {
            assert_eq!(value(query, name).as_deref(), expected, "{name}");
        }
    }
}
