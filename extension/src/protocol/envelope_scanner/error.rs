//! Why an envelope is not accepted, and the bounds of what is.

use std::fmt;

/// The longest header line, in bytes. Real headers are much shorter.
pub(super) const MAX_LINE: usize = 256 * 1024;
/// The most items in an envelope. Sentry's Relay refuses more.
pub(super) const MAX_ITEMS: usize = 500;

/// Why an envelope is not accepted.
#[derive(Debug, PartialEq, Eq)]
pub enum ScanError {
    /// The body is empty.
    Empty,
    /// The envelope's header is not valid JSON or has a field of a wrong type. Holds the parser's text.
    Header(String),
    /// An item's header is not valid JSON or has no valid `type`. Holds the parser's text.
    ItemHeader(String),
    /// The envelope's header or an item's header is longer than 256 KiB.
    HeaderTooLong,
    /// A payload of known length does not end with a newline.
    MissingNewline,
    /// The envelope ends inside an item.
    Truncated,
    /// There are more than 500 items, the limit of Sentry's Relay.
    TooManyItems,
    /// There are too many items of this type, or their payloads have too many bytes in total.
    TooLarge(&'static str),
}

impl fmt::Display for ScanError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("empty request body"),
            Self::Header(why) => write!(f, "invalid envelope header: {why}"),
            Self::ItemHeader(why) => write!(f, "invalid item header: {why}"),
            Self::HeaderTooLong => write!(f, "a header is longer than {MAX_LINE} bytes"),
            Self::MissingNewline => f.write_str("missing newline after header or payload"),
            Self::Truncated => f.write_str("unexpected end of file"),
            Self::TooManyItems => write!(f, "more than {MAX_ITEMS} items"),
            Self::TooLarge(name) => write!(
                f,
                "envelope exceeded size limits for type '{name}' \
                 (https://develop.sentry.dev/sdk/envelopes/#size-limits)"
            ),
        }
    }
}
