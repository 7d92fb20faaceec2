//! A reader for the part of `MessagePack` that is needed to find the event's id. Native SDKs attach their event in
//! this format.

/// The bytes are not complete and valid `MessagePack`, or have too many keys, or are nested too deeply.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct MalformedMsgpack;

/// The deepest nesting that is read, so that a malicious event cannot overflow the stack. Real events are flatter.
const MAX_DEPTH: u8 = 64;

/// The most keys of the outermost map. An event has some dozens.
const MAX_KEYS: u32 = 1000;

/// Returns the text that a map holds under `key`, or `None` if the key is absent or its value is not a text.
pub(super) fn text_in_map<'a>(bytes: &'a [u8], key: &str) -> Result<Option<&'a str>, MalformedMsgpack> {
    let mut reader = MsgpackReader { rest: bytes };
    let MsgpackValue::Map(pairs) = reader.read_value()? else { return Err(MalformedMsgpack) };
    if pairs > MAX_KEYS {
        return Err(MalformedMsgpack);
    }
    for _ in 0..pairs {
        let found = reader.read_whole(MAX_DEPTH)?;
        let value = reader.read_whole(MAX_DEPTH)?;
        if found == Some(key) {
            return Ok(value);
        }
    }
    Ok(None)
}

enum MsgpackValue<'a> {
    Text(&'a str),
    /// A value of any other type. Its bytes were read and dropped.
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

    /// Reads a big-endian number of `bytes` bytes.
    fn length(&mut self, bytes: u32) -> Result<u32, MalformedMsgpack> {
        Ok(self.bytes(bytes)?.iter().fold(0, |number, byte| (number << 8) | u32::from(*byte)))
    }

    fn text(&mut self, length: u32) -> Result<MsgpackValue<'a>, MalformedMsgpack> {
        std::str::from_utf8(self.bytes(length)?).map(MsgpackValue::Text).map_err(|_| MalformedMsgpack)
    }

    fn skip(&mut self, length: u32) -> Result<MsgpackValue<'a>, MalformedMsgpack> {
        self.bytes(length).map(|_| MsgpackValue::Other)
    }

    /// Reads a simple value, or the number of elements of an array or a map.
    fn read_value(&mut self) -> Result<MsgpackValue<'a>, MalformedMsgpack> {
        let marker = self.length(1)?;
        match marker {
            0x00..=0x7f | 0xc0 | 0xc2 | 0xc3 | 0xe0..=0xff => Ok(MsgpackValue::Other),
            0x80..=0x8f => Ok(MsgpackValue::Map(marker & 0x0f)),
            0x90..=0x9f => Ok(MsgpackValue::Array(marker & 0x0f)),
            0xa0..=0xbf => self.text(marker & 0x1f),
            0xc4..=0xc6 => self.length(1 << (marker - 0xc4)).and_then(|length| self.skip(length)),
            // An extension consists of a length, a type and the data.
            0xc7..=0xc9 => {
                let length = self.length(1 << (marker - 0xc7))?;
                self.bytes(1)?;
                self.skip(length)
            }
            0xca => self.skip(4),
            0xcb => self.skip(8),
            0xcc..=0xcf => self.skip(1 << (marker - 0xcc)),
            0xd0..=0xd3 => self.skip(1 << (marker - 0xd0)),
            0xd4..=0xd8 => self.skip(1 + (1 << (marker - 0xd4))),
            0xd9..=0xdb => self.length(1 << (marker - 0xd9)).and_then(|length| self.text(length)),
            0xdc | 0xdd => self.length(2 << (marker - 0xdc)).map(MsgpackValue::Array),
            0xde | 0xdf => self.length(2 << (marker - 0xde)).map(MsgpackValue::Map),
            _ => Err(MalformedMsgpack),
        }
    }

    /// Reads a value with everything in it. Returns it if it is a text.
    fn read_whole(&mut self, depth: u8) -> Result<Option<&'a str>, MalformedMsgpack> {
        let depth = depth.checked_sub(1).ok_or(MalformedMsgpack)?;
        let inside = match self.read_value()? {
            MsgpackValue::Text(text) => return Ok(Some(text)),
            MsgpackValue::Other => 0,
            MsgpackValue::Array(values) => u64::from(values),
            MsgpackValue::Map(pairs) => 2 * u64::from(pairs),
        };
        for _ in 0..inside {
            self.read_whole(depth)?;
        }
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_event_id_is_found_in_an_event() {
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
    fn bytes_that_are_not_a_map() {
        for bytes in [&b""[..], b"\xa1x", b"\xc1", b"\xdf\xff\xff\xff\xff"] {
            assert_eq!(text_in_map(bytes, "x"), Err(MalformedMsgpack), "{bytes:?}");
        }
        let keys = [&b"\xdd\0\x10\0\0"[..], &[0xa0; 4000]].concat();
        assert_eq!(text_in_map(&keys, "x"), Err(MalformedMsgpack));
        let many = [&b"\xde\x03\xe9"[..], &[0xa0; 2002]].concat();
        assert_eq!(text_in_map(&many, "x"), Err(MalformedMsgpack));
        assert_eq!(text_in_map(&[&b"\xde\x03\xe8"[..], &[0xa0; 2000]].concat(), "x"), Ok(None));
        let deep = [&b"\x81"[..], &[0x91; 1000]].concat();
        assert_eq!(text_in_map(&deep, "x"), Err(MalformedMsgpack));
    }
}
