//! The output folder: every file is written aside and renamed, and its lists name what is really there.

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

/// The name of a zip.
pub(crate) fn zip_name(Variant { arch, kind }: Variant) -> String {
    let relay = match kind {
        LayerKind::Plain => "",
        LayerKind::Relay => "relay-",
    };
    format!("sentry-lambda-extension-{relay}{arch}.zip")
}

/// The output folder.
pub(crate) struct Dist {
    dir: PathBuf,
}

/// Something in the output folder cannot be made, written or removed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DistError {
    /// The folder itself.
    #[error("cannot make the folder {}", .path.display())]
    Folder {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file in it.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// A file of an earlier build.
    #[error("cannot remove {}", .path.display())]
    Remove {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

impl From<DistError> for Failure {
    fn from(error: DistError) -> Self {
        Self::new(error).hint("choose a folder that can be written to: --out DIR")
    }
}

impl Dist {
    /// Makes the folder, and makes sure now that it can be written to: compiling takes minutes.
    pub(crate) fn open(dir: &Path) -> Result<Self, DistError> {
        fs::create_dir_all(dir).map_err(|source| DistError::Folder { path: dir.to_owned(), source })?;
        drop(AtomicFile::of(&dir.join(build_manifest::FILE))?);
        Ok(Self { dir: dir.to_owned() })
    }

    /// The manifest of an earlier build, if there is one that can be read.
    pub(crate) fn previous(&self) -> Option<BuildManifest> {
        BuildManifest::open(&self.dir).ok()
    }

    /// The hash of a file as it is now.
    pub(crate) fn hash(&self, name: &str) -> Option<String> {
        fs::read(self.dir.join(name)).ok().map(|bytes| Digest::of(&bytes).to_string())
    }

    /// Writes all or nothing of one file.
    pub(crate) fn write(&self, name: &str, bytes: &[u8]) -> Result<(), DistError> {
        Ok(AtomicFile::of(&self.dir.join(name))?.replace(bytes)?)
    }

    /// Removes a file; whether it was there.
    pub(crate) fn remove(&self, name: &str) -> Result<bool, DistError> {
        let path = self.dir.join(name);
        match fs::remove_file(&path) {
            Ok(()) => Ok(true),
            Err(source) if source.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(source) => Err(DistError::Remove { path, source }),
        }
    }
}

/// The artifacts of `previous` that may stand beside those of `new`: of other architectures, or with Relay where
/// `new` is without, made from exactly the same commit by exactly the same tools, and unchanged since (`hash` tells).
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
    // One release has one extension for an architecture and one version of Relay.
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
    let line = |artifact: &Artifact| [&artifact.sha256, "  ", &artifact.file, "\n"].concat();
    artifacts.iter().map(line).collect()
}

#[cfg(test)]
#[path = "dist_tests.rs"]
mod tests;
