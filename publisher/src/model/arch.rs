//! The two architectures that Lambda runs, and what each is called by whom.

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

/// An architecture of a Lambda function, spelt as Lambda spells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, ValueEnum, Serialize, Deserialize)]
pub(crate) enum Arch {
    /// AWS Graviton; `aarch64` to everyone else.
    #[value(name = "arm64", alias = "aarch64")]
    #[serde(rename = "arm64")]
    Arm64,
    /// Intel and AMD.
    #[value(name = "x86_64", alias = "amd64")]
    #[serde(rename = "x86_64")]
    X86_64,
}

impl Arch {
    /// Both, in the order in which they are built and listed.
    pub(crate) const ALL: [Self; 2] = [Self::Arm64, Self::X86_64];

    /// Lambda's name: in ARNs, file names and `CompatibleArchitectures`.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Arm64 => "arm64",
            Self::X86_64 => "x86_64",
        }
    }

    /// Rust's target triple of the static musl build.
    pub(crate) fn target(self) -> &'static str {
        match self {
            Self::Arm64 => "aarch64-unknown-linux-musl",
            Self::X86_64 => "x86_64-unknown-linux-musl",
        }
    }
}

impl std::fmt::Display for Arch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.name())
    }
}
