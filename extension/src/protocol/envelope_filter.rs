//! An envelope without some of its items. It was scanned when it came, so its framing is known to be sound.

use super::content_encoding::{DecodeError, Encoding, decode};
use super::envelope_scanner::ScanError;
use serde::Deserialize;

#[derive(Deserialize)]
struct ItemLength {
    length: Option<usize>,
}

/// Copies the items for which `keep` holds, in order, into a plain envelope. `None`: the bytes are not
/// the envelope that was scanned.
pub(crate) fn without(encoding: Encoding, body: &[u8], limit: usize, keep: &[bool]) -> Option<Vec<u8>> {
    let mut plain = Vec::new();
    let decoded = decode(encoding, body, limit, |block| {
        plain.extend_from_slice(block);
        Ok::<(), ScanError>(())
    });
    if let Err(DecodeError::TooLarge | DecodeError::Corrupt(_) | DecodeError::Refused(_)) = decoded {
        return None;
    }
    let (header, mut rest) = line(&plain);
    let mut kept = Vec::with_capacity(plain.len());
    push_line(&mut kept, header);
    for keep in keep {
        let (item_header, behind) = line(rest);
        let header: ItemLength = serde_json::from_slice(item_header).ok()?;
        let (payload, behind) = match header.length {
            Some(length) => {
                let (payload, behind) = behind.split_at_checked(length)?;
                (payload, behind.strip_prefix(b"\n").unwrap_or(behind))
            }
            None => line(behind),
        };
        if *keep {
            push_line(&mut kept, item_header);
            push_line(&mut kept, payload);
        }
        rest = behind;
    }
    Some(kept)
}

fn push_line(to: &mut Vec<u8>, line: &[u8]) {
    to.extend_from_slice(line);
    to.push(b'\n');
}

fn line(bytes: &[u8]) -> (&[u8], &[u8]) {
    let end = bytes.iter().position(|b| *b == b'\n').unwrap_or(bytes.len());
    let (line, rest) = bytes.split_at_checked(end).unwrap_or((bytes, &[]));
    (line, rest.get(1..).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    const BODY: &[u8] = b"{\"event_id\":\"x\"}\n{\"type\":\"event\",\"length\":3}\n{\n}\n{\"type\":\"log\"}\n[1]\n{\"type\":\"attachment\",\"length\":0}\n\n{\"type\":\"span\"}\nlast";

    fn kept(keep: [bool; 4]) -> String {
        String::from_utf8(without(Encoding::Identity, BODY, 999, &keep).unwrap()).unwrap()
    }

    #[test]
    fn payloads_stay_as_they_were() {
        assert_eq!(kept([false; 4]), "{\"event_id\":\"x\"}\n");
        assert_eq!(
            kept([true, false, false, true]),
            "{\"event_id\":\"x\"}\n{\"type\":\"event\",\"length\":3}\n{\n}\n{\"type\":\"span\"}\nlast\n"
        );
        let all = String::from_utf8(BODY.to_vec()).unwrap() + "\n";
        assert_eq!(kept([true; 4]), all);
    }

    #[test]
    fn what_was_never_scanned() {
        assert_eq!(without(Encoding::Gzip, b"noise", 999, &[true]), None);
        assert_eq!(without(Encoding::Identity, b"{}\n", 999, &[true]), None);
        assert_eq!(
            without(Encoding::Identity, b"{}\n{\"type\":\"event\",\"length\":9}\n{}", 99, &[true]),
            None
        );
    }
}
