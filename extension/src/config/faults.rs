//! Which faults of the function are reported, as `SENTRY_EXTENSION_FAULTS` spells them.

/// A kind of fault that ends an invocation or an init from outside the function's code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum FaultKind {
    /// The invocation took longer than the function's time-out.
    Timeout,
    /// The function needed more memory than it has.
    OutOfMemory,
    /// The runtime's process ended in the midst of an invocation.
    RuntimeExit,
    /// The function could not be loaded.
    InitError,
    /// Lambda's own sandbox failed.
    SandboxFailure,
}

impl FaultKind {
    /// All kinds.
    pub const ALL: [Self; 5] =
        [Self::Timeout, Self::OutOfMemory, Self::RuntimeExit, Self::InitError, Self::SandboxFailure];

    /// Its name in the setting, in tags and in fingerprints.
    pub fn name(self) -> &'static str {
        match self {
            Self::Timeout => "timeout",
            Self::OutOfMemory => "oom",
            Self::RuntimeExit => "exit",
            Self::InitError => "init",
            Self::SandboxFailure => "sandbox",
        }
    }
}

/// A set of kinds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FaultKinds(u8);

impl FaultKinds {
    /// Nothing is reported.
    pub const NONE: Self = Self(0);
    /// Everything is.
    pub const ALL: Self = Self((1 << FaultKind::ALL.len()) - 1);

    /// Reads `true`, `false` or names separated by commas. The second value holds the entries that are none. A text
    /// without entries is one such entry.
    pub fn parse(text: &str) -> (Self, Vec<&str>) {
        let mut unknown = Vec::new();
        let mut kinds = 0;
        if text.split(',').all(|entry| entry.trim().is_empty()) {
            unknown.push(text);
        }
        for entry in text.split(',').map(str::trim).filter(|entry| !entry.is_empty()) {
            match entry.to_ascii_lowercase().as_str() {
                "true" | "1" | "on" | "yes" | "all" => kinds |= Self::ALL.0,
                "false" | "0" | "off" | "no" | "none" => {}
                name => match FaultKind::ALL.into_iter().find(|kind| kind.name() == name) {
                    Some(kind) => kinds |= 1 << kind as u8,
                    None => unknown.push(entry),
                },
            }
        }
        (Self(kinds), unknown)
    }

    /// Whether a kind is in it.
    pub fn contains(self, kind: FaultKind) -> bool {
        self.0 & (1 << kind as u8) != 0
    }

    /// Whether nothing is in it.
    pub fn is_empty(self) -> bool {
        self == Self::NONE
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_none_or_some() {
        assert_eq!(FaultKinds::parse("true"), (FaultKinds::ALL, vec![]));
        assert_eq!(FaultKinds::parse(" False "), (FaultKinds::NONE, vec![]));
        let (some, unknown) = FaultKinds::parse("timeout, OOM,,crash");
        assert_eq!(unknown, ["crash"]);
        let contained: Vec<_> = FaultKind::ALL.into_iter().filter(|kind| some.contains(*kind)).collect();
        assert_eq!(contained, [FaultKind::Timeout, FaultKind::OutOfMemory]);
        assert!(FaultKind::ALL.into_iter().all(|kind| FaultKinds::ALL.contains(kind)));
        assert!(FaultKinds::NONE.is_empty() && !some.is_empty());
        // Only who says so gets no faults.
        for blank in ["", " ", ",", " , ,"] {
            assert_eq!(FaultKinds::parse(blank), (FaultKinds::NONE, vec![blank]));
        }
    }
}
