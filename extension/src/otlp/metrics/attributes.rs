//! Writes attributes as Sentry has them. The names of those of a resource begin with `resource.`, and those of a scope
//! with `instrumentation.`, as Sentry names them for spans and logs of OpenTelemetry.

use crate::otlp::message::Message;
use crate::otlp::value::{Fields, Malformed};
use std::hash::{BuildHasher as _, RandomState};

/// The most attributes of a metric. Further ones are left out.
const MAX_ATTRIBUTES: usize = 64;
/// The longest name. An attribute with a longer one is left out.
const MAX_NAME: usize = 200;
/// The longest text, in bytes. The rest of a longer one is left out.
const MAX_TEXT: usize = 1024;

const KEY_VALUE: Fields = &[(1, "key"), (2, "value")];
/// Texts, truth values and numbers. A metric is not told apart by anything else.
const VALUE: Fields = &[(1, "stringValue"), (2, "boolValue"), (3, "intValue"), (4, "doubleValue")];
const SCOPE: Fields = &[(1, "name"), (2, "version"), (3, "attributes")];

/// A list of attributes, which can be cut back to what it was.
pub(super) struct Attributes {
    /// The fields of a JSON object, with commas between them.
    json: Vec<u8>,
    count: usize,
    /// A hash of all attributes, whatever their order, with those that are left out.
    identity: u64,
    hasher: RandomState,
}

/// The state of the list at some point.
#[derive(Clone, Copy)]
pub(super) struct Mark {
    length: usize,
    count: usize,
    identity: u64,
}

impl Attributes {
    /// `hasher` has to be the same for all requests whose series are compared.
    pub(super) fn new(hasher: RandomState) -> Self {
        Self { json: Vec::new(), count: 0, identity: 0, hasher }
    }

    pub(super) fn mark(&self) -> Mark {
        Mark { length: self.json.len(), count: self.count, identity: self.identity }
    }

    pub(super) fn back_to(&mut self, mark: Mark) {
        self.json.truncate(mark.length);
        (self.count, self.identity) = (mark.count, mark.identity);
    }

    pub(super) fn clear(&mut self) {
        self.back_to(Mark { length: 0, count: 0, identity: 0 });
    }

    /// The fields of a JSON object, without its braces.
    pub(super) fn json(&self) -> &[u8] {
        &self.json
    }

    /// Returns a number that is the same for all data points of a series, and another for each series.
    pub(super) fn identity(&self, metric: &str) -> u64 {
        self.hasher.hash_one((metric, self.identity))
    }

    /// Adds an attribute, whose name gets a prefix.
    pub(super) fn add(&mut self, prefix: &str, attribute: Message<'_>) -> Result<(), Malformed> {
        self.identify(prefix, attribute.bytes());
        let (mut name, mut value) = (None, None);
        attribute.visit(KEY_VALUE, &mut |number, field| {
            match number {
                1 => name = Some(field.text()?),
                _ => value = Some(field.message()?),
            }
            Ok(())
        })?;
        let (Some(name), Some(value)) = (name, value) else { return Ok(()) };
        let name = format!("{prefix}{name}");
        value.visit(VALUE, &mut |number, value| {
            match number {
                1 => self.push_text(&name, &value.text()?),
                2 => self.push(&name, &value.flag()?, "boolean"),
                3 => self.push(&name, &value.integer()?, "integer"),
                _ => {
                    let value = value.double()?;
                    if value.is_finite() {
                        self.push(&name, &value, "double");
                    }
                }
            }
            Ok(())
        })
    }

    /// Adds name, version and attributes of a scope.
    pub(super) fn add_scope(&mut self, scope: Message<'_>) -> Result<(), Malformed> {
        scope.visit(SCOPE, &mut |number, value| {
            let name = match number {
                1 => "instrumentation.name",
                2 => "instrumentation.version",
                _ => return self.add("instrumentation.", value.message()?),
            };
            let text = value.text()?;
            self.identify(name, text.as_bytes());
            if !text.is_empty() {
                self.push_text(name, &text);
            }
            Ok(())
        })
    }

    pub(super) fn push_text(&mut self, name: &str, text: &str) {
        let cut = text.get(..text.floor_char_boundary(MAX_TEXT)).unwrap_or_default();
        self.push(name, &cut, "string");
    }

    fn push(&mut self, name: &str, value: &impl serde::Serialize, kind: &str) {
        if self.count >= MAX_ATTRIBUTES || name.len() > MAX_NAME {
            return;
        }
        let out = &mut self.json;
        if self.count > 0 {
            out.push(b',');
        }
        self.count += 1;
        // Writing to a vector does not fail.
        let _ = serde_json::to_writer(&mut *out, name);
        out.extend_from_slice(b":{\"value\":");
        let _ = serde_json::to_writer(&mut *out, value);
        for part in [",\"type\":\"", kind, "\"}"] {
            out.extend_from_slice(part.as_bytes());
        }
    }

    fn identify(&mut self, prefix: &str, attribute: &[u8]) {
        self.identity = self.identity.wrapping_add(self.hasher.hash_one((prefix, attribute)));
    }
}
