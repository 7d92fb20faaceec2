//! Reads a zip that `publisher build` did not make, for example the layer of an SDK.

use crate::{
    artifacts::{
        bundle::{MAX_UNPACKED, Zip},
        safe_zip::{self, UnsafeZip},
    },
    model::{digest::Digest, variant::Variant},
};
use std::{
    fs, io,
    path::{Path, PathBuf},
};

/// Why a zip cannot be published as a layer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OtherZipError {
    #[error("cannot read {}", path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("{} has {size} bytes; Lambda accepts at most {MAX_UNPACKED}, even unpacked", path.display())]
    TooLarge { path: PathBuf, size: u64 },
    #[error("{} cannot be a layer", path.display())]
    Contents { path: PathBuf, source: UnsafeZip },
}

/// Reads the zip and checks that Lambda can unpack it. What the files in it do is not checked.
pub(crate) fn open(path: &Path, variant: Variant, runtimes: Vec<String>) -> Result<Zip, OtherZipError> {
    let read = |source| OtherZipError::Read { path: path.to_owned(), source };
    let size = fs::metadata(path).map_err(read)?.len();
    if size > MAX_UNPACKED {
        return Err(OtherZipError::TooLarge { path: path.to_owned(), size });
    }
    let bytes = fs::read(path).map_err(read)?;
    safe_zip::check(&bytes).map_err(|source| OtherZipError::Contents { path: path.to_owned(), source })?;
    Ok(Zip { variant, digest: Digest::of(&bytes), relay: None, runtimes, bytes: bytes.into() })
}
