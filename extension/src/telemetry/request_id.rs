//! Lambda's name for one invocation, which events and telemetry share.

/// Lambda's name for one invocation.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RequestId(String);

impl RequestId {
    /// Lambda's are UUIDs; anything longer is cut.
    pub fn new(text: &str) -> Self {
        Self(text.chars().take(64).collect())
    }

    /// Whether an event had none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl std::fmt::Display for RequestId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}
