//! Makes JSON objects. The macro of `serde_json` would write the same code anew for each field, which took 16 KB.

use serde_json::{Map, Value};

/// Makes an object of these fields.
pub(super) fn object(fields: &mut [(&str, Value)]) -> Value {
    Value::Object(fields_of(fields))
}

/// The fields of such an object.
pub(super) fn fields_of(fields: &mut [(&str, Value)]) -> Map<String, Value> {
    let mut object = Map::new();
    for (name, value) in fields {
        object.insert((*name).to_owned(), value.take());
    }
    object
}

/// Adds a field to an object.
pub(super) fn set(object: &mut Map<String, Value>, name: &str, value: Value) {
    object.insert(name.to_owned(), value);
}

/// An attribute as containers of spans and metrics have it, whose type has this name.
pub(super) fn attribute(value: Value, kind: &str) -> Value {
    object(&mut [("value", value), ("type", kind.into())])
}

/// An attribute that is text.
pub(super) fn text(value: &str) -> Value {
    attribute(value.into(), "string")
}
