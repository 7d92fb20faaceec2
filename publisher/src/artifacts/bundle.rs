//! What was built, read from `dist/` and checked against itself before anybody is asked anything.

use crate::{
    artifacts::{
        build_manifest::{self, Artifact, BuildManifest, BuildManifestError, Toolchain},
        layers_manifest::RelayInside,
        relay_runtimes,
        zip_contents::{self, ContentsError},
    },
    model::{
        arch::Arch,
        digest::{BadDigest, Digest},
        variant::{LayerKind, Variant},
    },
};
use bytes::Bytes;
use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
};

/// The sums' file name inside `dist/`.
pub(crate) const SUMS: &str = "SHA256SUMS";
/// Lambda's limit for a zip that comes with the request; larger ones go through a bucket.
pub(crate) const DIRECT: u64 = 50 * 1024 * 1024;
/// A zip of this size cannot unpack to less than Lambda's 250 MB: it is not even read.
const LARGEST: u64 = 250 * 1024 * 1024;

/// One release as it lies in `dist/`.
#[derive(Debug)]
pub(crate) struct Bundle {
    /// The workspace's version.
    pub(crate) version: String,
    /// The commit built.
    pub(crate) commit: String,
    /// The tools that made the bytes.
    pub(crate) toolchain: Toolchain,
    /// The zips that were asked for: of each architecture the plain one, then the one with Relay if there is one.
    pub(crate) zips: Vec<Zip>,
    /// All zips of the build, as `build.json` has them.
    pub(crate) built: BTreeMap<Variant, Digest>,
}

/// A layer zip whose bytes are what `build.json` and the sums say.
#[derive(Clone, Debug)]
pub(crate) struct Zip {
    /// What is inside.
    pub(crate) variant: Variant,
    /// Of the whole file.
    pub(crate) digest: Digest,
    /// The Relay in it.
    pub(crate) relay: Option<RelayInside>,
    /// What Lambda is told of the runtimes that it is for; nothing: all.
    pub(crate) runtimes: Vec<String>,
    /// The file. Shared: it is as large as it gets here.
    pub(crate) bytes: Bytes,
}

/// Why `dist/` is not fit to be published.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BundleError {
    /// There is no manifest that can be used.
    #[error(transparent)]
    Manifest(#[from] BuildManifestError),
    /// A file that should be there cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Only one architecture was built.
    #[error("{} has no {arch} zip; both architectures are published together", path.display())]
    Missing {
        /// The manifest.
        path: PathBuf,
        /// What it lacks.
        arch: Arch,
    },
    /// Layers with Relay were asked for.
    #[error("{} lists no zip with Relay", .0.display())]
    NoRelay(PathBuf),
    /// The same architecture twice, or a file outside `dist/`.
    #[error("{} is not sound: {what}", path.display())]
    Unsound {
        /// The manifest.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
    },
    /// Lambda would refuse it.
    #[error("{} has {size} bytes; Lambda takes at most {LARGEST}, even unpacked", path.display())]
    TooLarge {
        /// Which zip.
        path: PathBuf,
        /// Its size.
        size: u64,
    },
    /// Lambda could do nothing with it.
    #[error("{} is no layer for {arch}", path.display())]
    Contents {
        /// Which zip.
        path: PathBuf,
        /// Its architecture.
        arch: Arch,
        /// What is wrong with it.
        source: ContentsError,
    },
    /// The zip is not the one that was built.
    #[error("{} was changed after it was built: {what} is {found}, {file} says {expected}", path.display())]
    Changed {
        /// Which zip.
        path: PathBuf,
        /// Size or sha256.
        what: &'static str,
        /// As it is.
        found: String,
        /// The file that says otherwise.
        file: &'static str,
        /// As it was.
        expected: String,
    },
}

impl Bundle {
    /// Reads `dist/build.json`, `dist/SHA256SUMS` and the zips, or those of one kind.
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
        let digest = |artifact: &&Artifact| artifact.sha256.parse::<Digest>();
        let built = artifacts.iter().map(|(variant, artifact)| Ok((*variant, digest(artifact)?)));
        let built = built.collect::<Result<_, BadDigest>>();
        let built = built.map_err(|error| BundleError::Unsound { path, what: error.to_string() })?;
        let BuildManifest { version, commit, toolchain, .. } = manifest;
        Ok(Self { version, commit, toolchain, zips, built })
    }

    /// One of the zips that were asked for.
    pub(crate) fn zip(&self, variant: Variant) -> Option<&Zip> {
        self.zips.iter().find(|zip| zip.variant == variant)
    }

    /// Whether this is a version before the real one, like `1.2.0-rc.1`.
    pub(crate) fn is_prerelease(&self) -> bool {
        self.version.split('+').next().unwrap_or_default().contains('-')
    }

    /// The description of a zip's layer version: what it is, and the digits that it is found by.
    pub(crate) fn description(&self, zip: &Zip) -> String {
        description(&self.version, &self.commit, zip.relay.as_ref(), &zip.digest)
    }
}

/// The artifacts of a build, each once, and the plain one of every architecture among them.
fn by_variant<'a>(
    artifacts: &'a [Artifact],
    path: &Path,
) -> Result<BTreeMap<Variant, &'a Artifact>, BundleError> {
    let unsound = |what: String| BundleError::Unsound { path: path.to_owned(), what };
    let mut all = BTreeMap::new();
    for artifact in artifacts {
        let variant = artifact.variant();
        if all.insert(variant, artifact).is_some() {
            return Err(unsound(format!("it lists {variant} twice")));
        }
        if artifact.file_name().is_none() {
            return Err(unsound(format!("`{}` is not a file's name", artifact.file)));
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
    if size > LARGEST {
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
    let sum = sum_of(sums, &artifact.file).unwrap_or("nothing of it");
    if sum != digest.to_string() {
        return Err(changed("its sha256", digest.to_string(), SUMS, sum));
    }
    let arch = artifact.arch;
    zip_contents::check(&bytes, arch).map_err(|source| BundleError::Contents { path, arch, source })?;
    let relay = artifact.relay.as_ref().map(|relay| {
        let sha256 = relay.sha256.parse()?;
        Ok(RelayInside { version: relay.version.clone(), sha256, glibc: relay.glibc.clone() })
    });
    let relay = relay.transpose().map_err(|error: BadDigest| BundleError::Unsound {
        path: dist.join(build_manifest::FILE),
        what: error.to_string(),
    })?;
    let runtimes =
        artifact.relay.as_ref().map(|relay| relay_runtimes::told(&relay.runtimes)).unwrap_or_default();
    Ok(Zip { variant: artifact.variant(), digest, relay, runtimes, bytes: bytes.into() })
}

/// The line of a file in the output of `sha256sum`, text or binary mode.
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
    if text.len() <= 256 { text } else { format!("sha256 {}", digest.short()) }
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
