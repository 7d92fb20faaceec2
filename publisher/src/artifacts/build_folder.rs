//! A folder as `publisher build` leaves it, and what is different in another one.

use crate::artifacts::{
    build_manifest::{self, BuildManifest, BuildManifestError},
    bundle::SUMS,
};
use std::{
    collections::BTreeSet,
    fs, io,
    path::{Path, PathBuf},
};

/// A build on disk. Only its manifest has been read.
pub(crate) struct BuildFolder {
    pub(crate) path: PathBuf,
    pub(crate) manifest: BuildManifest,
}

impl BuildFolder {
    pub(crate) fn open(path: &Path) -> Result<Self, BuildManifestError> {
        Ok(Self { path: path.to_owned(), manifest: BuildManifest::open(path)? })
    }

    /// The names of the files whose bytes differ. A file that only one of the two has counts as different.
    pub(crate) fn differences(&self, other: &Self) -> Result<BTreeSet<String>, BuildManifestError> {
        let artifacts = self.manifest.artifacts.iter().chain(&other.manifest.artifacts);
        let mut names: BTreeSet<String> = artifacts.map(|artifact| artifact.file.clone()).collect();
        names.extend([build_manifest::FILE.to_owned(), SUMS.to_owned()]);
        let mut different = BTreeSet::new();
        for name in names {
            let ours = read(&self.path.join(&name))?;
            if ours.is_none() || ours != read(&other.path.join(&name))? {
                different.insert(name);
            }
        }
        Ok(different)
    }
}

/// The bytes of a file; none if there is no such file.
fn read(path: &Path) -> Result<Option<Vec<u8>>, BuildManifestError> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(BuildManifestError::Read { path: path.to_owned(), source }),
    }
}
