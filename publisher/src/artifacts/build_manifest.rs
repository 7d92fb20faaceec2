//! `dist/build.json`: the zips that `publisher build` made, their commit and the tools. `publish` reads it.

use crate::model::{
    arch::Arch,
    variant::{LayerKind, Variant},
};
use serde::{Deserialize, Serialize};
use std::{
    fs, io,
    path::{Path, PathBuf},
};

/// The name of the file in the output folder.
pub(crate) const FILE: &str = "build.json";
/// The version of the shape that this version reads and writes.
pub(crate) const SCHEMA: u32 = 1;

/// The content of `build.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct BuildManifest {
    /// The version of this format: 1.
    pub(crate) schema: u32,
    /// The workspace's version, e.g. `0.1.0`.
    pub(crate) version: String,
    /// The commit that was built, in 40 hex digits. `-dirty` follows if the work tree had changes. It is `unknown`
    /// outside git.
    pub(crate) commit: String,
    pub(crate) toolchain: Toolchain,
    /// One entry for each zip, in the order of `Arch::ALL`. The plain zip of an architecture comes before the one
    /// with Relay.
    pub(crate) artifacts: Vec<Artifact>,
}

/// The tools that made the bytes, each with the version that it reports.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Toolchain {
    /// `rustc --version`.
    pub(crate) rustc: String,
    /// `cargo lambda --version`.
    pub(crate) cargo_lambda: String,
    /// `zig version`.
    pub(crate) zig: String,
    /// Where the std library for musl came from: `prebuilt` or `source`.
    pub(crate) std: String,
}

/// One layer zip.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Artifact {
    /// The architecture of the binary inside.
    pub(crate) arch: Arch,
    /// The file name of the zip, which is in the folder of `build.json`.
    pub(crate) file: String,
    /// Lower-case hex sha256 of the zip. Lambda's `CodeSha256` is the same digest in base64.
    pub(crate) sha256: String,
    /// The zip's size in bytes.
    pub(crate) size: u64,
    /// Lower-case hex sha256 of the extension's binary.
    pub(crate) binary_sha256: String,
    /// The binary's size in bytes.
    pub(crate) binary_size: u64,
    /// Sentry's own Relay, if the layer contains it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) relay: Option<RelayPart>,
}

/// Why there is no build manifest.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BuildManifestError {
    /// Nothing was built.
    #[error("there is no {}", .0.display())]
    NotBuilt(PathBuf),
    /// The manifest, or a file beside it, cannot be read.
    #[error("cannot read {}", path.display())]
    Read { path: PathBuf, source: io::Error },
    /// It is not a manifest that this version writes.
    #[error("{} is not a build manifest", path.display())]
    Parse { path: PathBuf, source: serde_json::Error },
    /// It is from another version of this tool.
    #[error("{} has schema {found}; this version reads schema {SCHEMA}", path.display())]
    Schema { path: PathBuf, found: u32 },
}

impl BuildManifest {
    /// Reads `build.json` in a folder.
    pub(crate) fn open(folder: &Path) -> Result<Self, BuildManifestError> {
        let path = folder.join(FILE);
        let text = match fs::read(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(BuildManifestError::NotBuilt(path));
            }
            Err(source) => return Err(BuildManifestError::Read { path, source }),
        };
        let manifest: Self = serde_json::from_slice(&text)
            .map_err(|source| BuildManifestError::Parse { path: path.clone(), source })?;
        if manifest.schema != SCHEMA {
            return Err(BuildManifestError::Schema { path, found: manifest.schema });
        }
        Ok(manifest)
    }

    /// The text of `build.json`, without a newline at its end.
    pub(crate) fn to_json(&self) -> serde_json::Result<String> {
        serde_json::to_string_pretty(self)
    }

    /// One manifest of several, in their order; none unless they agree on everything but their artifacts.
    pub(crate) fn merged<'a>(parts: impl IntoIterator<Item = &'a Self>) -> Option<Self> {
        let without_artifacts = |part: &Self| Self { artifacts: Vec::new(), ..part.clone() };
        let mut parts = parts.into_iter();
        let mut merged = parts.next()?.clone();
        for part in parts {
            if without_artifacts(part) != without_artifacts(&merged) {
                return None;
            }
            merged.artifacts.extend_from_slice(&part.artifacts);
        }
        Some(merged)
    }
}

impl Artifact {
    /// The file's name, if the manifest has a name there and no path.
    pub(crate) fn file_name(&self) -> Option<&str> {
        (Path::new(&self.file).file_name()? == self.file.as_str()).then_some(&self.file)
    }

    /// The variant of the layer, which identifies the zip within a build.
    pub(crate) fn variant(&self) -> Variant {
        Variant::new(self.arch, if self.relay.is_some() { LayerKind::Relay } else { LayerKind::Plain })
    }
}

/// Sentry's own Relay in a layer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct RelayPart {
    /// The version, or `local` for a binary that does not say its version.
    pub(crate) version: String,
    /// Lower-case hex sha256 of the binary as it is in the layer.
    pub(crate) sha256: String,
    /// The size of that binary in bytes.
    pub(crate) size: u64,
    /// Lower-case hex sha256 of the original binary, before its debug sections were removed. `relay.lock` pins this
    /// one.
    pub(crate) source_sha256: String,
    /// The glibc version that the binary needs; absent for a static binary.
    pub(crate) glibc: Option<String>,
    /// Lambda's identifiers of the runtimes whose glibc is new enough.
    pub(crate) runtimes: Vec<String>,
}
