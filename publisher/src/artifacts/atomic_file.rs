//! Writes a file completely or not at all: the content goes to a temporary file, which then replaces the target.

use std::{
    io::Write,
    path::{Path, PathBuf},
};
use tempfile::NamedTempFile;

#[derive(Debug, thiserror::Error)]
#[error("cannot write {}", path.display())]
pub(crate) struct WriteError {
    path: PathBuf,
    source: std::io::Error,
}

/// A temporary file that will replace the file at `path`. A caller creates it before a long task to be sure that the
/// folder can be written to. If it is dropped without `replace`, nothing stays behind.
pub(crate) struct AtomicFile {
    file: NamedTempFile,
    path: PathBuf,
}

impl AtomicFile {
    /// Creates the temporary file in the folder of `path`.
    pub(crate) fn of(path: &Path) -> Result<Self, WriteError> {
        let error = |source| WriteError { path: path.to_owned(), source };
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let file = tempfile::Builder::new().prefix(".aside-").tempfile_in(folder).map_err(error)?;
        make_readable_for_all(&file).map_err(error)?;
        Ok(Self { file, path: path.to_owned() })
    }

    /// Writes the content, syncs it to disk and replaces the file at `path`.
    pub(crate) fn replace(mut self, content: &[u8]) -> Result<(), WriteError> {
        let written = self.file.write_all(content).and_then(|()| self.file.as_file().sync_all());
        let path = self.path;
        match written {
            Ok(()) => self.file.persist(&path).map(drop).map_err(|e| WriteError { path, source: e.error }),
            Err(source) => Err(WriteError { path, source }),
        }
    }
}

/// Temporary files are private to their owner, but everybody may read the files in `dist/`.
#[cfg(unix)]
fn make_readable_for_all(file: &NamedTempFile) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    file.as_file().set_permissions(std::fs::Permissions::from_mode(0o644))
}

#[cfg(not(unix))]
fn make_readable_for_all(_file: &NamedTempFile) -> std::io::Result<()> {
    Ok(())
}
