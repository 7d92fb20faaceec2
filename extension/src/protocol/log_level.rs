//! The levels of Sentry's structured logs.

/// The level of a log, from low to high.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum LogLevel {
    /// Every step.
    Trace,
    /// For whoever looks for a defect.
    Debug,
    /// What goes as it should.
    Info,
    /// What may become a problem.
    Warn,
    /// What has failed.
    Error,
    /// What ends the program.
    Fatal,
}

impl LogLevel {
    /// Returns the level of that name in any case, as Sentry and the loggers of all runtimes spell it.
    pub fn parse(name: &str) -> Option<Self> {
        let is_one_of = |names: &[&str]| names.iter().any(|known| name.eq_ignore_ascii_case(known));
        if is_one_of(&["info", "information", "notice"]) {
            Some(Self::Info)
        } else if is_one_of(&["error", "err", "fail"]) {
            Some(Self::Error)
        } else if is_one_of(&["warn", "warning"]) {
            Some(Self::Warn)
        } else if is_one_of(&["debug", "dbug"]) {
            Some(Self::Debug)
        } else if is_one_of(&["trace", "trce", "verbose"]) {
            Some(Self::Trace)
        } else if is_one_of(&["fatal", "critical", "crit", "alert", "emergency", "panic"]) {
            Some(Self::Fatal)
        } else {
            None
        }
    }

    /// The level's name in Sentry.
    pub fn name(self) -> &'static str {
        match self {
            Self::Trace => "trace",
            Self::Debug => "debug",
            Self::Info => "info",
            Self::Warn => "warn",
            Self::Error => "error",
            Self::Fatal => "fatal",
        }
    }

    /// OpenTelemetry's number for the level.
    pub fn severity_number(self) -> u8 {
        match self {
            Self::Trace => 1,
            Self::Debug => 5,
            Self::Info => 9,
            Self::Warn => 13,
            Self::Error => 17,
            Self::Fatal => 21,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_all_loggers() {
        for (name, level) in [
            ("TRACE", LogLevel::Trace),
            ("verbose", LogLevel::Trace),
            ("Debug", LogLevel::Debug),
            ("info", LogLevel::Info),
            ("Information", LogLevel::Info),
            ("NOTICE", LogLevel::Info),
            ("WARN", LogLevel::Warn),
            ("warning", LogLevel::Warn),
            ("ERR", LogLevel::Error),
            ("error", LogLevel::Error),
            ("CRITICAL", LogLevel::Fatal),
            ("fatal", LogLevel::Fatal),
        ] {
            assert_eq!(LogLevel::parse(name), Some(level), "{name}");
            assert_eq!(LogLevel::parse(level.name()), Some(level));
        }
        for name in ["", "no", "errors", "informational", "log"] {
            assert_eq!(LogLevel::parse(name), None, "{name}");
        }
    }
}
