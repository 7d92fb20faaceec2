//! The reasons why Sentry's Relay could not be started or had to be ended.

use super::child;
use super::command::CommandError;
use std::process::ExitStatus;
use std::{fmt, io};

#[derive(Debug)]
pub(super) enum RelayFailure {
    /// Sentry's Relay cannot work with the settings.
    CommandError(CommandError),
    /// The process or its upstream, the door, could not be started.
    Start(io::Error),
    /// The file cannot be executed on this machine.
    NotExecutable,
    Ended(ExitStatus),
    NeverReady,
    Hangs,
    /// It answered an envelope with this status, which says that it does not take envelopes now.
    Refuses(u16),
    /// Sentry gave it no project config, so it could not filter.
    NoConfig,
    /// It used this many bytes of memory, which is more than allowed.
    Memory(usize),
    /// It was killed at SHUTDOWN, because it still had envelopes when the time was short.
    TooLate,
    /// The extension itself has a fault: a task panicked.
    Internal,
}

impl RelayFailure {
    pub(super) fn of(status: io::Result<ExitStatus>) -> Self {
        match status {
            Ok(status) if child::cannot_execute(status) => Self::NotExecutable,
            Ok(status) => Self::Ended(status),
            Err(error) => Self::Start(error),
        }
    }

    /// Whether another start would fail in the same way.
    pub(super) fn is_final(&self) -> bool {
        matches!(self, Self::CommandError(_) | Self::NotExecutable)
    }
}

impl fmt::Display for RelayFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CommandError(why) => why.fmt(f),
            Self::Start(error) => write!(f, "it cannot be started: {error}"),
            Self::NotExecutable => f.write_str("its file cannot be executed here"),
            Self::Ended(status) => f.write_str(&child::describe(*status)),
            Self::NeverReady => f.write_str("it was not ready in time"),
            Self::Hangs => f.write_str("it did not answer any more"),
            Self::Refuses(status) => write!(f, "it answered an envelope with {status}"),
            Self::NoConfig => f.write_str("it got no project config from Sentry"),
            Self::Memory(bytes) => write!(f, "it took {} MiB of memory", bytes >> 20),
            Self::TooLate => f.write_str("it still had envelopes when the time at SHUTDOWN was short"),
            Self::Internal => f.write_str("the extension's task for it panicked"),
        }
    }
}
