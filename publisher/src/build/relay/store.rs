//! Keeps released Relay versions in an ignored folder. Each file is downloaded once and compared with its pin every
//! time.

use crate::{
    build::{
        relay::{
            client::{self, NoRoots},
            download::{Download, RelayDownloadError},
            inspect::{self, InspectError},
            lock::{self, Lock, LockError, Pin},
            registry::{RegistryError, RegistryRelease, file_name},
        },
        workspace::Workspace,
    },
    failure::Failure,
    model::arch::Arch,
    ui::Ui,
};
use std::{
    collections::BTreeMap,
    fs::{self, File},
    io,
    path::{Path, PathBuf},
};
use ureq::Agent;

pub(crate) struct Store<'a> {
    workspace: &'a Workspace,
    registry: &'a str,
    agent: Agent,
    ui: &'a Ui,
}

/// Why the store has no binary.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StoreError {
    /// No pin exists, so nobody has reviewed this binary.
    #[error("Relay {version} for {arch} is not pinned in {}", lock::FILE)]
    NotPinned { version: String, arch: Arch },
    #[error(
        "{url} is not what is pinned: it has sha256 {} and {} bytes, {} says {} and {}",
        found.sha256, found.size, lock::FILE, pinned.sha256, pinned.size
    )]
    Changed { url: String, found: Pin, pinned: Pin },
    /// Some older versions were not released for arm64.
    #[error("Relay {version} was not released for {arch}: there is no {}", file_name(*arch))]
    NotReleased { version: String, arch: Arch },
    #[error("{url} cannot be used")]
    Unusable { url: String, source: InspectError },
    /// Without certificates, no server can be trusted.
    #[error(transparent)]
    NoRoots(#[from] NoRoots),
    #[error(transparent)]
    Registry(#[from] RegistryError),
    #[error(transparent)]
    Download(#[from] RelayDownloadError),
    #[error(transparent)]
    Lock(#[from] LockError),
    #[error("cannot use {}", path.display())]
    Disk { path: PathBuf, source: io::Error },
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        let hint = match &error {
            StoreError::NotPinned { version, .. } => {
                format!("publisher relay pin {version} downloads it and records its sha256, for review in a diff")
            }
            StoreError::Changed { .. } => format!(
                "nothing was packed; find out why it changed before you remove its lines from {} and pin it again",
                lock::FILE
            ),
            StoreError::NotReleased { arch, .. } => {
                let other = Arch::ALL.into_iter().find(|other| other != arch).unwrap_or(*arch);
                format!("choose another version, or --arch {other}")
            }
            StoreError::Registry(RegistryError::Unknown { .. }) => {
                "versions are listed on https://github.com/getsentry/relay/releases; --relay takes a path as well"
                    .to_owned()
            }
            StoreError::NoRoots(_) => "name a PEM file of certificates, or unset it".to_owned(),
            StoreError::Registry(RegistryError::Unreachable { source, .. })
            | StoreError::Download(RelayDownloadError::Http { source, .. })
                if client::is_refused_certificate(source) =>
            {
                "its certificate is not trusted here; if it should be, SSL_CERT_FILE names a PEM file with the \
                 authorities to trust instead of the system's"
                    .to_owned()
            }
            StoreError::Lock(_) => match error {
                StoreError::Lock(error) => return error.into(),
                other => return Self::new(other),
            },
            StoreError::Download(RelayDownloadError::CutOff { .. }) => {
                "run the command again: it continues where it stopped".to_owned()
            }
            _ => return Self::new(error),
        };
        Self::new(error).hint(hint)
    }
}

impl<'a> Store<'a> {
    /// Makes a store that asks the registry at this URL.
    pub(crate) fn new(workspace: &'a Workspace, registry: &'a str, ui: &'a Ui) -> Result<Self, StoreError> {
        Ok(Self { workspace, registry, agent: client::agent(registry)?, ui })
    }

    /// The binaries of a pinned version. A kept file that matches its pin is not downloaded again.
    pub(crate) fn pinned(&self, version: &str, archs: &[Arch]) -> Result<Vec<(Arch, Vec<u8>)>, StoreError> {
        let lock = Lock::open(&self.workspace.root)?;
        let not_pinned = |arch| StoreError::NotPinned { version: version.to_owned(), arch };
        let pin = |&arch| Ok((arch, lock.get(version, arch).ok_or_else(|| not_pinned(arch))?));
        let pins: Vec<(Arch, Pin)> = archs.iter().map(pin).collect::<Result<_, StoreError>>()?;
        let (folder, _lock) = self.folder(version)?;
        let mut release = None;
        let mut binaries = Vec::new();
        for (arch, pin) in pins {
            let path = folder.join(file_name(arch));
            let kept = fs::read(&path).ok().filter(|bytes| Pin::of(bytes) == pin);
            let binary = if let Some(kept) = kept {
                kept
            } else {
                let release = match &release {
                    Some(release) => release,
                    None => release.insert(RegistryRelease::ask(&self.agent, self.registry, version)?),
                };
                self.fetch(release, version, arch, Some(pin), &path)?
            };
            binaries.push((arch, binary));
        }
        Ok(binaries)
    }

    /// Downloads a version again, for every architecture that it was released for, and records the digests.
    pub(crate) fn pin(&self, version: &str) -> Result<BTreeMap<Arch, Pin>, StoreError> {
        let mut lock = Lock::open(&self.workspace.root)?;
        let (folder, _lock) = self.folder(version)?;
        let release = RegistryRelease::ask(&self.agent, self.registry, version)?;
        let mut found = BTreeMap::new();
        for arch in Arch::ALL.into_iter().filter(|&arch| release.url(file_name(arch)).is_some()) {
            let pinned = lock.get(version, arch);
            let binary = self.fetch(&release, version, arch, pinned, &folder.join(file_name(arch)))?;
            found.insert(arch, Pin::of(&binary));
        }
        if found.is_empty() {
            return Err(StoreError::NotReleased { version: version.to_owned(), arch: Arch::X86_64 });
        }
        lock.add(version, &found)?;
        Ok(found)
    }

    fn fetch(
        &self,
        release: &RegistryRelease,
        version: &str,
        arch: Arch,
        pinned: Option<Pin>,
        path: &Path,
    ) -> Result<Vec<u8>, StoreError> {
        let missing = || StoreError::NotReleased { version: version.to_owned(), arch };
        let url = release.url(file_name(arch)).ok_or_else(missing)?;
        let part = path.with_extension("part");
        let disk = |source| StoreError::Disk { path: part.clone(), source };
        let what = format!("Relay {version} for {arch}");
        self.ui.status("Downloading", &what);
        let download = Download {
            agent: &self.agent,
            url,
            part: &part,
            what: &what,
            known_hash: pinned.is_some(),
            ui: self.ui,
        };
        let pieced = download.run()?;
        let mut binary = fs::read(&part).map_err(disk)?;
        if pieced && pinned.is_some_and(|pinned| pinned != Pin::of(&binary)) {
            // The pieces may come from different files. So the file is downloaded again in one piece before its hash
            // decides.
            fs::remove_file(&part).map_err(disk)?;
            download.run()?;
            binary = fs::read(&part).map_err(disk)?;
        }
        let refused = match pinned {
            Some(pinned) if pinned != Pin::of(&binary) => {
                Some(StoreError::Changed { url: url.to_owned(), found: Pin::of(&binary), pinned })
            }
            _ => inspect::inspect(&binary, arch)
                .err()
                .map(|source| StoreError::Unusable { url: url.to_owned(), source }),
        };
        if let Some(refused) = refused {
            // The next attempt has to start from the beginning.
            fs::remove_file(&part).map_err(disk)?;
            return Err(refused);
        }
        fs::rename(&part, path).map_err(disk)?;
        Ok(binary)
    }

    /// The folder for a version's files. Until the lock is dropped, no other run writes to it.
    fn folder(&self, version: &str) -> Result<(PathBuf, File), StoreError> {
        let path = self.workspace.root.join(".tools/relay").join(version);
        let lock = || {
            fs::create_dir_all(&path)?;
            let file = File::create(path.join("lock"))?;
            file.lock()?;
            Ok(file)
        };
        let lock = lock().map_err(|source| StoreError::Disk { path: path.clone(), source })?;
        Ok((path, lock))
    }
}
