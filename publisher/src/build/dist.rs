//! The output folder. Each file is written under a temporary name and renamed, and the lists name the files that are
//! really there.

use crate::{
    artifacts::{
        atomic_file::{AtomicFile, WriteError},
        build_manifest::{self, Artifact, BuildManifest},
    },
    failure::Failure,
    model::{
        digest::Digest,
        variant::{LayerKind, Variant},
    },
};
use std::{
    fs, io,
    path::{Path, PathBuf},
};

/// The file name of a layer zip.
pub(crate) fn zip_name(Variant { arch, kind }: Variant) -> String {
    let relay = match kind {
        LayerKind::Plain => "",
        LayerKind::Relay => "relay-",
    };
    format!("sentry-lambda-extension-{relay}{arch}.zip")
}

pub(crate) struct Dist {
    dir: PathBuf,
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum DistError {
    #[error("cannot create the folder {}", .path.display())]
    Folder { path: PathBuf, source: io::Error },
    #[error(transparent)]
    Write(#[from] WriteError),
    #[error("cannot remove {}", .path.display())]
    Remove { path: PathBuf, source: io::Error },
}

impl From<DistError> for Failure {
    fn from(error: DistError) -> Self {
        Self::new(error).hint("choose a writable folder: --out DIR")
    }
}

impl Dist {
    /// Creates the folder and checks that it can be written to. The check comes before compiling, which takes
    /// minutes.
    pub(crate) fn open(dir: &Path) -> Result<Self, DistError> {
        fs::create_dir_all(dir).map_err(|source| DistError::Folder { path: dir.to_owned(), source })?;
        drop(AtomicFile::of(&dir.join(build_manifest::FILE))?);
        Ok(Self { dir: dir.to_owned() })
    }

    /// The manifest of an earlier build, if there is a readable one.
    pub(crate) fn previous(&self) -> Option<BuildManifest> {
        BuildManifest::open(&self.dir).ok()
    }

    /// The current sha256 of a file in hex, or `None` if the file cannot be read.
    pub(crate) fn hash(&self, name: &str) -> Option<String> {
        fs::read(self.dir.join(name)).ok().map(|bytes| Digest::of(&bytes).to_string())
    }

    /// Writes a file completely or not at all.
    pub(crate) fn write(&self, name: &str, bytes: &[u8]) -> Result<(), DistError> {
        Ok(AtomicFile::of(&self.dir.join(name))?.replace(bytes)?)
    }

    /// Removes a file and returns whether it existed.
    pub(crate) fn remove(&self, name: &str) -> Result<bool, DistError> {
        let path = self.dir.join(name);
        match fs::remove_file(&path) {
            Ok(()) => Ok(true),
            Err(source) if source.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(source) => Err(DistError::Remove { path, source }),
        }
    }
}

/// Returns the artifacts of `previous` that may stay beside those of `new`: they are of another architecture, or
/// contain Relay where `new` does not; they were made from exactly the same commit with exactly the same tools; and
/// their files are unchanged, as `hash` tells.
pub(crate) fn kept(
    previous: &BuildManifest,
    new: &BuildManifest,
    exact_commit: bool,
    hash: impl Fn(&str) -> Option<String>,
) -> Vec<Artifact> {
    let same = exact_commit
        && previous.schema == new.schema
        && previous.version == new.version
        && previous.commit == new.commit
        && previous.toolchain == new.toolchain;
    let is_new = |old: &Artifact| new.artifacts.iter().any(|artifact| artifact.variant() == old.variant());
    // A release has one extension binary for each architecture, and one version of Relay.
    let fits = |old: &Artifact| {
        new.artifacts.iter().all(|artifact| {
            let relay = match (&artifact.relay, &old.relay) {
                (Some(new), Some(old)) => new.version == old.version,
                _ => true,
            };
            relay && (artifact.arch != old.arch || artifact.binary_sha256 == old.binary_sha256)
        })
    };
    let intact =
        |old: &Artifact| old.file == zip_name(old.variant()) && hash(&old.file).as_ref() == Some(&old.sha256);
    let others = previous.artifacts.iter().filter(|old| same && !is_new(old) && fits(old) && intact(old));
    others.cloned().collect()
}

/// The content of `SHA256SUMS`.
pub(crate) fn sums(artifacts: &[Artifact]) -> String {
    let lines = artifacts.iter().map(|artifact| [&artifact.sha256, "  ", &artifact.file, "\n"].concat());
    lines.collect()
}

#[cfg(test)]
#[path = "dist_tests.rs"]
mod tests;
