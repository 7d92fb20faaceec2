//! Messages of OTLP, whatever their encoding is. A message is a slice of the request. Its fields are visited one after
//! the other, and nothing is allocated for them.

use super::value::{Fields, Malformed, Value, Visit};
use super::{Format, json, protobuf};
use std::borrow::Cow;

const OTHER_TYPE: Malformed = Malformed::new("a field has another type than in OTLP");

/// A message in one of the two encodings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Message<'a> {
    Protobuf(&'a [u8]),
    /// The text of a JSON object.
    Json(&'a str),
}

impl<'a> Message<'a> {
    /// Fails if the bytes are no text, which JSON has to be.
    pub(crate) fn new(format: Format, bytes: &'a [u8]) -> Result<Self, Malformed> {
        Ok(match format {
            Format::Protobuf => Self::Protobuf(bytes),
            Format::Json => Self::Json(
                std::str::from_utf8(bytes).map_err(|_| Malformed::new("the JSON is not valid UTF-8"))?,
            ),
        })
    }

    /// Visits those fields of the message that are in the list, in their order.
    pub(super) fn visit(self, fields: Fields, visit: Visit<'_, 'a>) -> Result<(), Malformed> {
        match self {
            Self::Protobuf(bytes) => protobuf::visit(bytes, fields, visit),
            Self::Json(text) => json::visit(text, fields, visit),
        }
    }

    /// Visits the messages in fields that are lists of them.
    pub(super) fn visit_messages(
        self,
        fields: Fields,
        visit: &mut dyn FnMut(Message<'a>) -> Result<(), Malformed>,
    ) -> Result<(), Malformed> {
        let visit: Visit<'_, 'a> = &mut |_, value: Value<'a>| visit(value.message()?);
        match self {
            Self::Protobuf(bytes) => protobuf::visit(bytes, fields, visit),
            Self::Json(text) => json::visit_lists(text, fields, visit),
        }
    }

    /// The bytes of the message, in its encoding.
    pub(super) fn bytes(self) -> &'a [u8] {
        match self {
            Self::Protobuf(bytes) => bytes,
            Self::Json(text) => text.as_bytes(),
        }
    }
}

impl<'a> Value<'a> {
    pub(super) fn message(self) -> Result<Message<'a>, Malformed> {
        match self {
            Self::Bytes(bytes) => Ok(Message::Protobuf(bytes)),
            Self::Json(text) if text.starts_with('{') => Ok(Message::Json(text)),
            _ => Err(OTHER_TYPE),
        }
    }

    pub(super) fn text(self) -> Result<Cow<'a, str>, Malformed> {
        match self {
            Self::Bytes(bytes) => Ok(String::from_utf8_lossy(bytes)),
            Self::Json(text) => json::text(text),
            _ => Err(OTHER_TYPE),
        }
    }

    pub(super) fn integer(self) -> Result<i64, Malformed> {
        match self {
            Self::Varint(bits) | Self::Fixed(bits) => Ok(bits.cast_signed()),
            Self::Json(text) => json::unquoted(text).parse().map_err(|_| OTHER_TYPE),
            Self::Bytes(_) => Err(OTHER_TYPE),
        }
    }

    pub(super) fn unsigned(self) -> Result<u64, Malformed> {
        match self {
            Self::Varint(bits) | Self::Fixed(bits) => Ok(bits),
            Self::Json(text) => json::unquoted(text).parse().map_err(|_| OTHER_TYPE),
            Self::Bytes(_) => Err(OTHER_TYPE),
        }
    }

    pub(super) fn double(self) -> Result<f64, Malformed> {
        match self {
            Self::Fixed(bits) => Ok(f64::from_bits(bits)),
            Self::Json(text) => json::double(text),
            _ => Err(OTHER_TYPE),
        }
    }

    pub(super) fn flag(self) -> Result<bool, Malformed> {
        match self {
            Self::Varint(bits) => Ok(bits != 0),
            Self::Json("true") => Ok(true),
            Self::Json("false") => Ok(false),
            _ => Err(OTHER_TYPE),
        }
    }

    /// The id of a trace or a span as hex digits. `None` if it has not this many digits, or is all zeros.
    pub(super) fn id(self, digits: usize) -> Result<Option<String>, Malformed> {
        let hex: String = match self {
            Self::Bytes(bytes) if bytes.len() * 2 == digits => {
                bytes.iter().flat_map(|byte| [hex_digit(byte >> 4), hex_digit(byte & 15)]).collect()
            }
            Self::Bytes(_) => return Ok(None),
            Self::Json(text) => json::text(text)?.to_ascii_lowercase(),
            _ => return Err(OTHER_TYPE),
        };
        let is_id = hex.len() == digits && hex.bytes().all(|b| b.is_ascii_hexdigit());
        Ok(Some(hex).filter(|hex| is_id && hex.bytes().any(|b| b != b'0')))
    }

    /// Visits the numbers of a list of 8-byte numbers, which protobuf may pack into one field. In JSON this is one
    /// element. `read` reads it.
    pub(super) fn numbers<T>(
        self,
        read: fn(Value<'a>) -> Result<T, Malformed>,
        visit: &mut dyn FnMut(T),
    ) -> Result<(), Malformed> {
        let Self::Bytes(packed) = self else { return read(self).map(visit) };
        let (numbers, []) = packed.as_chunks::<8>() else { return Err(OTHER_TYPE) };
        for number in numbers {
            visit(read(Self::Fixed(u64::from_le_bytes(*number)))?);
        }
        Ok(())
    }
}

fn hex_digit(nibble: u8) -> char {
    char::from_digit(nibble.into(), 16).unwrap_or('0')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_mean_the_same_in_both_encodings() {
        for (protobuf, json, number) in [
            (Value::Varint(3), "3", 3),
            (Value::Varint(u64::MAX), "\"-1\"", -1),
            (Value::Fixed(7), "\"7\"", 7),
        ] {
            assert_eq!(protobuf.integer(), Ok(number));
            assert_eq!(Value::Json(json).integer(), Ok(number));
        }
        for (number, json) in
            [(1.5_f64, "1.5"), (-3.0, "-3"), (f64::INFINITY, "\"Infinity\""), (0.25, "\"0.25\"")]
        {
            assert_eq!(Value::Fixed(number.to_bits()).double(), Ok(number));
            assert_eq!(Value::Json(json).double(), Ok(number), "{json}");
        }
        assert!(Value::Json("\"NaN\"").double().unwrap().is_nan());
        assert_eq!(Value::Bytes("ä\"".as_bytes()).text(), Value::Json(r#""\u00e4\"""#).text());
        assert_eq!(Value::Varint(1).flag(), Value::Json("true").flag());
    }

    #[test]
    fn ids_are_hex_digits_in_lower_case() {
        let digits = "00f067aa0ba902b7";
        let bytes = [0, 0xf0, 0x67, 0xaa, 0x0b, 0xa9, 0x02, 0xb7];
        assert_eq!(Value::Bytes(&bytes).id(16).unwrap().as_deref(), Some(digits));
        assert_eq!(Value::Json(r#""00F067AA0BA902B7""#).id(16).unwrap().as_deref(), Some(digits));
        for none in [Value::Bytes(&bytes[1..]), Value::Bytes(&[0; 8]), Value::Json(r#""x0f067aa0ba902b7""#)] {
            assert_eq!(none.id(16), Ok(None), "{none:?}");
        }
    }

    #[test]
    fn another_type_is_an_error() {
        assert!(Value::Varint(1).message().is_err() && Value::Json("7").message().is_err());
        assert!(Value::Fixed(1).text().is_err() && Value::Json("7").text().is_err());
        assert!(Value::Bytes(b"1").integer().is_err() && Value::Json("1.5").integer().is_err());
        assert!(Value::Json("-1").unsigned().is_err() && Value::Varint(1).double().is_err());
        assert!(Value::Json("1").flag().is_err() && Value::Bytes(b"1").flag().is_err());
        assert!(Value::Bytes(&[0; 9]).numbers(Value::unsigned, &mut |_| {}).is_err());
    }
}
