//! The identifier of an invocation. Events of the Extensions API and telemetry share it.

use super::fields::cut;

/// The identifier of one invocation, as Lambda sends it. It has at most 64 bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RequestId(String);

impl RequestId {
    /// Takes the identifier from an event. Lambda's identifiers are UUIDs; a text of more than 64 bytes is cut.
    pub fn new(text: &str) -> Self {
        Self(cut(text, 64).to_owned())
    }

    /// Whether this is the identifier that a text names.
    pub(crate) fn is(&self, text: &str) -> bool {
        self.0 == text
    }

    /// Whether the event had no identifier.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl std::fmt::Display for RequestId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}
