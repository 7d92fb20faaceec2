//! Reads what `--relay` names: a file, a folder like one of Sentry's releases, or a version.

use crate::{
    build::{
        elf::{self, ElfError},
        relay::{
            inspect::InspectError,
            registry::file_name,
            store::{Store, StoreError},
        },
    },
    failure::{Code, Failure},
    model::arch::Arch,
};
use std::{
    fs, io,
    path::{Path, PathBuf},
    str::FromStr,
};

/// A version that is safe to use in a URL and in a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RelayVersion(String);

impl RelayVersion {
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

#[derive(Debug, thiserror::Error)]
#[error("`{0}` is not a version such as 26.9.0")]
pub(crate) struct BadRelayVersion(String);

impl FromStr for RelayVersion {
    type Err = BadRelayVersion;

    fn from_str(text: &str) -> Result<Self, BadRelayVersion> {
        let fits = text.starts_with(|first: char| first.is_ascii_digit())
            && text.contains('.')
            && !text.contains("..")
            && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-+".contains(&byte));
        if fits { Ok(Self(text.to_owned())) } else { Err(BadRelayVersion(text.to_owned())) }
    }
}

/// A Relay binary to pack.
#[derive(Debug)]
pub(crate) struct RelayBinary {
    pub(crate) arch: Arch,
    /// A released version such as `26.9.0`, or `local`.
    pub(crate) version: String,
    /// The name of the file or of the release, for messages.
    pub(crate) origin: String,
    pub(crate) binary: Vec<u8>,
}

/// Why `--relay` names nothing that can be packed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SourceError {
    #[error("--relay {0}: there is no such file or folder, and it is not a version such as 26.9.0")]
    Neither(String),
    /// A single file cannot serve two architectures.
    #[error("--relay {} is one file; --arch asks for two architectures", .0.display())]
    OneFile(PathBuf),
    /// The file cannot be read, or the folder lacks the file for one architecture.
    #[error("cannot read {}", path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("{} cannot go into a layer", path.display())]
    Machine { path: PathBuf, source: ElfError },
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<SourceError> for Failure {
    fn from(error: SourceError) -> Self {
        match error {
            SourceError::Store(error) => error.into(),
            SourceError::Neither(_) | SourceError::OneFile(_) => {
                Self::message(Code::Usage, error.to_string()).hint(format!(
                    "give a file (and its --arch), a folder with {} and {}, or a version",
                    file_name(Arch::Arm64),
                    file_name(Arch::X86_64)
                ))
            }
            other => Self::new(other),
        }
    }
}

/// Reads or downloads what `--relay` names. `asked` are the architectures that the user named, and `archs` are those
/// to build.
pub(crate) fn load(
    text: &str,
    asked: &[Arch],
    archs: &[Arch],
    store: &Store<'_>,
) -> Result<Vec<RelayBinary>, SourceError> {
    let path = Path::new(text);
    if path.is_dir() {
        return archs.iter().map(|&arch| local(arch, &path.join(file_name(arch)))).collect();
    }
    if path.exists() {
        if asked.len() > 1 {
            return Err(SourceError::OneFile(path.to_owned()));
        }
        let binary = read(path)?;
        let damaged = |source| SourceError::Machine { path: path.to_owned(), source };
        let arch = match asked.first() {
            Some(&arch) => arch,
            None => elf::arch_of(&binary).map_err(damaged)?,
        };
        return Ok(vec![RelayBinary { arch, version: "local".to_owned(), origin: text.to_owned(), binary }]);
    }
    let version: RelayVersion = text.parse().map_err(|_| SourceError::Neither(text.to_owned()))?;
    let binaries = store.pinned(version.as_str(), archs)?;
    let relay = |(arch, binary)| RelayBinary {
        arch,
        version: version.as_str().to_owned(),
        origin: format!("Relay {}", version.as_str()),
        binary,
    };
    Ok(binaries.into_iter().map(relay).collect())
}

fn local(arch: Arch, path: &Path) -> Result<RelayBinary, SourceError> {
    let binary = read(path)?;
    Ok(RelayBinary { arch, version: "local".to_owned(), origin: path.display().to_string(), binary })
}

fn read(path: &Path) -> Result<Vec<u8>, SourceError> {
    fs::read(path).map_err(|source| SourceError::Read { path: path.to_owned(), source })
}

/// The failure of packing this binary.
pub(crate) fn refused(relay: &RelayBinary, error: &InspectError) -> Failure {
    let text = format!("{} cannot be packed for {}: {error}", relay.origin, relay.arch);
    Failure::message(Code::Failed, text).hint("nothing was written; Lambda needs a Linux build of Relay")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_cannot_contain_a_path() {
        for good in ["26.9.0", "26.9.0-rc.1"] {
            assert!(good.parse::<RelayVersion>().is_ok(), "{good}");
        }
        for bad in ["", "latest", "26", "../26.9.0", "26.9.0/../..", "26..9", "26.9.0?x", "relay"] {
            assert!(bad.parse::<RelayVersion>().is_err(), "{bad}");
        }
    }
}
