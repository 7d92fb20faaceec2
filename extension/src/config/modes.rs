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

/// What the user wants, as `SENTRY_EXTENSION_FLUSH` spells it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FlushMode {
    /// As `End` while invocations are rare, else as `Continuous`, with a bound on the age of what waits.
    #[default]
    Auto,
    /// After every invocation, until the function is done and all is delivered.
    End,
    /// Never: deliver while the function runs.
    Continuous,
}

impl FlushMode {
    /// The mode of that name.
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
