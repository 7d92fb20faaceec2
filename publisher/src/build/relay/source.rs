//! Reads what `--relay` names: a file, a folder like one of Sentry's releases, or a version.

use crate::{
    build::{
        elf::{self, ElfError},
        relay::{
            inspect::InspectError,
            registry::file_name,
            store::{Store, StoreError},
            version::RelayVersion,
        },
    },
    failure::{Code, Failure},
    model::arch::Arch,
};
use std::{
    fs, io,
    path::{Path, PathBuf},
};

/// A Relay binary to pack.
#[derive(Debug)]
pub(crate) struct RelayBinary {
    pub(crate) arch: Arch,
    /// A version such as `26.9.0`, or `local` for a file that does not say its version.
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
        return Ok(vec![from_file(arch, text.to_owned(), binary)]);
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
    Ok(from_file(arch, path.display().to_string(), read(path)?))
}

fn from_file(arch: Arch, origin: String, binary: Vec<u8>) -> RelayBinary {
    let version = RelayVersion::in_binary(&binary);
    let version = version.map_or_else(|| "local".to_owned(), |version| version.as_str().to_owned());
    RelayBinary { arch, version, origin, binary }
}

fn read(path: &Path) -> Result<Vec<u8>, SourceError> {
    fs::read(path).map_err(|source| SourceError::Read { path: path.to_owned(), source })
}

/// The failure of packing this binary.
pub(crate) fn refused(relay: &RelayBinary, error: &InspectError) -> Failure {
    let text = format!("{} cannot be packed for {}: {error}", relay.origin, relay.arch);
    Failure::message(Code::Failed, text)
        .hint("nothing was written; Lambda needs a Linux build of Relay: publisher relay build")
}
