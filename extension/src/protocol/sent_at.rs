//! The `sent_at` in the header of an envelope. Sentry takes a `sent_at` that is 55 minutes or more off for the sign of
//! a wrong clock, and shifts every time in the envelope by the difference. So an envelope that has waited for long
//! needs a later `sent_at` to keep the times that the SDK wrote.

use super::content_encoding::{Encoding, decode_all};
use super::envelope_scanner::leading_blank;
use super::json_fields::{fields, text};
use super::timestamp;
use std::borrow::Cow;
use std::ops::Range;
use std::time::{Duration, SystemTime};

/// Moves the `sent_at` of an envelope forward by the time that it has waited. Returns the envelope uncompressed, or
/// `None` if it has no `sent_at` or cannot be read. The rest of the envelope stays as the SDK wrote it.
///
/// The difference between the clocks of the SDK and of Sentry, which is what `sent_at` is for, stays the same.
pub(crate) fn delayed(encoding: Encoding, body: &[u8], limit: usize, by: Duration) -> Option<Vec<u8>> {
    let mut envelope = decode_all(encoding, body, limit)?;
    let (at, sent_at) = find(&envelope)?;
    replace(&mut envelope, at, sent_at.checked_add(by)?);
    Some(envelope)
}

/// Sets the `sent_at` of an uncompressed envelope, if it has one.
pub(crate) fn renew(envelope: &mut Vec<u8>, now: SystemTime) {
    if let Some((at, _)) = find(envelope) {
        replace(envelope, at, now);
    }
}

/// Returns the `sent_at` of an uncompressed envelope, if it has one.
pub(crate) fn of(envelope: &[u8]) -> Option<SystemTime> {
    find(envelope).map(|(_, sent_at)| sent_at)
}

/// Returns where the value of `sent_at` stands, without its quotation marks, and the value.
fn find(envelope: &[u8]) -> Option<(Range<usize>, SystemTime)> {
    let header = envelope.get(leading_blank(envelope)..)?.split(|b| *b == b'\n').next()?;
    let [sent_at] = fields(header, ["sent_at"])?;
    // Where it is borrowed from the header, the difference of the addresses is its place in it.
    let Some(Cow::Borrowed(sent_at)) = text(sent_at) else { return None };
    let start = sent_at.as_ptr().addr().checked_sub(envelope.as_ptr().addr())?;
    Some((start..start + sent_at.len(), timestamp::parse(sent_at)?))
}

fn replace(envelope: &mut Vec<u8>, at: Range<usize>, sent_at: SystemTime) {
    envelope.splice(at, timestamp::format(sent_at).into_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;

    const HOUR: Duration = Duration::from_hours(1);
    const BEFORE: &str = concat!(
        "{ \"x\":1.50,\"sent_at\" : \"2026-11-25T10:00:03.421Z\",\"dsn\":\"\\u0041\"}\n",
        "{\"type\":\"event\"}\n{\"sent_at\":\"2026-11-25T10:00:03.421Z\"}"
    );
    const AFTER: &str = concat!(
        "{ \"x\":1.50,\"sent_at\" : \"2026-11-25T11:00:03.421000Z\",\"dsn\":\"\\u0041\"}\n",
        "{\"type\":\"event\"}\n{\"sent_at\":\"2026-11-25T10:00:03.421Z\"}"
    );

    #[test]
    fn sent_at_moves_and_nothing_else_changes() {
        let delayed = delayed(Encoding::Identity, BEFORE.as_bytes(), 999, HOUR).unwrap();
        assert_eq!(String::from_utf8(delayed).unwrap(), AFTER);
    }

    #[test]
    fn compressed_envelopes_too() {
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gzip.write_all(BEFORE.as_bytes()).unwrap();
        let gzip = gzip.finish().unwrap();
        assert_eq!(delayed(Encoding::Gzip, &gzip, 999, HOUR).unwrap(), AFTER.as_bytes());
        assert_eq!(delayed(Encoding::Gzip, &gzip, 10, HOUR), None, "larger than the limit");
        let mut zlib = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
        zlib.write_all(BEFORE.as_bytes()).unwrap();
        assert_eq!(delayed(Encoding::Deflate, &zlib.finish().unwrap(), 999, HOUR).unwrap(), AFTER.as_bytes());
    }

    #[test]
    fn envelopes_without_a_usable_sent_at_stay_as_they_are() {
        for header in [
            "{}",
            "{\"sent_at\":null}",
            "{\"sent_at\":1795600803}",
            "{\"sent_at\":\"yesterday\"}",
            "{\"sent_at\":\"2026-11-25T10:00:03\\u002e421Z\"}",
            "{\"a\":{\"sent_at\":\"2026-11-25T10:00:03Z\"}}",
            "not JSON",
        ] {
            let mut envelope =
                format!("{header}\n{{\"sent_at\":\"2026-11-25T10:00:03.421Z\"}}\n").into_bytes();
            assert_eq!(delayed(Encoding::Identity, &envelope, 999, HOUR), None, "{header}");
            let before = envelope.clone();
            renew(&mut envelope, SystemTime::UNIX_EPOCH + HOUR);
            assert_eq!(envelope, before);
        }
    }

    #[test]
    fn blank_lines_before_the_header_stay() {
        let before = format!("\n {BEFORE}");
        let delayed = delayed(Encoding::Identity, before.as_bytes(), 999, HOUR).unwrap();
        assert_eq!(String::from_utf8(delayed).unwrap(), format!("\n {AFTER}"));
    }

    #[test]
    fn any_sent_at_can_be_renewed() {
        let mut envelope = BEFORE.as_bytes().to_vec();
        renew(&mut envelope, timestamp::parse("2026-11-25T11:00:03.421Z").unwrap());
        assert_eq!(envelope, AFTER.as_bytes());
    }
}
