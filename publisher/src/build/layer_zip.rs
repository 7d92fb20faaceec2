//! The layer zip: the same binary gives the same bytes, always.

use crate::model::layer_layout::{EXTENSION, WRAPPER};
use std::io::{Cursor, Write};
use zip::{CompressionMethod, DateTime, ZipWriter, write::SimpleFileOptions};

/// A file of the layer.
pub(crate) struct ZipEntry<'a> {
    /// Its path below `/opt`.
    pub(crate) name: &'a str,
    /// What is there.
    pub(crate) kind: EntryContent<'a>,
}

/// What an entry is.
pub(crate) enum EntryContent<'a> {
    /// A file.
    File {
        /// Its permissions, for everybody: extensions do not run as the user who unpacked them.
        mode: u32,
        /// Its bytes.
        content: &'a [u8],
    },
    /// A symbolic link to this path, as seen from its own folder.
    Link(&'a str),
}

impl<'a> ZipEntry<'a> {
    /// A file.
    pub(crate) fn file(name: &'a str, mode: u32, content: &'a [u8]) -> Self {
        Self { name, kind: EntryContent::File { mode, content } }
    }

    /// The extension itself.
    pub(crate) fn extension(binary: &'a [u8]) -> Self {
        Self::file(EXTENSION, 0o755, binary)
    }

    /// The wrapper.
    pub(crate) fn wrapper() -> Self {
        Self { name: WRAPPER, kind: EntryContent::Link(EXTENSION) }
    }

    /// What it takes unpacked.
    pub(crate) fn size(&self) -> u64 {
        match self.kind {
            EntryContent::File { content, .. } => content.len() as u64,
            EntryContent::Link(target) => target.len() as u64,
        }
    }
}

/// Why there is no zip.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ZipError {
    /// The writer gave up: too large for a zip, out of memory.
    #[error("cannot assemble the zip")]
    Zip(#[from] zip::result::ZipError),
    /// The same, from its stream.
    #[error("cannot assemble the zip")]
    Io(#[from] std::io::Error),
    /// `SOURCE_DATE_EPOCH` is not what the specification says.
    #[error("SOURCE_DATE_EPOCH={0:?} is not a number of seconds between 1980 and 2107")]
    SourceDateEpoch(String),
}

/// Packs the extension's binary with its second name, and nothing else.
pub(crate) fn assemble(binary: &[u8], mtime: DateTime) -> Result<Vec<u8>, ZipError> {
    assemble_all(&[ZipEntry::extension(binary), ZipEntry::wrapper()], mtime)
}

/// Packs files in the order given. All entries bear the time `mtime`.
pub(crate) fn assemble_all(entries: &[ZipEntry<'_>], mtime: DateTime) -> Result<Vec<u8>, ZipError> {
    let options = SimpleFileOptions::default()
        .compression_method(CompressionMethod::Deflated)
        .last_modified_time(mtime);
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    for entry in entries {
        match entry.kind {
            EntryContent::File { mode, content } => {
                let options = options.compression_level(Some(effort(content)));
                zip.start_file(entry.name, options.unix_permissions(mode))?;
                zip.write_all(content)?;
            }
            EntryContent::Link(target) => {
                zip.add_symlink(entry.name, target, options.unix_permissions(0o777))?;
            }
        }
    }
    Ok(zip.finish()?.into_inner())
}

/// Deflate's best, or rounds of Zopfli above it: 2 % smaller, in seconds for the extension. For Sentry's own Relay it
/// would be minutes.
fn effort(content: &[u8]) -> i64 {
    const BEST: i64 = 9;
    const ROUNDS: i64 = 5;
    const LARGEST: usize = 8 << 20;
    if content.len() <= LARGEST { BEST + ROUNDS } else { BEST }
}

/// The time that entries bear: that of `SOURCE_DATE_EPOCH` where it is set, else the oldest that zip knows.
pub(crate) fn mtime(source_date_epoch: Option<&str>) -> Result<DateTime, ZipError> {
    let Some(text) = source_date_epoch.filter(|text| !text.is_empty()) else {
        return Ok(DateTime::default());
    };
    let parse = || {
        let time = time::OffsetDateTime::from_unix_timestamp(text.parse().ok()?).ok()?;
        let year = u16::try_from(time.year()).ok()?;
        DateTime::from_date_and_time(
            year,
            time.month().into(),
            time.day(),
            time.hour(),
            time.minute(),
            time.second(),
        )
        .ok()
    };
    parse().ok_or_else(|| ZipError::SourceDateEpoch(text.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;

    fn default_zip() -> Vec<u8> {
        assemble(b"binary", mtime(None).unwrap()).unwrap()
    }

    #[test]
    fn holds_one_executable_a_link_to_it_and_nothing_else() {
        let mut zip = zip::ZipArchive::new(Cursor::new(default_zip())).unwrap();
        assert_eq!(zip.len(), 2);
        let mut entry = zip.by_index(0).unwrap();
        assert_eq!(entry.name().unwrap(), EXTENSION);
        assert_eq!(entry.unix_mode(), Some(0o100_755));
        assert_eq!(entry.compression(), CompressionMethod::Deflated);
        assert_eq!(entry.last_modified().unwrap().to_string(), "1980-01-01 00:00:00");
        let mut content = String::new();
        entry.read_to_string(&mut content).unwrap();
        assert_eq!(content, "binary");
        drop(entry);
        let mut link = zip.by_index(1).unwrap();
        assert_eq!(link.name().unwrap(), "sentry-exec-wrapper");
        assert_eq!(link.unix_mode(), Some(0o120_777));
        assert_eq!(link.last_modified().unwrap().to_string(), "1980-01-01 00:00:00");
        let mut target = String::new();
        link.read_to_string(&mut target).unwrap();
        assert_eq!(target, "extensions/sentry-lambda-extension");
    }

    #[test]
    fn bytes_depend_on_the_binary_alone() {
        assert_eq!(default_zip(), default_zip());
        assert_ne!(default_zip(), assemble(b"other", mtime(None).unwrap()).unwrap());
    }

    #[test]
    fn source_date_epoch_is_the_time_of_the_entry() {
        assert_eq!(mtime(Some("1700000000")).unwrap().to_string(), "2023-11-14 22:13:20");
        assert_eq!(mtime(Some("")).unwrap(), DateTime::default());
    }

    #[test]
    fn a_wrong_source_date_epoch_is_named() {
        for text in ["yesterday", "-1", "0", "99999999999999"] {
            assert!(mtime(Some(text)).unwrap_err().to_string().contains(text), "{text}");
        }
    }
}
