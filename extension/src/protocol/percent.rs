//! Percent encoding in queries and URLs.

use std::fmt::Write as _;

/// Decodes sequences like `%2F`. A percent sign without two hex digits stays as it is.
pub(crate) fn percent_decoded(text: &str) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(text.len());
    // Most texts have no percent sign, and are copied as a whole.
    let mut parts = text.split('%');
    bytes.extend_from_slice(parts.next().unwrap_or_default().as_bytes());
    for part in parts {
        // Checks for digits first, because `from_str_radix` accepts a sign such as `+1`.
        let hex = part.get(..2).filter(|hex| hex.bytes().all(|b| b.is_ascii_hexdigit()));
        let byte = hex.and_then(|hex| u8::from_str_radix(hex, 16).ok());
        bytes.push(byte.unwrap_or(b'%'));
        let rest = if byte.is_some() { part.get(2..).unwrap_or_default() } else { part };
        bytes.extend_from_slice(rest.as_bytes());
    }
    bytes
}

/// Encodes everything but the unreserved characters of RFC 3986.
pub(crate) fn percent_encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len() + 16);
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            // Writing to a String cannot fail.
            let _ = write!(encoded, "%{byte:02X}");
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_unreserved_characters_stay() {
        assert_eq!(percent_encoded("/aws/lambda/a-b_c.d ä"), "%2Faws%2Flambda%2Fa-b_c.d%20%C3%A4");
    }

    #[test]
    fn only_percent_signs_with_two_hex_digits_are_decoded() {
        for (text, plain) in [
            ("a%2Fb", "a/b"),
            ("%", "%"),
            ("%4", "%4"),
            ("%zz", "%zz"),
            ("%+1", "%+1"),
            ("p%40s%", "p@s%"),
            ("%%41%", "%A%"),
            ("%4ä", "%4ä"),
            ("%ä", "%ä"),
            ("", ""),
        ] {
            assert_eq!(percent_decoded(text), plain.as_bytes(), "{text}");
        }
    }
}
