//! Finds, reads and writes the texts of JSON, eight bytes at a time. Each line of the function passes here several
//! times.

use std::borrow::Cow;

/// Returns how many bytes at the start are written in JSON as they are: no quotation mark, no backslash, and no control
/// character.
fn plain_length(bytes: &[u8]) -> usize {
    const ONES: u64 = u64::MAX / 255;
    const HIGHEST: u64 = ONES << 7;
    let (mut length, mut rest) = (0, bytes);
    while let Some((word, behind)) = rest.split_first_chunk() {
        let word = u64::from_le_bytes(*word);
        // The highest bit of a byte is set where the subtraction borrows. A borrow can spread only to later bytes, and
        // the first one counts.
        let quote = word ^ (ONES * u64::from(b'"'));
        let backslash = word ^ (ONES * u64::from(b'\\'));
        let below = |word: u64, limit: u64| word.wrapping_sub(ONES * limit) & !word;
        let found = (below(word, 0x20) | below(quote, 1) | below(backslash, 1)) & HIGHEST;
        if found != 0 {
            return length + found.trailing_zeros() as usize / 8;
        }
        (length, rest) = (length + 8, behind);
    }
    let is_plain = |byte: &u8| !matches!(byte, b'"' | b'\\' | 0..0x20);
    length + rest.iter().position(|byte| !is_plain(byte)).unwrap_or(rest.len())
}

/// Returns the JSON text at the start, with its quotation marks. `None`: there is none, or it does not end.
pub(crate) fn leading(json: &str) -> Option<&str> {
    let bytes = json.as_bytes();
    let mut end = usize::from(bytes.first() == Some(&b'"'));
    if end == 0 {
        return None;
    }
    loop {
        end += plain_length(bytes.get(end..)?);
        match bytes.get(end)? {
            b'"' => return json.get(..=end),
            b'\\' => end += 2,
            _ => return None,
        }
    }
}

/// Returns the JSON object at the start, from its first bracket to the one that closes it. What is in between may be
/// wrong. `None`: there is none, or it does not end.
pub(crate) fn leading_object(json: &str) -> Option<&str> {
    let bytes = json.as_bytes();
    if bytes.first() != Some(&b'{') {
        return None;
    }
    let (mut end, mut depth) = (0, 0_usize);
    loop {
        match bytes.get(end)? {
            b'"' => end += leading(json.get(end..)?)?.len() - 1,
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth -= 1,
            _ => {}
        }
        end += 1;
        if depth == 0 {
            return json.get(..end);
        }
    }
}

/// Reads a JSON text with its quotation marks. It is copied only for its escapes. `None`: it is none.
pub(crate) fn read(json: &str) -> Option<Cow<'_, str>> {
    let inner = match json.as_bytes() {
        [b'"', .., b'"'] => json.get(1..json.len() - 1)?,
        _ => return None,
    };
    if plain_length(inner.as_bytes()) == inner.len() {
        return Some(Cow::Borrowed(inner));
    }
    // Escapes by number are rare.
    unescaped(inner).or_else(|| serde_json::from_str(json).ok()).map(Cow::Owned)
}

/// `None`: there is an escape by number, or something else that is not read here.
fn unescaped(inner: &str) -> Option<String> {
    let (mut text, mut rest) = (String::with_capacity(inner.len()), inner);
    loop {
        let (plain, escape) = rest.split_at_checked(plain_length(rest.as_bytes()))?;
        text.push_str(plain);
        let [b'\\', escaped, ..] = escape.as_bytes() else { return escape.is_empty().then_some(text) };
        text.push(match escaped {
            b'n' => '\n',
            b't' => '\t',
            b'r' => '\r',
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'"' | b'\\' | b'/' => char::from(*escaped),
            _ => return None,
        });
        rest = escape.get(2..)?;
    }
}

/// Writes a text as JSON.
pub(crate) fn write(out: &mut Vec<u8>, text: &str) {
    if plain_length(text.as_bytes()) == text.len() {
        out.push(b'"');
        out.extend_from_slice(text.as_bytes());
        out.push(b'"');
    } else {
        // Writing to a vector does not fail.
        let _ = serde_json::to_writer(out, text);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn every_byte_at_every_place() {
        for byte in 0..=255 {
            let is_plain = byte >= 0x20 && byte != b'"' && byte != b'\\';
            for (at, length) in (0..20).flat_map(|at| (at + 1..21).map(move |length| (at, length))) {
                // A byte after it must not count, whatever it is.
                for other in [b'x', 0x1f, 0x21, b'!', b'#', b'[', b']', 0x80, 0xff] {
                    let mut bytes = vec![b'x'; length];
                    bytes[at..].fill(other);
                    bytes[at] = byte;
                    let expected = if is_plain {
                        bytes.iter().position(|b| *b < 0x20 || *b == b'"' || *b == b'\\').unwrap_or(length)
                    } else {
                        at
                    };
                    assert_eq!(plain_length(&bytes), expected, "{bytes:?}");
                }
            }
        }
    }

    #[test]
    fn a_text_ends_at_its_own_quotation_mark() {
        for (json, expected) in [
            (r#""one" two"#, Some(r#""one""#)),
            (r#""a\"b\\" c"#, Some(r#""a\"b\\""#)),
            (r#""ä€\u00e4" ""#, Some(r#""ä€\u00e4""#)),
            (r#""""#, Some(r#""""#)),
            (r#"""#, None),
            (r#""open"#, None),
            (r#""open\""#, None),
            (r#""open\"#, None),
            ("\"two\nlines\"", None),
            ("one", None),
            (" \"one\"", None),
            ("", None),
        ] {
            assert_eq!(leading(json), expected, "{json}");
        }
    }

    #[test]
    fn an_object_ends_at_its_own_bracket() {
        for (json, expected) in [
            (r#"{"a":{"b":[1,{}]},"c":"}]\"}"} }"#, Some(r#"{"a":{"b":[1,{}]},"c":"}]\"}"}"#)),
            ("{}", Some("{}")),
            ("{} {}", Some("{}")),
            (r#"{"a":"open}"#, None),
            (r#"{"a":{}"#, None),
            ("[]", None),
            (" {}", None),
            ("", None),
        ] {
            assert_eq!(leading_object(json), expected, "{json}");
        }
    }

    #[test]
    fn texts_are_copied_only_for_their_escapes() {
        assert!(matches!(read(r#""plain ä""#), Some(Cow::Borrowed("plain ä"))));
        let usual = r#""a\n\t\r\b\f\"\\\/ä""#;
        assert_eq!(read(usual).as_deref(), Some("a\n\t\r\u{8}\u{c}\"\\/ä"));
        assert_eq!(read(r#""\n\u00e4\ud83d\ude00""#).as_deref(), Some("\nä😀"));
        for odd in ["", "\"", "7", r#""\ud800""#, r#""\x""#, r#""\""#, r#""a"b""#, "\"a\nb\"", r#""open"#] {
            assert_eq!(read(odd), None, "{odd}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn texts_are_read_and_written_as_serde_does(text in "[ -~\u{0}-\u{1f}äö€😀]{0,40}") {
            let json = serde_json::to_string(&text).unwrap();
            let mut written = Vec::new();
            write(&mut written, &text);
            prop_assert_eq!(&*String::from_utf8(written).unwrap(), &*json);
            prop_assert_eq!(read(&json), Some(Cow::Borrowed(&*text)));
            let followed = format!("{json}, \"next\"");
            prop_assert_eq!(leading(&followed), Some(&*json));
        }
    }

    #[test]
    fn what_is_damaged_is_read_as_serde_reads_it() {
        let whole = r#""a\n\"b\\ c\u00e4""#;
        for at in 0..whole.len() {
            for (length, new) in
                [0, 1].into_iter().flat_map(|n| "\"\\ntux0d8 \n".chars().map(move |c| (n, c)))
            {
                let json = format!("{}{new}{}", &whole[..at], &whole[at + length..]);
                // What is around a text does not belong to it.
                let is_bare = json.starts_with('"') && json.ends_with('"');
                let expected = serde_json::from_str::<String>(&json).ok().filter(|_| is_bare);
                assert_eq!(read(&json).map(Cow::into_owned), expected, "{json}");
            }
        }
    }
}
