//! Writes an image as an OCI image layout: a folder that image tools read without a registry.

use crate::oci::{
    documents::{self, Annotations, Blob},
    image::Image,
};
use std::{
    fs, io,
    path::{Path, PathBuf},
};

/// The file by which an image layout is recognized, and its content.
const MARK: &str = "oci-layout";
const MARK_CONTENT: &str = r#"{"imageLayoutVersion":"1.0.0"}"#;
/// The annotation by which tools find an image in the layout.
const REF_NAME: &str = "org.opencontainers.image.ref.name";

/// Why a layout cannot be written.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LayoutError {
    #[error("{} is something else than an image layout", .0.display())]
    Occupied(PathBuf),
    #[error("cannot write {}", path.display())]
    Write { path: PathBuf, source: io::Error },
    #[error("the index of the layout cannot be written")]
    Json(#[from] serde_json::Error),
}

/// Writes the layout to `out`, and replaces a layout that is there. The folder is complete or not there at all.
pub(crate) fn write(image: &Image, out: &Path) -> Result<(), LayoutError> {
    let failed = |source| LayoutError::Write { path: out.to_owned(), source };
    if !is_replaceable(out).map_err(failed)? {
        return Err(LayoutError::Occupied(out.to_owned()));
    }
    let named = Annotations::from([(REF_NAME, image.tag.clone())]);
    let index = documents::index(&[image.index.descriptor().annotated(named)], &Annotations::new())?;
    fill(image, &index, out).map_err(failed)
}

/// Whether the folder is absent, empty or an image layout.
fn is_replaceable(out: &Path) -> io::Result<bool> {
    match fs::read_dir(out) {
        Ok(mut entries) => Ok(out.join(MARK).is_file() || entries.next().is_none()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotADirectory => Ok(false),
        Err(error) => Err(error),
    }
}

fn fill(image: &Image, index: &Blob, out: &Path) -> io::Result<()> {
    let parent = out.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    fs::create_dir_all(parent)?;
    let temporary = tempfile::Builder::new().prefix(".image-").tempdir_in(parent)?;
    let new = temporary.path().join("new");
    let blobs = new.join("blobs/sha256");
    fs::create_dir_all(&blobs)?;
    for blob in image.blobs() {
        fs::write(blobs.join(blob.digest.to_string()), &blob.bytes)?;
    }
    fs::write(new.join("index.json"), &index.bytes)?;
    fs::write(new.join(MARK), MARK_CONTENT)?;
    if out.exists() {
        fs::rename(out, temporary.path().join("old"))?;
    }
    fs::rename(new, out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image(content: &[u8]) -> Image {
        let layer = Blob::new(documents::LAYER, content.to_vec());
        Image { tag: "1.2.3".to_owned(), images: Vec::new(), index: layer }
    }

    #[test]
    fn a_layout_is_replaced_and_nothing_else_is() {
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path().join("deep/image");
        for content in [&b"one"[..], b"one", b"two"] {
            write(&image(content), &out).unwrap();
            let blobs: Vec<_> = fs::read_dir(out.join("blobs/sha256")).unwrap().collect();
            assert_eq!(blobs.len(), 1);
        }
        assert_eq!(fs::read_dir(out.parent().unwrap()).unwrap().count(), 1, "something is left over");
        let index = fs::read_to_string(out.join("index.json")).unwrap();
        assert!(index.contains(r#""org.opencontainers.image.ref.name":"1.2.3""#), "{index}");

        for occupied in ["file", "folder"] {
            let path = folder.path().join(occupied);
            if occupied == "folder" {
                fs::create_dir(&path).unwrap();
                fs::write(path.join("notes"), "mine").unwrap();
            } else {
                fs::write(&path, "mine").unwrap();
            }
            assert!(matches!(write(&image(b"one"), &path), Err(LayoutError::Occupied(_))), "{occupied}");
        }
        assert_eq!(fs::read_to_string(folder.path().join("folder/notes")).unwrap(), "mine");
        let empty = folder.path().join("empty");
        fs::create_dir(&empty).unwrap();
        write(&image(b"one"), &empty).unwrap();
    }
}
