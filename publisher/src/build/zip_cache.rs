//! Keeps the zips of earlier builds, because good compression takes seconds and the same input gives the same bytes.
//!
//! The key covers everything that determines the bytes of a zip: the content, and the packer itself by its source and
//! by the versions of the libraries that it uses.

use crate::{
    artifacts::atomic_file::{AtomicFile, WriteError},
    build::workspace::Workspace,
    failure,
    model::digest::Digest,
    ui::Ui,
};
use std::{
    fs, io,
    path::{Path, PathBuf},
    time::SystemTime,
};

const PACKER: [&[u8]; 4] = [
    include_bytes!("layer_zip.rs"),
    include_bytes!("zopfli_entry.rs"),
    include_bytes!("../model/layer_layout.rs"),
    include_bytes!("../../../Cargo.lock"),
];
/// Both architectures, with and without Relay, of this build and of the one before.
const MAX_ZIPS: usize = 8;
const DIGEST_LENGTH: usize = 64;

pub(crate) struct ZipCache {
    dir: PathBuf,
}

/// A zip could not be stored in the cache.
#[derive(Debug, thiserror::Error)]
enum KeepError {
    #[error("cannot use the folder {}", .0.display())]
    Folder(PathBuf, #[source] io::Error),
    #[error(transparent)]
    Write(#[from] WriteError),
}

impl ZipCache {
    /// The cache in the workspace's target folder.
    pub(crate) fn of(workspace: &Workspace) -> Self {
        Self { dir: workspace.target_dir.join("layer-zips") }
    }

    /// Returns the zip for this input: that of an earlier build, or the result of `make`, which is kept for the next
    /// build.
    pub(crate) fn zip<E>(
        &self,
        input: &[&[u8]],
        ui: &Ui,
        make: impl FnOnce() -> Result<Vec<u8>, E>,
    ) -> Result<Vec<u8>, E> {
        let path = self.dir.join(key(input));
        if let Some(zip) = load(&path) {
            return Ok(zip);
        }
        let zip = make()?;
        if let Err(error) = self.keep(&path, &zip) {
            ui.warning(format_args!("the next build has to pack the zip again: {}", failure::chain(&error)));
        }
        Ok(zip)
    }

    fn keep(&self, path: &Path, zip: &[u8]) -> Result<(), KeepError> {
        let folder = |source| KeepError::Folder(self.dir.clone(), source);
        fs::create_dir_all(&self.dir).map_err(folder)?;
        AtomicFile::of(path)?.replace(&[Digest::of(zip).to_string().as_bytes(), zip].concat())?;
        let mut kept: Vec<(SystemTime, PathBuf)> = Vec::new();
        for entry in fs::read_dir(&self.dir).map_err(folder)? {
            let entry = entry.map_err(folder)?;
            kept.push((entry.metadata().and_then(|about| about.modified()).map_err(folder)?, entry.path()));
        }
        kept.sort_unstable();
        kept.iter().rev().skip(MAX_ZIPS).try_for_each(|(_, old)| fs::remove_file(old)).map_err(folder)
    }
}

/// Hashes each part together with its length, so that no two lists of parts have the same key.
fn key(input: &[&[u8]]) -> String {
    let digests: Vec<String> =
        PACKER.iter().chain(input).map(|part| format!("{} {}\n", Digest::of(part), part.len())).collect();
    Digest::of(digests.concat().as_bytes()).to_string()
}

/// Reads a kept zip, if it exists and is complete.
fn load(path: &Path) -> Option<Vec<u8>> {
    let kept = fs::read(path).ok()?;
    let (digest, zip) = kept.split_at_checked(DIGEST_LENGTH)?;
    (Digest::of(zip).to_string().as_bytes() == digest).then(|| zip.to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::convert::Infallible;

    /// Asks the cache for a zip that would be packed to `content`. Returns the zip, and whether it was packed for
    /// that.
    fn cached_zip(cache: &ZipCache, input: &[&[u8]], content: &str) -> (String, bool) {
        let mut packed = false;
        let zip = cache.zip(input, &Ui::new(true), || {
            packed = true;
            Ok::<_, Infallible>(content.as_bytes().to_vec())
        });
        (String::from_utf8(zip.unwrap()).unwrap(), packed)
    }

    #[test]
    fn the_same_input_is_packed_once() {
        let dir = tempfile::TempDir::new().unwrap();
        let cache = ZipCache { dir: dir.path().join("zips") };
        assert_eq!(cached_zip(&cache, &[b"a", b"bc"], "first"), ("first".to_owned(), true));
        assert_eq!(cached_zip(&cache, &[b"a", b"bc"], "second"), ("first".to_owned(), false));
        assert_eq!(cached_zip(&cache, &[b"ab", b"c"], "third"), ("third".to_owned(), true));
    }

    #[test]
    fn a_damaged_zip_is_packed_again() {
        let dir = tempfile::TempDir::new().unwrap();
        let cache = ZipCache { dir: dir.path().to_owned() };
        for damage in [&b""[..], b"short", &[b'0'; DIGEST_LENGTH + 3]] {
            cached_zip(&cache, &[b"a"], "whole");
            fs::write(dir.path().join(key(&[b"a"])), damage).unwrap();
            assert_eq!(cached_zip(&cache, &[b"a"], "whole"), ("whole".to_owned(), true));
        }
    }

    #[test]
    fn the_oldest_zips_are_removed() {
        let dir = tempfile::TempDir::new().unwrap();
        let cache = ZipCache { dir: dir.path().to_owned() };
        let inputs = (0..MAX_ZIPS + 4).map(|number| number.to_string());
        for input in inputs {
            cached_zip(&cache, &[input.as_bytes()], "zip");
        }
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), MAX_ZIPS);
        assert!(!cached_zip(&cache, &[(MAX_ZIPS + 3).to_string().as_bytes()], "zip").1, "the newest is kept");
    }
}
