//! Writes attributes as Sentry's logs have them, and counts their bytes as Sentry bills them. Pure.
//!
//! Sentry knows text, whole numbers, numbers and truth values. Objects become one attribute for each of their fields,
//! whose name has a dot for each level, and arrays become their JSON.

use super::digits;
use crate::insights::lines::{FieldValue, Fields};
use crate::protocol::json_text;
use serde_json::{Map, Value};

/// What is nested more deeply becomes its JSON.
const MAX_DEPTH: usize = 5;
/// The most attributes of a log. The fields beyond become one attribute, with their JSON, and so do those of each
/// object around them.
const MAX_ATTRIBUTES: usize = 64;
/// The name of that.
const REST: &str = "remaining_fields";
/// Sentry bills numbers like this, and truth values as one byte.
const NUMBER: usize = 8;

/// Writes attributes to `out`, with a comma in front of each but the first.
#[derive(Debug)]
pub(super) struct Attributes<'a> {
    out: &'a mut Vec<u8>,
    count: usize,
    /// The bytes of names and values, as Sentry bills them.
    pub(super) billed: usize,
}

impl<'a> Attributes<'a> {
    pub(super) fn new(out: &'a mut Vec<u8>) -> Self {
        Self { out, count: 0, billed: 0 }
    }

    /// Writes the fields of a record. Those that `is_taken` names are left out.
    pub(super) fn fields(&mut self, fields: &Fields<'_>, is_taken: impl Fn(&str) -> bool) {
        let mut rest = Map::new();
        for (name, value) in fields.iter().filter(|(name, _)| !is_taken(name)) {
            match value {
                _ if self.count >= MAX_ATTRIBUTES => {
                    rest.extend(value.clone().into_value().map(|value| (name.to_owned(), value)));
                }
                FieldValue::Text(text) => self.text(name, text),
                FieldValue::Other(Value::Object(fields)) => self.object(&mut name.to_owned(), fields, 1),
                FieldValue::Other(value) => self.scalar(name, value),
                FieldValue::Taken => {}
            }
        }
        self.rest(REST, rest);
    }

    /// Writes an attribute for each field of an object.
    fn object(&mut self, name: &mut String, fields: &Map<String, Value>, depth: usize) {
        let length = name.len();
        let mut rest = Map::new();
        for (inner, value) in fields {
            if self.count >= MAX_ATTRIBUTES {
                rest.insert(inner.clone(), value.clone());
                continue;
            }
            name.push('.');
            name.push_str(inner);
            match value {
                Value::Object(fields) if depth + 1 < MAX_DEPTH => self.object(name, fields, depth + 1),
                value => self.scalar(name, value),
            }
            name.truncate(length);
        }
        self.rest(name, rest);
    }

    /// Writes the fields for which there was no room.
    fn rest(&mut self, name: &str, rest: Map<String, Value>) {
        if !rest.is_empty() {
            self.text(name, &Value::Object(rest).to_string());
        }
    }

    /// Writes a value as one attribute.
    fn scalar(&mut self, name: &str, value: &Value) {
        match value {
            Value::Object(_) | Value::Array(_) => self.text(name, &value.to_string()),
            Value::String(text) => self.text(name, text),
            Value::Bool(value) => self.literal(name, if *value { "true" } else { "false" }, "boolean", 1),
            Value::Number(number) => match number.as_u64() {
                Some(positive) if number.is_i64() => self.number(name, positive),
                _ => {
                    let kind = if number.is_i64() { "integer" } else { "double" };
                    self.literal(name, &number.to_string(), kind, NUMBER);
                }
            },
            Value::Null => {}
        }
    }

    /// Writes an attribute that is text.
    pub(super) fn text(&mut self, name: &str, value: &str) {
        self.name(name);
        json_text::write(self.out, value);
        self.out.extend_from_slice(br#","type":"string"}"#);
        self.billed += value.len();
    }

    /// Writes an attribute that is a whole number.
    pub(super) fn number(&mut self, name: &str, value: u64) {
        self.name(name);
        digits::push(self.out, value);
        self.out.extend_from_slice(br#","type":"integer"}"#);
        self.billed += NUMBER;
    }

    fn literal(&mut self, name: &str, value: &str, kind: &str, billed: usize) {
        self.name(name);
        for part in [value, ",\"type\":\"", kind, "\"}"] {
            self.out.extend_from_slice(part.as_bytes());
        }
        self.billed += billed;
    }

    fn name(&mut self, name: &str) {
        if self.count > 0 {
            self.out.push(b',');
        }
        self.count += 1;
        self.billed += name.len();
        json_text::write(self.out, name);
        self.out.extend_from_slice(br#":{"value":"#);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn written(fields: &Value) -> (Value, usize) {
        let mut out = b"{".to_vec();
        let mut attributes = Attributes::new(&mut out);
        attributes.fields(&fields.as_object().unwrap().clone().into(), |name| name == "taken");
        let billed = attributes.billed;
        out.push(b'}');
        (serde_json::from_slice(&out).unwrap(), billed)
    }

    #[test]
    fn every_kind_of_value() {
        let fields = json!({ "a": "text\n", "b": { "c": { "d": true }, "e": 7 }, "f": -1.5, "g": null,
            "h": [1, "two"], "taken": 1, "i": u64::MAX });
        let attributes = json!({
            "a": { "value": "text\n", "type": "string" },
            "b.c.d": { "value": true, "type": "boolean" },
            "b.e": { "value": 7, "type": "integer" },
            "f": { "value": -1.5, "type": "double" },
            "h": { "value": "[1,\"two\"]", "type": "string" },
            "i": { "value": u64::MAX, "type": "double" },
        });
        let billed = (1 + 5) + (5 + 1) + (3 + 8) + (1 + 8) + (1 + 9) + (1 + 8);
        assert_eq!(written(&fields), (attributes, billed));
    }

    #[test]
    fn depth_and_number_are_bounded_and_nothing_is_lost() {
        let deep = json!({ "a": { "a": { "a": { "a": { "a": { "a": 1 } } } } } });
        let (attributes, _) = written(&deep);
        assert_eq!(attributes, json!({ "a.a.a.a.a": { "value": "{\"a\":1}", "type": "string" } }));
        let many: Map<String, Value> = (0..1000).map(|n| (format!("{n:04}"), n.into())).collect();
        let (attributes, _) = written(&many.clone().into());
        assert_eq!(attributes.as_object().unwrap().len(), MAX_ATTRIBUTES + 1);
        let (nested, _) = written(&json!({ "a": { "b": many } }));
        assert_eq!(nested.as_object().unwrap().len(), MAX_ATTRIBUTES + 1);
        assert_eq!(nested["a.b"]["value"], attributes[REST]["value"]);
        let rest: Value = serde_json::from_str(attributes[REST]["value"].as_str().unwrap()).unwrap();
        assert_eq!((rest.as_object().unwrap().len(), &rest["0999"]), (1000 - MAX_ATTRIBUTES, &json!(999)));
    }
}
