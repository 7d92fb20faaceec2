//! The header of an envelope on its way through Sentry's Relay. The extension adds a tag, by which it recognizes the
//! envelope when Sentry's Relay hands it back, and then undoes what Sentry's Relay has added for its upstream.
//!
//! The name of the tag's field is the hop marker of this process. If an SDK could know it, a field of its own could
//! hide the tag, or name another envelope.

use super::content_encoding::{Encoding, decode, decode_all};
use super::json_fields::{fields, text};
use crate::hop_marker;
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::collections::BTreeMap;

/// The fields that Sentry's Relay adds about the request that it received. The request came from the extension, so
/// they would tell Sentry nothing but addresses on loopback.
const ADDED: [&str; 9] = [
    "dsn",
    "client",
    "version",
    "origin",
    "remote_addr",
    "forwarded_for",
    "user_agent",
    "client_hints",
    "no_cache",
];

type Fields<'a> = BTreeMap<String, &'a RawValue>;

/// Decodes an envelope and adds a tag to its header. Returns `None` if the envelope cannot be read. There is no limit,
/// because its size was checked when it was accepted, and it may have grown since then.
pub(crate) fn tagged(encoding: Encoding, body: &[u8], tag: u64) -> Option<Vec<u8>> {
    let field = format!("{{\"{}\":{tag}", hop_marker::text());
    let plain = decode_all(encoding, body, usize::MAX)?;
    let mut envelope = Vec::with_capacity(field.len() + 1 + plain.len());
    let start = plain.iter().position(|byte| !byte.is_ascii_whitespace())?;
    let rest = plain.get(start..)?.strip_prefix(b"{")?;
    envelope.extend_from_slice(field.as_bytes());
    let next = rest.iter().find(|byte| !byte.is_ascii_whitespace());
    if next != Some(&b'}') {
        envelope.push(b',');
    }
    envelope.extend_from_slice(rest);
    Some(envelope)
}

/// Returns the header line of an envelope, or as much of it as can be read.
pub(crate) fn header_line(encoding: Encoding, body: &[u8], limit: usize) -> Vec<u8> {
    let mut line = Vec::new();
    // The end of the line ends the decoding early, which is no error.
    let _ = decode(encoding, body, limit, |block| {
        let end = block.iter().position(|byte| *byte == b'\n');
        line.extend_from_slice(block.get(..end.unwrap_or(block.len())).unwrap_or_default());
        if end.is_some() { Err(()) } else { Ok(()) }
    });
    line
}

/// Returns the tag of an uncompressed envelope.
pub(crate) fn tag(envelope: &[u8]) -> Option<u64> {
    let [tag] = fields(split(envelope).0, [hop_marker::text()])?;
    tag?.get().parse().ok()
}

/// Returns the type of the first item of an uncompressed envelope.
pub(crate) fn first_type(envelope: &[u8]) -> Option<String> {
    let item = split(envelope).1.split(|byte| *byte == b'\n').nth(1)?;
    let [kind] = fields(item, ["type"])?;
    text(kind).map(Cow::into_owned)
}

/// Returns an uncompressed envelope from Sentry's Relay without the tag and without the fields that Sentry's Relay has
/// added. Those of them that `original`, the header line of the SDK, has too get the SDK's value. Returns `None` if the
/// header is not a JSON object.
pub(crate) fn restored(envelope: &[u8], original: &[u8]) -> Option<Vec<u8>> {
    let (header, rest) = split(envelope);
    let mut fields: Fields<'_> = serde_json::from_slice(header).ok()?;
    let original: Fields<'_> = serde_json::from_slice(original).unwrap_or_default();
    fields.remove(hop_marker::text());
    for name in ADDED {
        match original.get(name) {
            Some(value) => drop(fields.insert(name.to_owned(), value)),
            None => drop(fields.remove(name)),
        }
    }
    let mut restored = Vec::with_capacity(envelope.len());
    serde_json::to_writer(&mut restored, &fields).ok()?;
    restored.extend_from_slice(rest);
    Some(restored)
}

/// Splits an envelope behind its header line. The newline belongs to the rest.
fn split(envelope: &[u8]) -> (&[u8], &[u8]) {
    let end = envelope.iter().position(|byte| *byte == b'\n').unwrap_or(envelope.len());
    envelope.split_at_checked(end).unwrap_or((envelope, &[]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tagged_text(envelope: &str) -> Option<String> {
        tagged(Encoding::Identity, envelope.as_bytes(), 7).map(|bytes| String::from_utf8(bytes).unwrap())
    }

    #[test]
    fn the_tag_is_the_first_field_and_the_rest_stays() {
        for (before, after) in [
            ("{}\nrest\n", "{\"TAG\":7}\nrest\n"),
            (" { \"x\":1.50 }\n{}", "{\"TAG\":7, \"x\":1.50 }\n{}"),
            ("{ }", "{\"TAG\":7 }"),
        ] {
            let after = after.replace("TAG", hop_marker::text());
            assert_eq!(tagged_text(before).as_ref(), Some(&after));
            assert_eq!(tag(after.as_bytes()), Some(7));
        }
        for odd in ["", "[]\n", "no"] {
            assert_eq!(tagged_text(odd), None);
        }
        assert_eq!(tag(b"{\"x\":1}\n"), None);
        assert_eq!(first_type(b"{}\n{\"length\":1,\"type\":\"log\"}\nx").as_deref(), Some("log"));
        assert_eq!(first_type(b"{}\n"), None);
    }

    #[test]
    fn a_field_of_the_sdk_is_no_tag() {
        let given = "{\"sentry_lambda_extension\":3}\n{}";
        let tagged = tagged_text(given).unwrap();
        assert_eq!(tag(tagged.as_bytes()), Some(7));
        assert_eq!(restored(tagged.as_bytes(), given.as_bytes()).unwrap(), given.as_bytes());
    }

    #[test]
    fn what_was_added_goes_and_what_was_changed_is_restored() {
        let back = concat!(
            r#"{"TAG":7,"event_id":"e","dsn":"http://k@127.0.0.1:4/42","client":"sdk/1","#,
            r#""version":7,"remote_addr":"127.0.0.1","forwarded_for":"127.0.0.1","user_agent":"ua","#,
            r#""trace":{"trace_id":"t"},"x":1.50}"#,
            "\n{\"type\":\"event\"}\n{}"
        )
        .replace("TAG", hop_marker::text());
        let back = back.as_bytes();
        let original =
            header_line(Encoding::Identity, b"{\"dsn\":\"https://k@o1.ingest.sentry.io/42\"}\n{}", 999);
        let expected = "{\"dsn\":\"https://k@o1.ingest.sentry.io/42\",\"event_id\":\"e\",\
                        \"trace\":{\"trace_id\":\"t\"},\"x\":1.50}\n{\"type\":\"event\"}\n{}";
        assert_eq!(String::from_utf8(restored(back, &original).unwrap()).unwrap(), expected);
        let without =
            "{\"event_id\":\"e\",\"trace\":{\"trace_id\":\"t\"},\"x\":1.50}\n{\"type\":\"event\"}\n{}";
        assert_eq!(String::from_utf8(restored(back, b"{}").unwrap()).unwrap(), without);
        assert_eq!(restored(b"no\n", b"{}"), None);
    }
}
