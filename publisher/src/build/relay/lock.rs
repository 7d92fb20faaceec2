//! `publisher/relay.lock`: the binaries of Sentry's Relay that somebody has reviewed, by version and architecture.

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

/// The path of the file, relative to the workspace.
pub(crate) const FILE: &str = "publisher/relay.lock";

/// The digest and the size of one binary.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Pin {
    /// The digest of the file as it is downloaded.
    pub(crate) sha256: Digest,
    /// The size in bytes. It gives a reviewer an idea of the file.
    pub(crate) size: u64,
}

impl Pin {
    /// The pin that these bytes satisfy.
    pub(crate) fn of(bytes: &[u8]) -> Self {
        Self { sha256: Digest::of(bytes), size: bytes.len() as u64 }
    }
}

pub(crate) struct Lock {
    path: PathBuf,
    pins: BTreeMap<String, BTreeMap<Arch, Pin>>,
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum LockError {
    #[error("cannot read {}", path.display())]
    Read { path: PathBuf, source: io::Error },
    /// The file was edited by hand, or a merge is not finished.
    #[error("{} does not hold pins", path.display())]
    Format {
        path: PathBuf,
        /// The place of the fault.
        source: serde_json::Error,
    },
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
    /// Reads the file. A missing file has no pins.
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
