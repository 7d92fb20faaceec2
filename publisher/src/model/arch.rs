//! The two architectures that Lambda runs, with Lambda's name and the Rust target of each.

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

/// An architecture of a Lambda function. Its serialized form is Lambda's own spelling.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, ValueEnum, Serialize, Deserialize)]
pub(crate) enum Arch {
    /// AWS Graviton, which other tools call `aarch64`.
    #[value(name = "arm64", alias = "aarch64")]
    #[serde(rename = "arm64")]
    Arm64,
    /// Intel and AMD.
    #[value(name = "x86_64", alias = "amd64")]
    #[serde(rename = "x86_64")]
    X86_64,
}

impl Arch {
    /// Both architectures, in the order in which they are built and listed.
    pub(crate) const ALL: [Self; 2] = [Self::Arm64, Self::X86_64];

    /// Lambda's name for the architecture, as it appears in ARNs, file names and `CompatibleArchitectures`.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Arm64 => "arm64",
            Self::X86_64 => "x86_64",
        }
    }

    /// The Rust target triple of the static musl build.
    pub(crate) fn target(self) -> &'static str {
        match self {
            Self::Arm64 => "aarch64-unknown-linux-musl",
            Self::X86_64 => "x86_64-unknown-linux-musl",
        }
    }

    /// The Rust target triple with glibc, for which Sentry's Relay is built.
    pub(crate) fn glibc_target(self) -> &'static str {
        match self {
            Self::Arm64 => "aarch64-unknown-linux-gnu",
            Self::X86_64 => "x86_64-unknown-linux-gnu",
        }
    }

    /// Whether this machine runs programs for the architecture.
    pub(crate) fn is_native(self) -> bool {
        match self {
            Self::Arm64 => cfg!(all(target_os = "linux", target_arch = "aarch64")),
            Self::X86_64 => cfg!(all(target_os = "linux", target_arch = "x86_64")),
        }
    }
}

impl std::fmt::Display for Arch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.name())
    }
}
