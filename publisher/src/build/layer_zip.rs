//! Assembles the layer zip. The same content always gives the same bytes.

use crate::{
    build::zopfli_entry,
    model::layer_layout::{EXTENSION, WRAPPER},
};
use std::io::{Cursor, Write};
use zip::{CompressionMethod, DateTime, ZipArchive, ZipWriter, write::SimpleFileOptions};

/// One entry of the layer zip.
pub(crate) struct ZipEntry<'a> {
    /// The path below `/opt`.
    pub(crate) name: &'a str,
    pub(crate) kind: EntryContent<'a>,
}

pub(crate) enum EntryContent<'a> {
    File {
        /// The permissions. They have to allow everybody, because extensions do not run as the user who unpacked
        /// them.
        mode: u32,
        content: &'a [u8],
    },
    /// A symbolic link to this path, relative to the link's own folder.
    Link(&'a str),
}

impl<'a> ZipEntry<'a> {
    pub(crate) fn file(name: &'a str, mode: u32, content: &'a [u8]) -> Self {
        Self { name, kind: EntryContent::File { mode, content } }
    }

    pub(crate) fn extension(binary: &'a [u8]) -> Self {
        Self::file(EXTENSION, 0o755, binary)
    }

    pub(crate) fn wrapper() -> Self {
        Self { name: WRAPPER, kind: EntryContent::Link(EXTENSION) }
    }

    /// The unpacked size in bytes.
    pub(crate) fn size(&self) -> u64 {
        match self.kind {
            EntryContent::File { content, .. } => content.len() as u64,
            EntryContent::Link(target) => target.len() as u64,
        }
    }
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum ZipError {
    /// The writer failed: the zip is too large, for example, or memory ran out.
    #[error("cannot assemble the zip")]
    Zip(#[from] zip::result::ZipError),
    /// The stream below the writer failed.
    #[error("cannot assemble the zip")]
    Io(#[from] std::io::Error),
    /// `SOURCE_DATE_EPOCH` does not follow its specification.
    #[error("SOURCE_DATE_EPOCH={0:?} is not a number of seconds between 1980 and 2107")]
    SourceDateEpoch(String),
}

/// Zopfli makes the zip 2 % smaller. It takes seconds for the extension, but it would take minutes for Sentry's own
/// Relay, which gets the best level of deflate.
const MAX_ZOPFLI_SIZE: usize = 8 << 20;
const BEST_DEFLATE: i64 = 9;

/// Packs entries in the given order. All of them get the time `mtime`.
pub(crate) fn assemble(entries: &[ZipEntry<'_>], mtime: DateTime) -> Result<Vec<u8>, ZipError> {
    let options = SimpleFileOptions::default()
        .compression_method(CompressionMethod::Deflated)
        .last_modified_time(mtime);
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    for entry in entries {
        match entry.kind {
            EntryContent::File { mode, content } if content.len() <= MAX_ZOPFLI_SIZE => {
                let mut archive = ZipArchive::new(Cursor::new(zopfli_entry::archive(entry.name, content)?))?;
                zip.raw_copy_file_touch(archive.by_index_raw(0)?, mtime, Some(mode))?;
            }
            EntryContent::File { mode, content } => {
                let options = options.compression_level(Some(BEST_DEFLATE));
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

/// The time of all entries: that of `SOURCE_DATE_EPOCH` if it is set, else the oldest that zip can express.
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
        pack(b"binary")
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

    fn pack(binary: &[u8]) -> Vec<u8> {
        assemble(&[ZipEntry::extension(binary), ZipEntry::wrapper()], mtime(None).unwrap()).unwrap()
    }

    #[test]
    fn bytes_depend_on_the_binary_alone() {
        assert_eq!(default_zip(), default_zip());
        assert_ne!(default_zip(), pack(b"other"));
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
