//! Turns a layer zip into the archive of an image: the same files below `/opt`, with fixed times and owners.

use std::{
    collections::BTreeMap,
    io::{self, Cursor, Read, Write},
};
use tar::{Builder, EntryType, Header};
use zip::ZipArchive;

/// The folder below which Lambda unpacks layers.
const ROOT: &str = "opt";
const FOLDER_MODE: u32 = 0o755;

/// Why a zip cannot be put into an image.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RootError {
    #[error("the zip cannot be read")]
    Zip(#[from] zip::result::ZipError),
    #[error("the archive cannot be written")]
    Io(#[from] io::Error),
}

enum Node {
    Folder,
    File { mode: u32, content: Vec<u8> },
    Link(String),
}

/// The archive with the files of a zip. The caller has checked that its paths stay below `/opt`.
pub(crate) fn archive(zip: &[u8]) -> Result<Vec<u8>, RootError> {
    let mut tar = Builder::new(Vec::new());
    for (path, node) in nodes(zip)? {
        let mut header = Header::new_ustar();
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(0);
        match node {
            Node::Folder => {
                header.set_entry_type(EntryType::Directory);
                header.set_mode(FOLDER_MODE);
                header.set_size(0);
                tar.append_data(&mut header, format!("{path}/"), io::empty())?;
            }
            Node::File { mode, content } => {
                header.set_entry_type(EntryType::Regular);
                header.set_mode(mode);
                header.set_size(content.len() as u64);
                tar.append_data(&mut header, &path, content.as_slice())?;
            }
            Node::Link(target) => {
                header.set_entry_type(EntryType::Symlink);
                header.set_mode(0o777);
                header.set_size(0);
                tar.append_link(&mut header, &path, &target)?;
            }
        }
    }
    Ok(tar.into_inner()?)
}

/// The files, links and folders in the order of their paths, so that a folder comes before what it holds.
fn nodes(zip: &[u8]) -> Result<BTreeMap<String, Node>, RootError> {
    let mut archive = ZipArchive::new(Cursor::new(zip))?;
    let mut nodes = BTreeMap::from([(ROOT.to_owned(), Node::Folder)]);
    for index in 0..archive.len() {
        let mut file = archive.by_index(index)?;
        let name = file.name()?.into_owned();
        let parts: Vec<&str> = name.split('/').filter(|part| !part.is_empty() && *part != ".").collect();
        for depth in 1..parts.len() {
            let parent = parts.get(..depth).unwrap_or_default().join("/");
            nodes.entry(format!("{ROOT}/{parent}")).or_insert(Node::Folder);
        }
        let node = if file.is_dir() {
            Node::Folder
        } else if file.is_symlink() {
            let mut target = String::new();
            file.read_to_string(&mut target)?;
            Node::Link(target)
        } else {
            let mode = file.unix_mode().unwrap_or(0o644) & 0o777;
            let mut content = Vec::new();
            file.read_to_end(&mut content)?;
            Node::File { mode, content }
        };
        nodes.insert(format!("{ROOT}/{}", parts.join("/")), node);
    }
    Ok(nodes)
}

/// Compresses the archive. The header has neither a time nor a name.
pub(crate) fn compressed(archive: &[u8]) -> io::Result<Vec<u8>> {
    let mut gzip = flate2::GzBuilder::new().mtime(0).write(Vec::new(), flate2::Compression::best());
    gzip.write_all(archive)?;
    gzip.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use zip::{ZipWriter, write::SimpleFileOptions};

    fn zip_at(year: u16) -> Vec<u8> {
        let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
        let time = zip::DateTime::from_date_and_time(year, 1, 1, 0, 0, 0).unwrap();
        let options = SimpleFileOptions::default().last_modified_time(time);
        zip.start_file("extensions/run", options.unix_permissions(0o755)).unwrap();
        zip.write_all(b"binary").unwrap();
        zip.add_symlink("wrapper", "extensions/run", options).unwrap();
        zip.start_file("team/LICENSE", options.unix_permissions(0o644)).unwrap();
        zip.finish().unwrap().into_inner()
    }

    #[test]
    fn the_archive_has_the_files_below_opt_and_nothing_of_the_machine() {
        let archive = archive(&zip_at(1980)).unwrap();
        let mut tar = tar::Archive::new(archive.as_slice());
        let mut seen = Vec::new();
        for entry in tar.entries().unwrap() {
            let entry = entry.unwrap();
            let header = entry.header();
            assert_eq!((header.uid().unwrap(), header.gid().unwrap(), header.mtime().unwrap()), (0, 0, 0));
            assert_eq!((header.username(), header.groupname()), (Ok(Some("")), Ok(Some(""))));
            let target = entry.link_name().unwrap().map(|target| target.display().to_string());
            let path = String::from_utf8(entry.path_bytes().into_owned()).unwrap();
            seen.push((path, header.mode().unwrap(), target));
        }
        let folder = |path: &str| (path.to_owned(), 0o755, None);
        let expected = [
            folder("opt/"),
            folder("opt/extensions/"),
            ("opt/extensions/run".to_owned(), 0o755, None),
            folder("opt/team/"),
            ("opt/team/LICENSE".to_owned(), 0o644, None),
            ("opt/wrapper".to_owned(), 0o777, Some("extensions/run".to_owned())),
        ];
        assert_eq!(seen, expected);
    }

    #[test]
    fn the_bytes_depend_on_the_content_alone() {
        let bytes = |year| compressed(&archive(&zip_at(year)).unwrap()).unwrap();
        let gzip = bytes(1980);
        assert_eq!(gzip, bytes(2026));
        assert_eq!(gzip.get(3..8), Some(&[0; 5][..]), "neither flags nor a time");
    }
}
