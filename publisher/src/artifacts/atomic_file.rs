//! Files that are either whole or not there: written aside, then renamed.

use std::{
    io::Write,
    path::{Path, PathBuf},
};
use tempfile::NamedTempFile;

/// A file that could not be written.
#[derive(Debug, thiserror::Error)]
#[error("cannot write {}", path.display())]
pub(crate) struct WriteError {
    path: PathBuf,
    source: std::io::Error,
}

/// A file in the making. Made before the work whose result it will hold, it proves that the folder can be
/// written to; dropped, it leaves nothing behind.
pub(crate) struct AtomicFile {
    file: NamedTempFile,
    path: PathBuf,
}

impl AtomicFile {
    /// Starts a file beside `path`.
    pub(crate) fn of(path: &Path) -> Result<Self, WriteError> {
        let error = |source| WriteError { path: path.to_owned(), source };
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let file = tempfile::Builder::new().prefix(".aside-").tempfile_in(folder).map_err(error)?;
        readable(&file).map_err(error)?;
        Ok(Self { file, path: path.to_owned() })
    }

    /// Puts the content in place of whatever was there.
    pub(crate) fn replace(mut self, content: &[u8]) -> Result<(), WriteError> {
        let written = self.file.write_all(content).and_then(|()| self.file.as_file().sync_all());
        let path = self.path;
        match written {
            Ok(()) => self.file.persist(&path).map(drop).map_err(|e| WriteError { path, source: e.error }),
            Err(source) => Err(WriteError { path, source }),
        }
    }
}

/// Temporary files are private; what lies in `dist/` is for everybody.
#[cfg(unix)]
fn readable(file: &NamedTempFile) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    file.as_file().set_permissions(std::fs::Permissions::from_mode(0o644))
}

#[cfg(not(unix))]
fn readable(_file: &NamedTempFile) -> std::io::Result<()> {
    Ok(())
}
