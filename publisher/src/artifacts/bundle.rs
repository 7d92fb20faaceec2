//! A release: its zips and what they are. This module reads the extension's release from `dist/` and checks that its
//! files agree with each other, before any call to AWS.

use crate::{
    artifacts::{
        build_manifest::{self, Artifact, BuildManifest, BuildManifestError, Toolchain},
        layers_manifest::{OtherLayer, RelayInside},
        relay_runtimes,
        zip_contents::{self, ContentsError},
    },
    model::{
        arch::Arch,
        digest::{BadDigest, Digest},
        layer_name::LayerName,
        variant::{LayerKind, Variant},
    },
};
use bytes::Bytes;
use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
};

/// The name of the checksum file in `dist/`.
pub(crate) const SUMS: &str = "SHA256SUMS";
/// Lambda's limit for a description, in characters.
pub(crate) const MAX_DESCRIPTION: usize = 256;
/// What is added to a description: `, sha256 ` and 16 digits.
pub(crate) const HASH_IN_DESCRIPTION: usize = 25;
/// Lambda accepts a zip of up to this size in the request itself. A larger one has to be uploaded to S3.
pub(crate) const MAX_DIRECT_UPLOAD: u64 = 50 * 1024 * 1024;
/// Lambda's limit for an unpacked layer. A zip of more bytes cannot unpack to less, so it is not even read.
pub(crate) const MAX_UNPACKED: u64 = 250 * 1024 * 1024;

/// Where the zips of a release come from.
#[derive(Debug)]
pub(crate) enum Origin {
    /// They are the extension's layers, as `publisher build` left them.
    Build { commit: String, toolchain: Toolchain },
    /// They are layers that are not the extension's.
    Other {
        layer: OtherLayer,
        names: BTreeMap<Variant, LayerName>,
        /// The description for users of the layers. `None` means their names and version.
        description: Option<String>,
    },
}

/// One release.
#[derive(Debug)]
pub(crate) struct Bundle {
    pub(crate) version: String,
    pub(crate) origin: Origin,
    /// The requested zips: for each architecture the plain one, then the one with Relay if there is one.
    pub(crate) zips: Vec<Zip>,
    /// The digests of all zips of the release, as `build.json` lists them.
    pub(crate) built: BTreeMap<Variant, Digest>,
}

/// A layer zip whose bytes match `build.json` and `SHA256SUMS`.
#[derive(Clone, Debug)]
pub(crate) struct Zip {
    pub(crate) variant: Variant,
    /// The digest of the whole zip.
    pub(crate) digest: Digest,
    /// Sentry's own Relay in the layer, if there is one.
    pub(crate) relay: Option<RelayInside>,
    /// The runtimes that Lambda is told the layer is for. An empty list means all runtimes.
    pub(crate) runtimes: Vec<String>,
    /// The content of the zip. It is shared and not copied, because it may be up to 250 MB.
    pub(crate) bytes: Bytes,
}

/// Why `dist/` cannot be published.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BundleError {
    #[error(transparent)]
    Manifest(#[from] BuildManifestError),
    #[error("cannot read {}", path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("{} has no {arch} zip; both architectures are published together", path.display())]
    Missing { path: PathBuf, arch: Arch },
    /// Layers with Relay were requested, but none was built.
    #[error("{} lists no zip with Relay", .0.display())]
    NoRelay(PathBuf),
    /// The manifest lists a variant twice, or a file outside `dist/`.
    #[error("{} is inconsistent: {what}", path.display())]
    Inconsistent { path: PathBuf, what: String },
    #[error("{} has {size} bytes; Lambda accepts at most {MAX_UNPACKED}, even unpacked", path.display())]
    TooLarge { path: PathBuf, size: u64 },
    #[error("{} is not a layer for {arch}", path.display())]
    Contents { path: PathBuf, arch: Arch, source: ContentsError },
    #[error("{} was changed after it was built: {what} is {found}, {file} says {expected}", path.display())]
    Changed {
        path: PathBuf,
        what: &'static str,
        found: String,
        /// The file that has the expected value.
        file: &'static str,
        expected: String,
    },
}

impl Bundle {
    /// Reads `dist/build.json`, `dist/SHA256SUMS` and the zips. With `only`, it reads just the zips of that kind.
    pub(crate) fn open(dist: &Path, only: Option<LayerKind>) -> Result<Self, BundleError> {
        let path = dist.join(build_manifest::FILE);
        let manifest = BuildManifest::open(dist)?;
        let sums_path = dist.join(SUMS);
        let sums =
            fs::read_to_string(&sums_path).map_err(|source| BundleError::Read { path: sums_path, source })?;
        let artifacts = by_variant(&manifest.artifacts, &path)?;
        let mut zips = Vec::new();
        for artifact in artifacts.values() {
            if only.is_none_or(|kind| kind == artifact.variant().kind) {
                zips.push(open_zip(dist, artifact, &sums)?);
            }
        }
        if zips.is_empty() {
            return Err(BundleError::NoRelay(path));
        }
        let built = artifacts
            .iter()
            .map(|(variant, artifact)| Ok((*variant, artifact.sha256.parse::<Digest>()?)))
            .collect::<Result<_, BadDigest>>()
            .map_err(|error| BundleError::Inconsistent { path, what: error.to_string() })?;
        let BuildManifest { version, commit, toolchain, .. } = manifest;
        Ok(Self { version, origin: Origin::Build { commit, toolchain }, zips, built })
    }

    /// The commit that the zips were built from. `None` if they are not the extension's.
    pub(crate) fn commit(&self) -> Option<&str> {
        match &self.origin {
            Origin::Build { commit, .. } => Some(commit),
            Origin::Other { .. } => None,
        }
    }

    /// The zip of a variant, if it was requested.
    pub(crate) fn zip(&self, variant: Variant) -> Option<&Zip> {
        self.zips.iter().find(|zip| zip.variant == variant)
    }

    /// Whether the version is a prerelease, such as `1.2.0-rc.1`.
    pub(crate) fn is_prerelease(&self) -> bool {
        self.version.split('+').next().unwrap_or_default().contains('-')
    }

    /// The description for the zip's layer version. It contains the first digits of the digest, by which the version
    /// is found.
    pub(crate) fn description(&self, zip: &Zip) -> String {
        match &self.origin {
            Origin::Build { commit, .. } => {
                description(&self.version, commit, zip.relay.as_ref(), &zip.digest)
            }
            Origin::Other { names, description, .. } => {
                let name = names.get(&zip.variant).map(LayerName::as_str).unwrap_or_default();
                let text = description.clone().unwrap_or_else(|| format!("{name} {}", self.version));
                let room = MAX_DESCRIPTION - HASH_IN_DESCRIPTION;
                format!("{}, sha256 {}", text.chars().take(room).collect::<String>(), zip.digest.short())
            }
        }
    }
}

/// Indexes the artifacts by variant. Fails if a variant is listed twice, if a file name contains a folder, or if an
/// architecture has no plain zip.
fn by_variant<'a>(
    artifacts: &'a [Artifact],
    path: &Path,
) -> Result<BTreeMap<Variant, &'a Artifact>, BundleError> {
    let inconsistent = |what: String| BundleError::Inconsistent { path: path.to_owned(), what };
    let mut all = BTreeMap::new();
    for artifact in artifacts {
        let variant = artifact.variant();
        if all.insert(variant, artifact).is_some() {
            return Err(inconsistent(format!("it lists {variant} twice")));
        }
        if artifact.file_name().is_none() {
            return Err(inconsistent(format!("`{}` is not a file's name", artifact.file)));
        }
    }
    let lacks = |arch: &Arch| !all.contains_key(&Variant::new(*arch, LayerKind::Plain));
    match Arch::ALL.into_iter().find(lacks) {
        Some(arch) => Err(BundleError::Missing { path: path.to_owned(), arch }),
        None => Ok(all),
    }
}

fn open_zip(dist: &Path, artifact: &Artifact, sums: &str) -> Result<Zip, BundleError> {
    let path = dist.join(&artifact.file);
    let read = |source| BundleError::Read { path: path.clone(), source };
    let size = fs::metadata(&path).map_err(read)?.len();
    if size > MAX_UNPACKED {
        return Err(BundleError::TooLarge { path, size });
    }
    let bytes = fs::read(&path).map_err(read)?;
    let digest = Digest::of(&bytes);
    let changed = |what, found: String, file, expected: &str| BundleError::Changed {
        path: path.clone(),
        what,
        found,
        file,
        expected: expected.to_owned(),
    };
    if artifact.size != bytes.len() as u64 {
        let found = bytes.len().to_string();
        let expected = artifact.size.to_string();
        return Err(changed("its size", found, build_manifest::FILE, &expected));
    }
    if artifact.sha256 != digest.to_string() {
        return Err(changed("its sha256", digest.to_string(), build_manifest::FILE, &artifact.sha256));
    }
    let sum = sum_of(sums, &artifact.file).unwrap_or("nothing about it");
    if sum != digest.to_string() {
        return Err(changed("its sha256", digest.to_string(), SUMS, sum));
    }
    let arch = artifact.arch;
    zip_contents::check(&bytes, arch).map_err(|source| BundleError::Contents { path, arch, source })?;
    let relay = artifact.relay.as_ref().map(|relay| {
        let sha256 = relay.sha256.parse()?;
        Ok(RelayInside { version: relay.version.clone(), sha256, glibc: relay.glibc.clone() })
    });
    let relay = relay.transpose().map_err(|error: BadDigest| BundleError::Inconsistent {
        path: dist.join(build_manifest::FILE),
        what: error.to_string(),
    })?;
    let runtimes = artifact
        .relay
        .as_ref()
        .map(|relay| relay_runtimes::compatible_runtimes(&relay.runtimes))
        .unwrap_or_default();
    Ok(Zip { variant: artifact.variant(), digest, relay, runtimes, bytes: bytes.into() })
}

/// The sum of a file in the output of `sha256sum`, in text or binary mode.
fn sum_of<'a>(sums: &'a str, file: &str) -> Option<&'a str> {
    sums.lines().filter_map(|line| line.split_once(' ')).find_map(|(sum, name)| {
        let name = name.strip_prefix([' ', '*']).unwrap_or(name);
        (name == file).then_some(sum)
    })
}

fn description(version: &str, commit: &str, relay: Option<&RelayInside>, digest: &Digest) -> String {
    let (hex, rest) = commit.split_once('-').map_or((commit, None), |(hex, rest)| (hex, Some(rest)));
    let mut commit: String = hex.chars().take(12).collect();
    if let Some(rest) = rest {
        commit = format!("{commit}-{rest}");
    }
    let relay = relay.map(|relay| format!(" with Relay {}", relay.version)).unwrap_or_default();
    let text =
        format!("Sentry Lambda extension {version}{relay}, commit {commit}, sha256 {}", digest.short());
    if text.len() <= MAX_DESCRIPTION { text } else { format!("sha256 {}", digest.short()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_description_names_version_commit_and_hash_and_fits() {
        let digest = Digest::of(b"");
        let relay = RelayInside { version: "26.9.0".to_owned(), sha256: digest, glibc: None };
        assert_eq!(
            description("0.1.0", "44f633d0123456789abcdef0123456789abcdef0-dirty", None, &digest),
            "Sentry Lambda extension 0.1.0, commit 44f633d01234-dirty, sha256 e3b0c44298fc1c14"
        );
        assert_eq!(
            description("0.1.0", "unknown", Some(&relay), &digest),
            "Sentry Lambda extension 0.1.0 with Relay 26.9.0, commit unknown, sha256 e3b0c44298fc1c14"
        );
        let long = description(&"1".repeat(300), "unknown", None, &digest);
        assert!(long.len() <= 256 && long.contains(&digest.short()), "{long}");
    }

    #[test]
    fn sums_are_read_in_both_modes() {
        let sums = "aa  one.zip\nbb *two.zip\n";
        assert_eq!(sum_of(sums, "one.zip"), Some("aa"));
        assert_eq!(sum_of(sums, "two.zip"), Some("bb"));
        assert_eq!(sum_of(sums, "zip"), None);
    }
}
