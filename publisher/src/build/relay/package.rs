//! Fetches Sentry's source package with pip, which checks its hash, and changes the workspace in it as the recipe says.

use crate::build::{
    exec::{self, ExecError},
    relay::recipe::{self, EditError},
};
use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    process::Command,
};
use zip::{ZipArchive, result::ZipError};

#[derive(Debug, thiserror::Error)]
pub(crate) enum PackageError {
    #[error("python3 is not installed, which downloads Relay's sources")]
    NoPython,
    /// Debian ships Python without its `venv` module.
    #[error("python3 cannot make a virtual environment to download Relay's sources with")]
    NoVenv(#[source] ExecError),
    #[error("pip cannot download Relay's sources")]
    Pip(#[source] ExecError),
    #[error("the archive of Relay's sources cannot be unpacked")]
    Tar(#[source] ExecError),
    #[error("{} in the archive of Relay's sources cannot be unpacked", recipe::SOURCES)]
    Zip(#[from] ZipError),
    #[error(transparent)]
    Edit(#[from] EditError),
    #[error("cannot use {}", path.display())]
    Disk { path: PathBuf, source: io::Error },
}

impl PackageError {
    /// What to do next.
    pub(crate) fn hint(&self) -> &'static str {
        match self {
            Self::NoPython | Self::NoVenv(_) => "apt-get install python3 python3-venv",
            Self::Pip(_) => "see pip's message above; it needs a package index such as pypi.org",
            Self::Tar(_) => "apt-get install tar gzip",
            Self::Zip(_) | Self::Edit(_) => {
                "publisher/src/build/relay/recipe.rs names the package and what is changed in it"
            }
            Self::Disk { .. } => "check the folder's owner and mode, and the room on its disk",
        }
    }
}

/// The workspace in `folder`, ready to be built. It is fetched unless an earlier run has already done that.
pub(crate) fn workspace(folder: &Path) -> Result<PathBuf, PackageError> {
    let workspace = folder.join("workspace");
    if !workspace.exists() {
        let aside = folder.join("fetching");
        remove(&aside)?;
        fetch(&aside)?;
        let unpacked = aside.join("rustsrc");
        for edit in &recipe::EDITS {
            let path = unpacked.join(edit.file);
            let disk = |source| PackageError::Disk { path: path.clone(), source };
            let text = fs::read_to_string(&path).map_err(disk)?;
            fs::write(&path, edit.apply(&text)?).map_err(disk)?;
        }
        // It gets its name last, so that an interrupted run leaves nothing that looks complete.
        fs::rename(&unpacked, &workspace)
            .map_err(|source| PackageError::Disk { path: workspace.clone(), source })?;
        remove(&aside)?;
    }
    Ok(workspace)
}

/// Downloads the package, and unpacks the workspace to `folder/rustsrc`.
fn fetch(folder: &Path) -> Result<(), PackageError> {
    let requirements = folder.join("requirements.txt");
    let disk = |source| PackageError::Disk { path: requirements.clone(), source };
    fs::create_dir_all(folder).map_err(disk)?;
    fs::write(&requirements, format!("{}\n", recipe::PACKAGE)).map_err(disk)?;
    // The pip of a distribution's Python may be missing. That of a virtual environment is not.
    let venv = folder.join("venv");
    let python = exec::find("python3").ok_or(PackageError::NoPython)?;
    exec::show(Command::new(python).args(["-m", "venv"]).arg(&venv)).map_err(PackageError::NoVenv)?;
    let mut pip = Command::new(venv.join("bin/python"));
    pip.args(["-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"])
        .args(["--no-binary", "sentry-relay", "--require-hashes", "--requirement"])
        .arg(&requirements)
        .arg("--dest")
        .arg(folder);
    exec::show(&mut pip).map_err(PackageError::Pip)?;

    let is_archive = |path: &PathBuf| path.to_string_lossy().ends_with(".tar.gz");
    let mut files = fs::read_dir(folder).map_err(disk)?.flatten().map(|entry| entry.path());
    let archive = files.find(is_archive).unwrap_or_else(|| folder.join("sentry_relay.tar.gz"));
    let mut tar = Command::new("tar");
    tar.args(["--extract", "--gzip", "--strip-components", "1", "--directory"])
        .arg(folder)
        .arg("--file")
        .arg(archive);
    exec::show(&mut tar).map_err(PackageError::Tar)?;
    let sources = folder.join(recipe::SOURCES);
    let zip = File::open(&sources).map_err(|source| PackageError::Disk { path: sources, source })?;
    Ok(ZipArchive::new(zip)?.extract(folder)?)
}

/// Removes a folder of an earlier run.
pub(crate) fn remove(folder: &Path) -> Result<(), PackageError> {
    match fs::remove_dir_all(folder) {
        Err(source) if source.kind() != io::ErrorKind::NotFound => {
            Err(PackageError::Disk { path: folder.to_owned(), source })
        }
        _ => Ok(()),
    }
}
