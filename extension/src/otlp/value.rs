//! What the readers of both encodings have in common: the fields of a message, and their values.

use std::borrow::Cow;
use std::fmt;

/// Why bytes are no request of OTLP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Malformed(Cow<'static, str>);

impl Malformed {
    pub(super) const fn new(why: &'static str) -> Self {
        Self(Cow::Borrowed(why))
    }
}

impl From<serde_json::Error> for Malformed {
    fn from(error: serde_json::Error) -> Self {
        Self(error.to_string().into())
    }
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The value of a field, whose type only the reader of the field knows.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Value<'a> {
    Varint(u64),
    /// Eight bytes: an integer or a floating-point number.
    Fixed(u64),
    /// A text, bytes, a message, or a packed list of numbers.
    Bytes(&'a [u8]),
    /// The text of a JSON value, which is neither a list nor null.
    Json(&'a str),
}

/// The fields of a kind of message that are read: the number in protobuf, and the name in JSON.
pub(super) type Fields = &'static [(u32, &'static str)];

/// What is done with a field: its number, and its value. An element of a list in JSON is a field of its own, as in
/// protobuf.
pub(super) type Visit<'v, 'a> = &'v mut dyn FnMut(u32, Value<'a>) -> Result<(), Malformed>;
