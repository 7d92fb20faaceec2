//! The modes that a user can choose by name.

/// Who sends envelopes to upstream. `SENTRY_EXTENSION_RELAY` sets it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RelayMode {
    /// Sentry's Relay if the layer contains it, otherwise the built-in relay.
    #[default]
    Auto,
    /// The built-in relay, also if the layer contains Sentry's Relay.
    Builtin,
    /// Sentry's Relay. If it fails, the built-in relay takes over.
    Process,
    /// Sentry's Relay alone. Envelopes that it does not accept are not sent.
    Only,
}

impl RelayMode {
    /// Returns the mode of that name in any case, or `None` if there is no such mode.
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

/// When `/next` waits for deliveries. `SENTRY_EXTENSION_FLUSH` sets it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FlushMode {
    /// Like `End` while invocations are rare, otherwise like `Continuous` with a bound on the age of waiting envelopes.
    #[default]
    Auto,
    /// After every invocation, until the function is done and all envelopes are delivered.
    End,
    /// Never. Envelopes are delivered while the function runs.
    Continuous,
}

impl FlushMode {
    /// Returns the mode of that name in any case, or `None` if there is no such mode.
    pub fn parse(name: &str) -> Option<Self> {
        Some(match name.trim().to_ascii_lowercase().as_str() {
            "auto" => Self::Auto,
            "end" => Self::End,
            "continuous" => Self::Continuous,
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flush_modes_by_name() {
        assert_eq!(FlushMode::parse(" End "), Some(FlushMode::End));
        assert_eq!(FlushMode::parse("auto"), Some(FlushMode::default()));
        assert_eq!(FlushMode::parse("CONTINUOUS"), Some(FlushMode::Continuous));
        assert_eq!(FlushMode::parse("never"), None);
    }
}
