//! Who carries envelopes to upstream.

/// As `SENTRY_EXTENSION_RELAY` spells it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RelayMode {
    /// Sentry's own Relay where the layer has it, else the built-in one.
    #[default]
    Auto,
    /// The built-in relay.
    Builtin,
    /// Sentry's own Relay. Where that fails, the built-in one.
    Process,
    /// Sentry's own Relay and nobody else: what it does not take is not sent at all.
    Only,
}

impl RelayMode {
    /// The mode of that name.
    pub fn parse(name: &str) -> Option<Self> {
        Some(match name.trim().to_ascii_lowercase().as_str() {
            "auto" => Self::Auto,
            "builtin" => Self::Builtin,
            "process" => Self::Process,
            "only" => Self::Only,
            _ => return None,
        })
    }
}
