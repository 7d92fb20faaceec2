//! The files of a release with which `verify --arn` compares a layer version: `layers.json`, `SHA256SUMS` and the bills
//! of materials, in one folder.

use crate::{
    artifacts::{
        bundle::SUMS,
        layers_manifest::{Layer, LayersError, LayersManifest},
    },
    failure::{Code, Failure},
    model::{arch::Arch, digest::Digest, variant::Variant},
};
use serde_json::Value;
use std::{
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
};

/// The maximum size of a file of the release that is read as a whole.
const LARGEST_FILE: u64 = 16 * 1024 * 1024;

/// The files that the folder has.
pub(super) struct ReleaseFiles {
    folder: PathBuf,
    pub(super) manifest: Option<LayersManifest>,
    /// The lines of `SHA256SUMS`: digest and name. `None` if there is no such file.
    sums: Option<Vec<(String, String)>>,
}

impl ReleaseFiles {
    /// Reads the folder. Fails if it has neither file, because there is nothing to compare with then.
    pub(super) fn open(folder: &Path) -> Result<Self, Failure> {
        let hint = "download the files of the release into one folder and name it with --dist:\n  \
                    gh release download v1.2.3 --repo OWNER/NAME --dir release";
        let manifest = match LayersManifest::open(folder) {
            Ok(manifest) => Some(manifest),
            Err(LayersError::NotPublished(_)) => None,
            Err(error) => return Err(Failure::new(error).hint(hint)),
        };
        let text = read_text(&folder.join(SUMS));
        let text = text.map_err(|error| {
            Failure::message(Code::Failed, format!("cannot read {}: {error}", folder.join(SUMS).display()))
                .hint(hint)
        })?;
        if manifest.is_none() && text.is_none() {
            let text = format!("there is neither layers.json nor {SUMS} in {}", folder.display());
            return Err(Failure::message(Code::Failed, text).hint(hint));
        }
        Ok(Self { folder: folder.to_owned(), manifest, sums: text.as_deref().map(lines) })
    }

    /// The layer that has this ARN according to `layers.json`.
    pub(super) fn layer(&self, arn: &str) -> Option<(Variant, &Layer)> {
        let has = |layer: &Layer| layer.regions.values().any(|place| place.arn == arn);
        self.manifest.as_ref()?.all().find(|(_, layer)| has(layer))
    }

    /// Whether there is a `SHA256SUMS`.
    pub(super) fn has_sums(&self) -> bool {
        self.sums.is_some()
    }

    /// The name of the zip of the release that has this digest.
    pub(super) fn zip_named(&self, digest: &Digest) -> Option<&str> {
        let hex = digest.to_string();
        let mut lines = self.sums.iter().flatten();
        let is_zip = |name: &str| Path::new(name).extension().is_some_and(|ending| ending == "zip");
        lines.find(|(sum, name)| *sum == hex && is_zip(name)).map(|(_, name)| name.as_str())
    }

    /// The bill of materials for an architecture: its name and the number of its components. `None` if the folder has
    /// none. The error says why it cannot be relied on.
    pub(super) fn bill_of_materials(&self, arch: Arch) -> Option<Result<(String, usize), String>> {
        let name = format!("sentry-lambda-extension-{arch}.cdx.json");
        let text = match read_text(&self.folder.join(&name)) {
            Ok(text) => text?,
            Err(error) => return Some(Err(format!("cannot read {name}: {error}"))),
        };
        let digest = Digest::of(text.as_bytes()).to_string();
        let is_listed = self.sums.iter().flatten().any(|(sum, file)| *sum == digest && *file == name);
        if !is_listed {
            return Some(Err(format!("{name} is not the file that {SUMS} lists")));
        }
        let parsed: Option<Value> = serde_json::from_str(&text).ok();
        let components =
            parsed.and_then(|bill| bill.get("components").and_then(Value::as_array).map(Vec::len));
        Some(components.map(|count| (name.clone(), count)).ok_or(format!("{name} is no CycloneDX document")))
    }
}

/// Reads a text file. Returns `None` if it does not exist.
fn read_text(path: &Path) -> io::Result<Option<String>> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let mut text = String::new();
    file.take(LARGEST_FILE + 1).read_to_string(&mut text)?;
    if text.len() as u64 > LARGEST_FILE {
        return Err(io::Error::other(format!("it has more than {LARGEST_FILE} bytes")));
    }
    Ok(Some(text))
}

/// The lines that `sha256sum` writes, in text or binary mode.
fn lines(text: &str) -> Vec<(String, String)> {
    let line = |line: &str| {
        let (sum, name) = line.split_once(' ')?;
        Some((sum.to_owned(), name.strip_prefix([' ', '*']).unwrap_or(name).to_owned()))
    };
    text.lines().filter_map(line).collect()
}
