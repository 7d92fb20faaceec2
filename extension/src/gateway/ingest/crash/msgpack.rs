//! As much of `MessagePack` as it takes to find the id in the event of a native SDK.

/// The bytes are no `MessagePack`.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::gateway) struct MalformedMsgpack;

/// Deeper nesting than this is nobody's event.
const DEPTH: u8 = 64;

/// The text under a key of a map.
pub(in crate::gateway) fn text_in_map<'a>(
    bytes: &'a [u8],
    key: &str,
) -> Result<Option<&'a str>, MalformedMsgpack> {
    let mut reader = MsgpackReader { rest: bytes };
    let MsgpackValue::Map(pairs) = reader.value()? else { return Err(MalformedMsgpack) };
    for _ in 0..pairs {
        let found = reader.whole(DEPTH)?;
        let value = reader.whole(DEPTH)?;
        if found == Some(key) {
            return Ok(value);
        }
    }
    Ok(None)
}

enum MsgpackValue<'a> {
    Text(&'a str),
    /// Its bytes are behind us.
    Other,
    Array(u32),
    Map(u32),
}

struct MsgpackReader<'a> {
    rest: &'a [u8],
}

impl<'a> MsgpackReader<'a> {
    fn bytes(&mut self, count: u32) -> Result<&'a [u8], MalformedMsgpack> {
        let count = usize::try_from(count).map_err(|_| MalformedMsgpack)?;
        let (bytes, rest) = self.rest.split_at_checked(count).ok_or(MalformedMsgpack)?;
        self.rest = rest;
        Ok(bytes)
    }

    /// A big-endian number of so many bytes.
    fn length(&mut self, bytes: u32) -> Result<u32, MalformedMsgpack> {
        Ok(self.bytes(bytes)?.iter().fold(0, |number, byte| (number << 8) | u32::from(*byte)))
    }

    fn text(&mut self, length: u32) -> Result<MsgpackValue<'a>, MalformedMsgpack> {
        std::str::from_utf8(self.bytes(length)?).map(MsgpackValue::Text).map_err(|_| MalformedMsgpack)
    }

    fn other(&mut self, length: u32) -> Result<MsgpackValue<'a>, MalformedMsgpack> {
        self.bytes(length).map(|_| MsgpackValue::Other)
    }

    /// A value, or the head of a collection.
    fn value(&mut self) -> Result<MsgpackValue<'a>, MalformedMsgpack> {
        let marker = self.length(1)?;
        match marker {
            0x00..=0x7f | 0xc0 | 0xc2 | 0xc3 | 0xe0..=0xff => Ok(MsgpackValue::Other),
            0x80..=0x8f => Ok(MsgpackValue::Map(marker & 0x0f)),
            0x90..=0x9f => Ok(MsgpackValue::Array(marker & 0x0f)),
            0xa0..=0xbf => self.text(marker & 0x1f),
            0xc4..=0xc6 => self.length(1 << (marker - 0xc4)).and_then(|length| self.other(length)),
            // Extensions: a length, a type, the data.
            0xc7..=0xc9 => {
                let length = self.length(1 << (marker - 0xc7))?;
                self.bytes(1)?;
                self.other(length)
            }
            0xca => self.other(4),
            0xcb => self.other(8),
            0xcc..=0xcf => self.other(1 << (marker - 0xcc)),
            0xd0..=0xd3 => self.other(1 << (marker - 0xd0)),
            0xd4..=0xd8 => self.other(1 + (1 << (marker - 0xd4))),
            0xd9..=0xdb => self.length(1 << (marker - 0xd9)).and_then(|length| self.text(length)),
            0xdc | 0xdd => self.length(2 << (marker - 0xdc)).map(MsgpackValue::Array),
            0xde | 0xdf => self.length(2 << (marker - 0xde)).map(MsgpackValue::Map),
            _ => Err(MalformedMsgpack),
        }
    }

    /// A value to its end; gives it back where it is a text.
    fn whole(&mut self, depth: u8) -> Result<Option<&'a str>, MalformedMsgpack> {
        let depth = depth.checked_sub(1).ok_or(MalformedMsgpack)?;
        let inside = match self.value()? {
            MsgpackValue::Text(text) => return Ok(Some(text)),
            MsgpackValue::Other => 0,
            MsgpackValue::Array(values) => u64::from(values),
            MsgpackValue::Map(pairs) => 2 * u64::from(pairs),
        };
        for _ in 0..inside {
            self.whole(depth)?;
        }
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_events_id() {
        // {"user": {"id": [1, -1, 2.5, nil, bin, ext]}, "event_id": "abc"}
        let mut event =
            b"\x82\xa4user\x81\xa2id\x96\x01\xff\xcb\0\0\0\0\0\0\0\0\xc0\xc4\x01x\xd4\x01x".to_vec();
        event.extend(b"\xa8event_id\xd9\x03abc");
        assert_eq!(text_in_map(&event, "event_id"), Ok(Some("abc")));
        assert_eq!(text_in_map(&event, "user"), Ok(None));
        assert_eq!(text_in_map(&event, "absent"), Ok(None));
        for end in 0..event.len() {
            assert_eq!(text_in_map(&event[..end], "event_id"), Err(MalformedMsgpack), "{end}");
        }
    }

    #[test]
    fn what_is_no_map() {
        for bytes in [&b""[..], b"\xa1x", b"\xc1", b"\xdf\xff\xff\xff\xff"] {
            assert_eq!(text_in_map(bytes, "x"), Err(MalformedMsgpack), "{bytes:?}");
        }
        let deep = [&b"\x81"[..], &[0x91; 1000]].concat();
        assert_eq!(text_in_map(&deep, "x"), Err(MalformedMsgpack));
    }
}
