//! Reads the JSON of OTLP: the fields of one message, one after the other. A value is passed on as its text, which is
//! valid JSON, and is read only if it is needed.

use super::value::{Fields, Malformed, Value, Visit};
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::fmt;

/// Visits those fields of an object that are in the list. A list is visited element by element, and null means that a
/// field is not there.
pub(super) fn visit<'a>(text: &'a str, fields: Fields, visit: Visit<'_, 'a>) -> Result<(), Malformed> {
    visit_object(text, Object { fields, are_lists: false, visit })
}

/// Does the same with fields that are lists. It takes half the time, because what a list holds is read once only.
pub(super) fn visit_lists<'a>(text: &'a str, fields: Fields, visit: Visit<'_, 'a>) -> Result<(), Malformed> {
    visit_object(text, Object { fields, are_lists: true, visit })
}

fn visit_object<'a>(text: &'a str, object: Object<'_, 'a>) -> Result<(), Malformed> {
    let mut json = serde_json::Deserializer::from_str(text);
    json.deserialize_map(object)?;
    json.end()?;
    Ok(())
}

struct Object<'v, 'a> {
    fields: Fields,
    are_lists: bool,
    visit: Visit<'v, 'a>,
}

impl<'a> Visitor<'a> for Object<'_, 'a> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'a>>(self, mut object: A) -> Result<(), A::Error> {
        while let Some(number) = object.next_key_seed(Name(self.fields))? {
            let Some(number) = number else {
                object.next_value::<IgnoredAny>()?;
                continue;
            };
            let elements = Elements { number, visit: &mut *self.visit };
            if self.are_lists {
                object.next_value_seed(elements)?;
                continue;
            }
            let value = object.next_value::<&'a RawValue>()?.get();
            if value.starts_with('[') {
                elements
                    .deserialize(&mut serde_json::Deserializer::from_str(value))
                    .map_err(A::Error::custom)?;
            } else if value != "null" {
                (elements.visit)(number, Value::Json(value)).map_err(A::Error::custom)?;
            }
        }
        Ok(())
    }
}

/// The name of a field. Its value is the number, if the field is in the list.
struct Name(Fields);

impl<'a> DeserializeSeed<'a> for Name {
    type Value = Option<u32>;

    fn deserialize<D: Deserializer<'a>>(self, name: D) -> Result<Self::Value, D::Error> {
        name.deserialize_str(self)
    }
}

impl Visitor<'_> for Name {
    type Value = Option<u32>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_str<E: Error>(self, name: &str) -> Result<Self::Value, E> {
        Ok(self.0.iter().find(|(_, known)| *known == name).map(|(number, _)| *number))
    }
}

/// The elements of a list, each of which is visited.
struct Elements<'v, 'a> {
    number: u32,
    visit: Visit<'v, 'a>,
}

impl<'a> DeserializeSeed<'a> for Elements<'_, 'a> {
    type Value = ();

    fn deserialize<D: Deserializer<'a>>(self, list: D) -> Result<(), D::Error> {
        list.deserialize_any(self)
    }
}

impl<'a> Visitor<'a> for Elements<'_, 'a> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list")
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'a>>(self, mut list: A) -> Result<(), A::Error> {
        while let Some(element) = list.next_element::<&'a RawValue>()? {
            (self.visit)(self.number, Value::Json(element.get())).map_err(A::Error::custom)?;
        }
        Ok(())
    }
}

/// Reads a text. It is borrowed unless something in it is escaped.
pub(super) fn text(value: &str) -> Result<Cow<'_, str>, Malformed> {
    match value.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) {
        Some(plain) if !plain.contains('\\') => Ok(Cow::Borrowed(plain)),
        _ => Ok(Cow::Owned(serde_json::from_str(value)?)),
    }
}

/// The text of a number, which OTLP writes in quotes if it may have 64 bits.
pub(super) fn unquoted(value: &str) -> &str {
    value.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(value)
}

/// Reads a floating-point number, of which protobuf's JSON has three as texts.
pub(super) fn double(value: &str) -> Result<f64, Malformed> {
    match unquoted(value) {
        "NaN" => Ok(f64::NAN),
        "Infinity" => Ok(f64::INFINITY),
        "-Infinity" => Ok(f64::NEG_INFINITY),
        number => Ok(serde_json::from_str(number)?),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Vec<(u32, String)>, Malformed> {
        let mut all = Vec::new();
        visit(text, &[(1, "a"), (2, "bB"), (3, "ü")], &mut |number, value| {
            let Value::Json(text) = value else { panic!("{value:?}") };
            all.push((number, text.to_owned()));
            Ok(())
        })?;
        Ok(all)
    }

    #[test]
    fn fields_in_their_order_and_lists_by_element() {
        let text = r#" {"bB":[{"a":1}, 2,null],"x":[],"a":"y","\u00fc":{},"a":null,"bB":[]} "#;
        let expected = [(2, "{\"a\":1}"), (2, "2"), (2, "null"), (1, "\"y\""), (3, "{}")];
        assert_eq!(read(text).unwrap(), expected.map(|(number, text)| (number, text.to_owned())));
    }

    #[test]
    fn fields_that_are_lists() {
        let text = r#"{"x":7,"a":[{"a":1},[2]],"bB":null,"ü":[]}"#;
        let mut all = Vec::new();
        let mut keep = |number, value: Value<'_>| {
            all.push((number, format!("{value:?}")));
            Ok(())
        };
        visit_lists(text, &[(1, "a"), (2, "bB"), (3, "ü")], &mut keep).unwrap();
        assert_eq!(all, [(1, r#"Json("{\"a\":1}")"#.to_owned()), (1, r#"Json("[2]")"#.to_owned())]);
        for text in [r#"{"a":{}}"#, r#"{"a":7}"#, r#"{"a":[1}"#, r#"{"a":"x"}"#] {
            assert!(visit_lists(text, &[(1, "a")], &mut |_, _| Ok(())).is_err(), "{text}");
        }
    }

    #[test]
    fn what_is_no_object_is_malformed() {
        for text in ["", "[]", "null", "{", "{\"a\":}", "{\"a\":1} x", "{\"x\":[1,}", "7", "{a:1}"] {
            assert!(read(text).is_err(), "{text}");
        }
        let deep = format!("{{\"a\":{}{}}}", "[".repeat(100_000), "]".repeat(100_000));
        assert_eq!(read(&deep).unwrap().len(), 1);
    }

    #[test]
    fn an_error_of_the_reader_is_passed_on() {
        let failing = |text| visit(text, &[(1, "a")], &mut |_, _| Err(Malformed::new("no good")));
        for text in ["{\"a\":1}", "{\"a\":[1]}"] {
            assert!(failing(text).unwrap_err().to_string().starts_with("no good"), "{text}");
        }
    }
}
