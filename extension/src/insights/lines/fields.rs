//! The fields of a record that is a JSON object. Pure.
//!
//! Most records have a handful of fields with short values. A list of them that borrows from the record costs a
//! fraction of a tree that copies each name and each text.

use crate::protocol::{json_fields, json_text};
use serde_json::{Map, Value};
use std::borrow::Cow;

/// An object with more fields is read by serde, because each field is compared with all before it.
const MAX_FIELDS: usize = 64;
/// The fields for which there is room at first.
const USUAL_FIELDS: usize = 12;
/// Numbers with more digits are read by serde.
const MAX_DIGITS: usize = 15;

/// The fields of an object. Each name is there once.
#[derive(Clone, Debug, Default, PartialEq)]
pub(in crate::insights) struct Fields<'a>(Vec<(Cow<'a, str>, FieldValue<'a>)>);

/// The value of a field.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::insights) enum FieldValue<'a> {
    Text(Cow<'a, str>),
    /// Everything but a text.
    Other(Value),
    /// The field was taken out.
    Taken,
}

impl<'a> Fields<'a> {
    /// Reads a JSON object. `None`: it is none, or nested too deeply.
    pub(super) fn read(json: &'a str) -> Option<Self> {
        Self::few(json).or_else(|| Some(serde_json::from_str::<Map<String, Value>>(json).ok()?.into()))
    }

    /// Reads an object as most loggers write it. `None`: serde has to say what it is.
    fn few(json: &'a str) -> Option<Self> {
        let mut fields = Self(Vec::with_capacity(USUAL_FIELDS));
        let mut rest = json.strip_prefix('{')?;
        loop {
            rest = after_space(rest);
            let name = json_text::leading(rest)?;
            rest = after_space(rest.get(name.len()..)?);
            rest = after_space(rest.strip_prefix(':')?);
            let length = fields.set(json_text::read(name)?, rest)?;
            rest = after_space(rest.get(length..)?);
            match rest.as_bytes().first()? {
                b',' if fields.0.len() < MAX_FIELDS => rest = rest.get(1..)?,
                b'}' => return after_space(rest.get(1..)?).is_empty().then_some(fields),
                _ => return None,
            }
        }
    }

    /// Sets a field to the value at the start of this JSON. Returns the length of the value.
    fn set(&mut self, name: Cow<'a, str>, json: &'a str) -> Option<usize> {
        let (value, length) = match json.as_bytes().first()? {
            b'"' => {
                let text = json_text::leading(json)?;
                (FieldValue::Text(json_text::read(text)?), text.len())
            }
            b'1'..=b'9' if let Some((number, length)) = whole_number(json) => {
                (FieldValue::Other(number.into()), length)
            }
            _ => {
                let raw = json_fields::leading(json.as_bytes())?.get();
                (FieldValue::Other(serde_json::from_str(raw).ok()?), raw.len())
            }
        };
        match self.0.iter_mut().find(|(known, _)| *known == name) {
            Some((_, known)) => *known = value,
            None => self.0.push((name, value)),
        }
        Some(length)
    }

    /// Names and values.
    pub(in crate::insights) fn iter(&self) -> impl Iterator<Item = (&str, &FieldValue<'a>)> {
        self.0
            .iter()
            .filter(|(_, value)| !matches!(value, FieldValue::Taken))
            .map(|(name, value)| (&**name, value))
    }

    /// The value of a field that is text.
    pub(in crate::insights) fn text(&self, name: &str) -> Option<&Cow<'a, str>> {
        match &self.0.iter().find(|(known, _)| known == name)?.1 {
            FieldValue::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The value of a field, which can be changed and taken out.
    pub(super) fn get_mut(&mut self, name: &str) -> Option<&mut FieldValue<'a>> {
        Some(&mut self.0.iter_mut().find(|(known, _)| known == name)?.1)
    }

    /// Takes out the texts for which this returns true.
    pub(super) fn take_texts(&mut self, is_taken: impl Fn(&str, &str) -> bool) {
        for (name, value) in &mut self.0 {
            if matches!(value, FieldValue::Text(text) if is_taken(name, text)) {
                *value = FieldValue::Taken;
            }
        }
    }

    /// Adds the fields of an object. They replace those of the same name.
    pub(super) fn extend(&mut self, more: Map<String, Value>) {
        let mut all = Map::from(std::mem::take(self));
        all.extend(more);
        *self = all.into();
    }
}

impl FieldValue<'_> {
    /// Takes it out of its object.
    pub(super) fn take(&mut self) -> Self {
        std::mem::replace(self, FieldValue::Taken)
    }
}

impl From<Map<String, Value>> for Fields<'_> {
    fn from(map: Map<String, Value>) -> Self {
        let field = |(name, value)| {
            let value = match value {
                Value::String(text) => FieldValue::Text(Cow::Owned(text)),
                other => FieldValue::Other(other),
            };
            (Cow::Owned(name), value)
        };
        Self(map.into_iter().map(field).collect())
    }
}

impl From<Fields<'_>> for Map<String, Value> {
    fn from(fields: Fields<'_>) -> Self {
        let value =
            |(name, value): (Cow<'_, str>, FieldValue<'_>)| Some((name.into_owned(), value.into_value()?));
        fields.0.into_iter().filter_map(value).collect()
    }
}

impl FieldValue<'_> {
    /// The value as serde has it. `None`: the field was taken out.
    pub(in crate::insights) fn into_value(self) -> Option<Value> {
        match self {
            Self::Text(text) => Some(Value::String(text.into_owned())),
            Self::Other(value) => Some(value),
            Self::Taken => None,
        }
    }
}

/// Reads a whole number that is not longer than usual, and returns it and its length.
fn whole_number(json: &str) -> Option<(u64, usize)> {
    let (mut number, mut length) = (0, 0);
    for byte in json.bytes() {
        match byte {
            b'0'..=b'9' if length < MAX_DIGITS => number = number * 10 + u64::from(byte - b'0'),
            b',' | b'}' | b' ' | b'\t' | b'\n' | b'\r' => return Some((number, length)),
            _ => return None,
        }
        length += 1;
    }
    None
}

/// Returns what follows the white space at the start.
fn after_space(json: &str) -> &str {
    match json.as_bytes().first() {
        Some(b' ' | b'\t' | b'\n' | b'\r') => json.trim_start_matches([' ', '\t', '\n', '\r']),
        _ => json,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn read(json: &str) -> Option<Value> {
        Fields::read(json).map(|fields| Value::Object(fields.into()))
    }

    #[test]
    fn every_kind_of_value_is_borrowed_where_it_is_a_plain_text() {
        let json = r#" { "a" : "text" , "b":"two\nlines","c":7,"d":-7,"e":1.50,"f":true,"g":null,"h":[1,{"i":2}],
            "j":{"k":"}"},"":"","a\u0062":12345678901234567890 , "l":123456789012345,"m":01} "#;
        assert_eq!(read(json.trim_start()), None, "a number does not begin with a zero");
        let json = json.replace(",\"m\":01", "").trim_start().to_owned();
        let fields = Fields::few(&json).unwrap();
        assert!(matches!(
            fields.0.first(),
            Some((Cow::Borrowed("a"), FieldValue::Text(Cow::Borrowed("text"))))
        ));
        let value: Value = serde_json::from_str(&json).unwrap();
        assert_eq!(Value::Object(fields.into()), value);
    }

    #[test]
    fn the_last_field_of_a_name_counts() {
        assert_eq!(read(r#"{"a":1,"b":2,"a":"3"}"#), Some(json!({ "a": "3", "b": 2 })));
        let many: Vec<String> = (0..1000).map(|n| format!(r#""{}":{n}"#, n % 500)).collect();
        let fields = read(&format!("{{{}}}", many.join(","))).unwrap();
        assert_eq!((fields.as_object().unwrap().len(), &fields["7"]), (500, &json!(507)));
    }

    #[test]
    fn what_was_taken_out_is_not_there() {
        let mut fields = Fields::read(r#"{"a":"","b":"text","c":{"d":1}}"#).unwrap();
        fields.take_texts(|name, text| name == "a" && text.is_empty());
        let Some(FieldValue::Other(Value::Object(inner))) = fields.get_mut("c").map(FieldValue::take) else {
            panic!("{fields:?}");
        };
        assert_eq!((fields.text("a"), fields.text("b").map(|text| &**text)), (None, Some("text")));
        assert_eq!(fields.iter().map(|(name, _)| name).collect::<Vec<_>>(), ["b"]);
        fields.extend(inner);
        assert_eq!(Value::Object(fields.into()), json!({ "b": "text", "d": 1 }));
    }

    #[test]
    fn what_is_damaged_is_read_as_serde_reads_it() {
        let whole = r#"{"a":"b\n","c":12,"d":{"e":[1]} , "c":"f"} "#;
        let (mut objects, mut others) = (0, 0);
        for at in 0..whole.len() {
            for (length, new) in
                [0, 1].into_iter().flat_map(|n| " {}[]\":,\\09a.-\n".chars().map(move |c| (n, c)))
            {
                let json = format!("{}{new}{}", &whole[..at], &whole[at + length..]);
                let expected = serde_json::from_str::<Map<String, Value>>(&json).ok().map(Value::Object);
                *if expected.is_some() { &mut objects } else { &mut others } += 1;
                assert_eq!(read(&json), expected, "{json}");
            }
        }
        assert!(objects > 100 && others > 100, "{objects} {others}");
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn objects_are_read_as_serde_reads_them(
            parts in proptest::collection::vec(
                (
                    "[ab]{0,2}",
                    prop_oneof![
                        "\"[ -~]{0,9}\"",
                        "-?[0-9]{1,17}(\\.5)?",
                        "true|null|\\{\\}|\\[1, \\{\"a\": 2\\}\\]"
                    ],
                ),
                0..5,
            ),
        ) {
            let parts: Vec<String> = parts.iter().map(|(name, value)| format!("\"{name}\" :{value}")).collect();
            let json = format!("{{{}}}\n", parts.join(" , "));
            let expected = serde_json::from_str::<Map<String, Value>>(&json).ok().map(Value::Object);
            prop_assert_eq!(read(&json), expected);
        }
    }
}
