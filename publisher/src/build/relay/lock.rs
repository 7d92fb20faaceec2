//! `publisher/relay.lock`: the Relay binaries that somebody has looked at, by version and architecture.

use crate::{
    artifacts::atomic_file::{AtomicFile, WriteError},
    failure::Failure,
    model::{arch::Arch, digest::Digest},
};
use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
};

/// Relative to the workspace.
pub(crate) const FILE: &str = "publisher/relay.lock";

/// One binary.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Pin {
    /// Of the file as it is downloaded.
    pub(crate) sha256: Digest,
    /// In bytes, so that a reviewer sees what it is about.
    pub(crate) size: u64,
}

impl Pin {
    /// The pin that these bytes satisfy.
    pub(crate) fn of(bytes: &[u8]) -> Self {
        Self { sha256: Digest::of(bytes), size: bytes.len() as u64 }
    }
}

/// The file.
pub(crate) struct Lock {
    path: PathBuf,
    pins: BTreeMap<String, BTreeMap<Arch, Pin>>,
}

/// It cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LockError {
    /// Not readable.
    #[error("cannot read {}", path.display())]
    Read {
        /// Where it is.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Edited by hand, or the middle of a merge.
    #[error("{} does not hold pins", path.display())]
    Format {
        /// Where it is.
        path: PathBuf,
        /// Where it goes wrong.
        source: serde_json::Error,
    },
    /// Not writable.
    #[error(transparent)]
    Write(#[from] WriteError),
}

impl From<LockError> for Failure {
    fn from(error: LockError) -> Self {
        match error {
            LockError::Format { .. } => Self::new(error).hint(format!("see: git diff {FILE}")),
            other => Self::new(other),
        }
    }
}

impl Lock {
    /// Reads it; one that is not there holds nothing.
    pub(crate) fn open(workspace: &Path) -> Result<Self, LockError> {
        let path = workspace.join(FILE);
        let pins = match fs::read(&path) {
            Ok(text) => serde_json::from_slice(&text)
                .map_err(|source| LockError::Format { path: path.clone(), source })?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => BTreeMap::new(),
            Err(source) => return Err(LockError::Read { path, source }),
        };
        Ok(Self { path, pins })
    }

    /// What is pinned.
    pub(crate) fn get(&self, version: &str, arch: Arch) -> Option<Pin> {
        self.pins.get(version)?.get(&arch).copied()
    }

    /// Adds pins and writes the file.
    pub(crate) fn add(&mut self, version: &str, pins: &BTreeMap<Arch, Pin>) -> Result<(), LockError> {
        self.pins.entry(version.to_owned()).or_default().extend(pins);
        let path = &self.path;
        let format = |source| LockError::Format { path: path.clone(), source };
        let text = serde_json::to_string_pretty(&self.pins).map_err(format)?;
        Ok(AtomicFile::of(path)?.replace(format!("{text}\n").as_bytes())?)
    }
}
