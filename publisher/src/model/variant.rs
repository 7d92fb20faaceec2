//! The layers of a release: one for each architecture with the extension alone and, if it was built, one with
//! Sentry's own Relay as well.

use crate::model::{arch::Arch, layer_arch::LayerArch};
use clap::ValueEnum;
use serde::{Deserialize, Serialize};
use std::fmt;

/// What a layer contains.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum LayerKind {
    /// The extension alone
    Plain,
    /// The extension and Sentry's own Relay
    Relay,
}

impl LayerKind {
    /// Both kinds, in the order in which they are built and listed.
    pub(crate) const ALL: [Self; 2] = [Self::Plain, Self::Relay];
}

/// Identifies one layer of a release. In JSON it is two fields, `arch` and `kind`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub(crate) struct Variant {
    pub(crate) arch: LayerArch,
    pub(crate) kind: LayerKind,
}

impl Variant {
    pub(crate) fn new(arch: impl Into<LayerArch>, kind: LayerKind) -> Self {
        Self { arch: arch.into(), kind }
    }

    /// All possible variants, in the order in which they are built and listed.
    pub(crate) fn all() -> impl Iterator<Item = Self> {
        Arch::ALL.into_iter().flat_map(|arch| LayerKind::ALL.map(|kind| Self::new(arch, kind)))
    }
}

impl fmt::Display for Variant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind {
            LayerKind::Plain => f.pad(self.arch.name()),
            LayerKind::Relay => f.pad(&format!("{} with Relay", self.arch)),
        }
    }
}
