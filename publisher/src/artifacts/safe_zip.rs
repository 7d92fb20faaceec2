//! Checks that a zip can be unpacked below `/opt`, and that nothing in it can end up elsewhere.
//!
//! Every entry is decompressed, so a zip that is damaged is refused before it is published. The names are checked as
//! any program could read them, because Lambda does not say which one it unpacks with.

use crate::artifacts::bundle::MAX_UNPACKED;
use std::{
    collections::BTreeSet,
    io::{self, Cursor, Read},
};
use zip::{ZipArchive, read::ZipFile};

/// The longest target of a link, which is that of Linux.
const MAX_TARGET: u64 = 4096;
/// The bits of a mode that say what an entry is.
const TYPE: u32 = 0o170_000;
const FILE: u32 = 0o100_000;
const FOLDER: u32 = 0o040_000;
const LINK: u32 = 0o120_000;

/// Why a zip is no layer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum UnsafeZip {
    #[error("it is not a zip that can be read")]
    Zip(#[from] zip::result::ZipError),
    /// The entry is damaged, encrypted or compressed by another method, or it ends too early.
    #[error("`{entry}` in it cannot be read")]
    Entry { entry: String, source: zip::result::ZipError },
    #[error("`{entry}` in it cannot be unpacked")]
    Read { entry: String, source: io::Error },
    #[error("it has no files")]
    Empty,
    #[error("unpacked it has more than {MAX_UNPACKED} bytes, which is all that Lambda accepts")]
    TooLarge,
    #[error("two of its entries have the same name")]
    Duplicates,
    #[error("`{entry}` in it {why}")]
    Name { entry: String, why: &'static str },
    #[error("`{entry}` in it is neither a file nor a folder nor a link (mode {mode:o})")]
    Special { entry: String, mode: u32 },
    #[error("`{entry}` in it is a link to `{target}`, which {why}")]
    Link { entry: String, target: String, why: &'static str },
    #[error("`{entry}` in it is below `{parent}`, which is not a folder")]
    Below { entry: String, parent: String },
}

/// Checks all entries and returns the first fault.
pub(crate) fn check(zip: &[u8]) -> Result<(), UnsafeZip> {
    let mut archive = ZipArchive::new(Cursor::new(zip))?;
    if archive.has_duplicate_names() {
        return Err(UnsafeZip::Duplicates);
    }
    let mut left = MAX_UNPACKED;
    let mut folders = BTreeSet::new();
    let mut others = BTreeSet::new();
    for index in 0..archive.len() {
        let number = format!("entry {index}");
        let mut file =
            archive.by_index(index).map_err(|source| UnsafeZip::Entry { entry: number.clone(), source })?;
        let entry = file.name().map_err(|source| UnsafeZip::Entry { entry: number, source })?.into_owned();
        let path = checked_name(&entry).map_err(|why| UnsafeZip::Name { entry: shown(&entry), why })?;
        check_type(&file, &entry)?;
        if path.is_empty() {
            // Some programs list the folder that they have packed.
            if file.is_dir() {
                continue;
            }
            return Err(UnsafeZip::Name { entry: shown(&entry), why: "has no path" });
        }
        if file.is_symlink() {
            check_link(&mut file, &entry, &path)?;
        } else {
            let mut content = (&mut file).take(left.saturating_add(1));
            let size = io::copy(&mut content, &mut io::sink())
                .map_err(|source| UnsafeZip::Read { entry: shown(&entry), source })?;
            left = left.checked_sub(size).ok_or(UnsafeZip::TooLarge)?;
        }
        let path = path.join("/");
        if file.is_dir() {
            folders.insert(path);
        } else if !others.insert(path) {
            return Err(UnsafeZip::Duplicates);
        }
    }
    if others.is_empty() {
        return Err(UnsafeZip::Empty);
    }
    for path in folders.iter().chain(&others) {
        if folders.contains(path) && others.contains(path) {
            return Err(UnsafeZip::Duplicates);
        }
        let parents = path.match_indices('/').filter_map(|(end, _)| path.get(..end));
        if let Some(parent) = parents.into_iter().find(|parent| others.contains(*parent)) {
            return Err(UnsafeZip::Below { entry: shown(path), parent: shown(parent) });
        }
    }
    Ok(())
}

/// The parts of a name, or why it cannot be unpacked below `/opt`.
fn checked_name(name: &str) -> Result<Vec<&str>, &'static str> {
    if name.starts_with('/') {
        return Err("has an absolute path");
    }
    if name.contains('\\') {
        return Err("has a backslash in its path, which some programs take for a slash");
    }
    if name.chars().any(char::is_control) {
        return Err("has a control character in its path");
    }
    let parts: Vec<&str> = name.split('/').filter(|part| !part.is_empty() && *part != ".").collect();
    if parts.contains(&"..") {
        return Err("leads out of its folder");
    }
    if parts.first().is_some_and(|first| first.ends_with(':')) {
        return Err("has a path that begins with a drive");
    }
    Ok(parts)
}

/// Refuses devices, pipes and sockets. A zip that was made elsewhere than on Unix has no types, and its entries are
/// files or folders.
fn check_type(file: &ZipFile<'_, impl Read>, entry: &str) -> Result<(), UnsafeZip> {
    let mode = file.unix_mode().unwrap_or_default();
    let expected = if file.is_dir() { [0, FOLDER, FOLDER] } else { [0, FILE, LINK] };
    if expected.contains(&(mode & TYPE)) {
        return Ok(());
    }
    Err(UnsafeZip::Special { entry: shown(entry), mode })
}

fn check_link(file: &mut ZipFile<'_, impl Read>, entry: &str, path: &[&str]) -> Result<(), UnsafeZip> {
    let mut target = String::new();
    file.take(MAX_TARGET + 1)
        .read_to_string(&mut target)
        .map_err(|source| UnsafeZip::Read { entry: shown(entry), source })?;
    let why = if target.is_empty() || target.len() as u64 > MAX_TARGET {
        "is no path"
    } else if target.starts_with('/') {
        "is an absolute path; make it relative to the folder of the link"
    } else if leads_out(&target, path.len().saturating_sub(1)) {
        "is outside of the layer"
    } else {
        return Ok(());
    };
    Err(UnsafeZip::Link { entry: shown(entry), target: shown(&target), why })
}

/// Whether a relative path leads out of the layer at any point, from a folder of this depth.
fn leads_out(target: &str, mut depth: usize) -> bool {
    for part in target.split('/') {
        match part {
            "" | "." => {}
            ".." if depth == 0 => return true,
            ".." => depth -= 1,
            _ => depth += 1,
        }
    }
    false
}

/// The text for a message: without control characters, and not too long.
fn shown(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(200).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use zip::{ZipWriter, write::SimpleFileOptions};

    fn zip_of(entries: &[(&str, Option<&str>)]) -> Vec<u8> {
        let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
        let options = SimpleFileOptions::default();
        for (name, target) in entries {
            match target {
                Some(target) => zip.add_symlink(*name, *target, options).unwrap(),
                None if name.ends_with('/') => zip.add_directory(*name, options).unwrap(),
                None => {
                    zip.start_file(*name, options).unwrap();
                    zip.write_all(b"content of a file").unwrap();
                }
            }
        }
        zip.finish().unwrap().into_inner()
    }

    /// Replaces a name in the bytes of a zip by another one of the same length, in both places where it is.
    fn renamed(zip: &[u8], name: &str, other: &str) -> Vec<u8> {
        assert_eq!(name.len(), other.len());
        let mut zip = zip.to_vec();
        let at = |zip: &[u8]| zip.windows(name.len()).position(|part| part == name.as_bytes());
        while let Some(start) = at(&zip) {
            zip[start..start + name.len()].copy_from_slice(other.as_bytes());
        }
        zip
    }

    #[test]
    fn a_layer_with_folders_files_and_links_inside_is_accepted() {
        let entries = [
            ("./", None),
            ("python/", None),
            ("python/sdk/__init__.py", None),
            ("python/sdk.py", Some("sdk/__init__.py")),
            ("lib/deep/link", Some("../../python/sdk.py")),
            ("./extensions/run", None),
        ];
        check(&zip_of(&entries)).unwrap();
    }

    #[test]
    fn names_that_lead_elsewhere_are_refused() {
        let zip = zip_of(&[("python/file", None)]);
        for (name, says) in [
            ("/etc/passwd", "absolute"),
            ("../../a/b/c", "leads out"),
            ("a/../../b/c", "leads out"),
            (r"a\..\..\b\c", "backslash"),
            ("C:/files/ab", "drive"),
            ("python/a\0bc", "control character"),
        ] {
            let error = check(&renamed(&zip, "python/file", name)).unwrap_err().to_string();
            assert!(error.contains(says), "{name:?}: {error}");
        }
    }

    #[test]
    fn links_that_lead_elsewhere_are_refused() {
        for (name, target, says) in [
            ("a/link", "/etc/passwd", "absolute"),
            ("a/link", "../../etc/passwd", "outside"),
            ("a/link", "b/../../../c", "outside"),
            ("link", "..", "outside"),
            ("link", "", "no path"),
        ] {
            let error = check(&zip_of(&[(name, Some(target))])).unwrap_err().to_string();
            assert!(error.contains(says), "{target:?}: {error}");
        }
        let through = check(&zip_of(&[("lib", Some("python")), ("lib/file", None)])).unwrap_err();
        assert_eq!(through.to_string(), "`lib/file` in it is below `lib`, which is not a folder");
    }

    #[test]
    fn what_cannot_be_unpacked_is_refused() {
        let zip = zip_of(&[("first", None), ("other", None)]);
        assert!(matches!(check(&renamed(&zip, "other", "first")), Err(UnsafeZip::Duplicates)));
        assert!(matches!(check(&zip_of(&[("a//b", None), ("a/b", None)])), Err(UnsafeZip::Duplicates)));
        assert!(matches!(check(&zip_of(&[("a", None), ("a/", None)])), Err(UnsafeZip::Duplicates)));
        assert!(matches!(check(&zip_of(&[("a/", None)])), Err(UnsafeZip::Empty)));
        assert!(matches!(check(&zip_of(&[])), Err(UnsafeZip::Empty)));
        assert!(matches!(check(b"#!/bin/sh"), Err(UnsafeZip::Zip(_))));
        assert!(matches!(check(&zip[..zip.len() / 2]), Err(UnsafeZip::Zip(_))));
        // A bit of the content is flipped, so its checksum is wrong.
        let mut damaged = zip.clone();
        damaged["first".len() + 30 + 2] ^= 1;
        assert!(matches!(check(&damaged), Err(UnsafeZip::Read { .. })), "{:?}", check(&damaged));
    }

    #[test]
    fn what_is_too_large_when_unpacked_is_refused() {
        let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
        let piece = vec![0; 1 << 20];
        for name in ["one", "two"] {
            zip.start_file(name, SimpleFileOptions::default().compression_level(Some(1))).unwrap();
            for _ in 0..126 {
                zip.write_all(&piece).unwrap();
            }
        }
        let zip = zip.finish().unwrap().into_inner();
        assert!(zip.len() < 5 << 20, "{}", zip.len());
        assert!(matches!(check(&zip), Err(UnsafeZip::TooLarge)));
    }

    #[test]
    fn a_device_is_refused() {
        let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
        zip.start_file("null", SimpleFileOptions::default().unix_permissions(0o644)).unwrap();
        let mut zip = zip.finish().unwrap().into_inner();
        // The mode is in the upper half of the external attributes, 38 bytes into the entry of the central directory.
        let central = zip.windows(4).position(|part| part == b"PK\x01\x02").unwrap();
        zip[central + 40..central + 42].copy_from_slice(&0o020_644_u16.to_le_bytes());
        assert!(matches!(check(&zip), Err(UnsafeZip::Special { mode: 0o020_644, .. })), "{:?}", check(&zip));
    }
}
