//! Masks the keys of DSNs in a text that may quote what a client or a server has sent.

use std::borrow::Cow;

/// The length of a public key, and of the secret in old DSNs.
const KEY_LENGTH: usize = 32;
/// How much of a key stays, so that its owner recognizes it.
const SHOWN: usize = 4;

/// Masks everything in a text that may be a key: any 32 letters and digits in a row, what stands before the `@` of a
/// URL, and the value of a `sentry_key` or `sentry_secret`. An event's id has the length of a key and is masked as
/// well.
pub(crate) fn masked(text: &str) -> Cow<'_, str> {
    let mut shown = String::new();
    let mut rest = text;
    while let Some((before, key, after)) = next_key(rest) {
        shown.push_str(before);
        shown.push_str(key.get(..SHOWN).filter(|_| key.len() >= KEY_LENGTH).unwrap_or_default());
        shown.push('…');
        rest = after;
    }
    if shown.is_empty() {
        return Cow::Borrowed(text);
    }
    shown.push_str(rest);
    Cow::Owned(shown)
}

/// Splits a text around the first key in it.
fn next_key(text: &str) -> Option<(&str, &str, &str)> {
    let mut at = 0;
    while let Some(rest) = text.get(at..).filter(|rest| !rest.is_empty()) {
        let length = key_at(text.get(..at).unwrap_or_default(), rest);
        if length > 0 {
            let (key, after) = rest.split_at_checked(length)?;
            return Some((text.get(..at)?, key, after));
        }
        // Nothing within a word begins a key, so the rest of the word is passed over with it.
        let word = rest.bytes().take_while(u8::is_ascii_alphanumeric).count();
        at += word.max(rest.chars().next().map_or(1, char::len_utf8));
    }
    None
}

/// The length of the key with which `rest` begins, or 0. `before` is the text before it.
fn key_at(before: &str, rest: &str) -> usize {
    let ends_with = |end: &str| {
        before
            .len()
            .checked_sub(end.len())
            .and_then(|at| before.get(at..))
            .is_some_and(|last| last.eq_ignore_ascii_case(end))
    };
    if ends_with("://") {
        // The user of a URL ends at the last `@` before its path.
        let authority = rest.find(|c: char| "/?#\"'<>\\".contains(c) || c.is_whitespace() || c.is_control());
        let user = rest.get(..authority.unwrap_or(rest.len())).and_then(|authority| authority.rfind('@'));
        if let Some(length) = user {
            return length;
        }
    }
    if ["sentry_key=", "sentry_secret="].into_iter().any(ends_with) {
        let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && !"%.-_~+".contains(c));
        return end.unwrap_or(rest.len());
    }
    let word = rest.bytes().take_while(u8::is_ascii_alphanumeric).count();
    if word >= KEY_LENGTH { word } else { 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "5b0ff8a1e2c94d7fb7a3c1d2e4f60718";

    #[test]
    fn keys_are_masked_wherever_they_are() {
        for (text, shown) in [
            (
                format!("invalid type: string \"https://{KEY}@o1.sentry.io/42\""),
                "string \"https://5b0f…@o1.sentry.io/42\"",
            ),
            (format!("https://{KEY}:hunter2@sentry.io/42?x=@"), "https://5b0f…@sentry.io/42?x=@"),
            (
                "at HTTP://public@sentry.io and http://a@b@c/ ok".to_owned(),
                "at HTTP://…@sentry.io and http://…@c/ ok",
            ),
            (format!("a {KEY}, b ä{KEY}ä"), "a 5b0f…, b ä5b0f…ä"),
            (format!("{KEY}{KEY}"), "5b0f…"),
            ("?sentry_key=short&x=sentry_secret=%31x".to_owned(), "?sentry_key=…&x=sentry_secret=…"),
            (format!("{KEY}.no-cache"), "5b0f….no-cache"),
        ] {
            let masked = masked(&text);
            assert!(masked.contains(shown), "{text}: {masked}");
            assert!(!masked.contains(&KEY[..5]) && !masked.contains("hunter2"), "{masked}");
        }
    }

    #[test]
    fn other_text_stays() {
        for text in [
            "",
            "unexpected end of file",
            "host sentry.io is not allowed: add it to SENTRY_EXTENSION_ALLOWED_HOSTS",
            "https://o1.ingest.sentry.io/42/@x ä ://",
            "8476a536-e9f4-11e8-9739-2dfe598c3fcd",
            "sentry_key=",
            "a@b.example",
        ] {
            assert_eq!(masked(text), text);
        }
    }
}
