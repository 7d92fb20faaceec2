//! Removes items from an envelope. The envelope was scanned when it was accepted, so its framing is valid.

use super::content_encoding::{Encoding, decode_all};
use super::envelope_scanner::leading_blank;
use super::json_fields::fields;
use serde_json::value::RawValue;

/// Copies an envelope without the items for which `keep` is false. `keep` has one entry for each item, in order. The
/// result is not compressed. Returns `None` if the bytes cannot be read, which does not happen to a scanned envelope.
pub(crate) fn keep_items(encoding: Encoding, body: &[u8], limit: usize, keep: &[bool]) -> Option<Vec<u8>> {
    let plain = decode_all(encoding, body, limit)?;
    let (header, mut rest) = split_line(after_blank(&plain));
    let mut kept = Vec::with_capacity(plain.len());
    push_line(&mut kept, header);
    for keep in keep {
        let (item_header, payload, after) = split_item(rest)?;
        if *keep {
            push_line(&mut kept, item_header);
            push_line(&mut kept, payload);
        }
        rest = after;
    }
    Some(kept)
}

/// Shows the payload of each item to `visit`, in order. Stops early where the bytes cannot be read, and shows nothing
/// if the envelope decodes to more than `limit` bytes.
pub(crate) fn visit_payloads(encoding: Encoding, body: &[u8], limit: usize, mut visit: impl FnMut(&[u8])) {
    let Some(plain) = decode_all(encoding, body, limit) else { return };
    split_envelope(&plain).1.for_each(&mut visit);
}

/// Splits an envelope that is not compressed into its header and the payloads of its items.
pub(crate) fn split_envelope(plain: &[u8]) -> (&[u8], impl Iterator<Item = &[u8]>) {
    let (header, mut rest) = split_line(after_blank(plain));
    let payloads = std::iter::from_fn(move || {
        let (_, payload, after) = split_item(rest)?;
        rest = after;
        Some(payload)
    });
    (header, payloads)
}

/// Splits off the first item. Returns its header, its payload, and what follows.
fn split_item(bytes: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let (item_header, after) = split_line(after_blank(bytes));
    let [length] = fields(item_header, ["length"])?;
    let (payload, after) = match length.map(RawValue::get).filter(|length| *length != "null") {
        Some(length) => {
            let length = length.parse().ok()?;
            let (payload, after) = after.split_at_checked(length)?;
            (payload, after.strip_prefix(b"\n").unwrap_or(after))
        }
        None => split_line(after),
    };
    Some((item_header, payload, after))
}

fn after_blank(bytes: &[u8]) -> &[u8] {
    bytes.get(leading_blank(bytes)..).unwrap_or_default()
}

fn push_line(output: &mut Vec<u8>, line: &[u8]) {
    output.extend_from_slice(line);
    output.push(b'\n');
}

fn split_line(bytes: &[u8]) -> (&[u8], &[u8]) {
    let end = bytes.iter().position(|b| *b == b'\n').unwrap_or(bytes.len());
    let (line, rest) = bytes.split_at_checked(end).unwrap_or((bytes, &[]));
    (line, rest.get(1..).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    const BODY: &[u8] =
        b"{\"event_id\":\"x\"}\n{\"type\":\"event\",\"length\":3}\n{\n}\n{\"type\":\"log\"}\n[1]\n\
        {\"type\":\"attachment\",\"length\":0}\n\n{\"type\":\"span\"}\nlast";

    fn kept(keep: [bool; 4]) -> String {
        String::from_utf8(keep_items(Encoding::Identity, BODY, 999, &keep).unwrap()).unwrap()
    }

    #[test]
    fn kept_payloads_are_not_changed() {
        assert_eq!(kept([false; 4]), "{\"event_id\":\"x\"}\n");
        assert_eq!(
            kept([true, false, false, true]),
            "{\"event_id\":\"x\"}\n{\"type\":\"event\",\"length\":3}\n{\n}\n{\"type\":\"span\"}\nlast\n"
        );
        let all = String::from_utf8(BODY.to_vec()).unwrap() + "\n";
        assert_eq!(kept([true; 4]), all);
    }

    #[test]
    fn blank_lines_before_headers_are_skipped() {
        let spaced = b"\n \n{}\n\n\r\n{\"type\":\"log\"}\n\n\n{\"type\":\"span\",\"length\":1}\n\n\n";
        let kept = |keep: [bool; 2]| keep_items(Encoding::Identity, spaced, 999, &keep).unwrap();
        assert_eq!(kept([true, false]), b"{}\n{\"type\":\"log\"}\n\n");
        assert_eq!(kept([false, true]), b"{}\n{\"type\":\"span\",\"length\":1}\n\n\n");
    }

    #[test]
    fn invalid_envelopes_give_none() {
        assert_eq!(keep_items(Encoding::Gzip, b"noise", 999, &[true]), None);
        assert_eq!(keep_items(Encoding::Identity, b"{}\n", 999, &[true]), None);
        assert_eq!(
            keep_items(Encoding::Identity, b"{}\n{\"type\":\"event\",\"length\":9}\n{}", 99, &[true]),
            None
        );
    }
}
