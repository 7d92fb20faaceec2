//! The architectures that one layer version is for.

use crate::model::arch::Arch;
use serde::{Deserialize, Serialize};
use std::fmt;

/// The architectures of a layer version. The extension's layers are for one of the two, because they hold a binary.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub(crate) enum LayerArch {
    #[serde(rename = "arm64")]
    Arm64,
    #[serde(rename = "x86_64")]
    X86_64,
    /// The same zip is for both, for example because it holds scripts only.
    #[serde(rename = "both")]
    Both,
}

impl LayerArch {
    /// The architectures, as Lambda lists them in `CompatibleArchitectures`.
    pub(crate) fn arches(self) -> &'static [Arch] {
        match self {
            Self::Arm64 => &[Arch::Arm64],
            Self::X86_64 => &[Arch::X86_64],
            Self::Both => &Arch::ALL,
        }
    }

    /// Whether functions of this architecture can use the layer.
    pub(crate) fn includes(self, arch: Arch) -> bool {
        self.arches().contains(&arch)
    }

    /// The architecture, unless the layer is for both.
    pub(crate) fn single(self) -> Option<Arch> {
        match self {
            Self::Arm64 => Some(Arch::Arm64),
            Self::X86_64 => Some(Arch::X86_64),
            Self::Both => None,
        }
    }

    /// The name in `layers.json`, in tables and in events.
    pub(crate) fn name(self) -> &'static str {
        self.single().map_or("both", Arch::name)
    }
}

impl From<Arch> for LayerArch {
    fn from(arch: Arch) -> Self {
        match arch {
            Arch::Arm64 => Self::Arm64,
            Arch::X86_64 => Self::X86_64,
        }
    }
}

impl fmt::Display for LayerArch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}
