//! Finds the workspace that is built, from any folder below it.

use crate::{
    build::exec::{self, ExecError},
    failure::Failure,
};
use serde::Deserialize;
use std::{
    env, io,
    path::{Path, PathBuf},
    process::Command,
};

/// The package, and the binary in it, that the layer contains.
pub(crate) const PACKAGE: &str = "sentry-lambda-extension";
/// The package of this program.
pub(crate) const PUBLISHER: &str = "publisher";

/// The workspace that contains the extension.
#[derive(Debug)]
pub(crate) struct Workspace {
    pub(crate) root: PathBuf,
    /// The folder for cargo's output, which `CARGO_TARGET_DIR` may have moved.
    pub(crate) target_dir: PathBuf,
    /// The extension's version.
    pub(crate) version: String,
    /// The oldest rustc that the workspace accepts.
    pub(crate) rust_version: Option<String>,
    /// The cargo that answered, which the build calls again.
    pub(crate) cargo: PathBuf,
}

/// Why there is no workspace.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WorkspaceError {
    #[error("cargo is not on PATH")]
    NoCargo,
    #[error("cannot tell the current folder")]
    CurrentDir(#[source] io::Error),
    #[error("{} is not inside the workspace of {PACKAGE}", .0.display())]
    Outside(PathBuf),
    #[error("cargo cannot read the workspace")]
    Cargo(#[source] ExecError),
    #[error("cannot read what `cargo metadata` says")]
    Metadata(#[source] serde_json::Error),
}

impl From<WorkspaceError> for Failure {
    fn from(error: WorkspaceError) -> Self {
        let hint = match &error {
            WorkspaceError::NoCargo => "install Rust: https://rustup.rs, or apt-get install cargo",
            WorkspaceError::Outside(_) => "change to the folder of the repository, or one below it",
            _ => return Self::new(error),
        };
        Self::new(error).hint(hint)
    }
}

#[derive(Deserialize)]
struct Metadata {
    workspace_root: PathBuf,
    target_directory: PathBuf,
    packages: Vec<Package>,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    version: String,
    rust_version: Option<String>,
}

impl Workspace {
    /// Finds the workspace that contains the current folder.
    pub(crate) fn find() -> Result<Self, WorkspaceError> {
        Self::around(&env::current_dir().map_err(WorkspaceError::CurrentDir)?)
    }

    fn around(folder: &Path) -> Result<Self, WorkspaceError> {
        let outside = || WorkspaceError::Outside(folder.to_owned());
        let manifest = folder
            .ancestors()
            .map(|dir| dir.join("Cargo.toml"))
            .find(|path| path.is_file())
            .ok_or_else(outside)?;
        let cargo = exec::cargo().ok_or(WorkspaceError::NoCargo)?;
        let mut command = Command::new(&cargo);
        command.args(["metadata", "--no-deps", "--format-version", "1", "--manifest-path"]).arg(&manifest);
        let answer = exec::ask(command.current_dir(folder)).map_err(WorkspaceError::Cargo)?;
        let metadata: Metadata = serde_json::from_str(&answer).map_err(WorkspaceError::Metadata)?;
        let package =
            metadata.packages.into_iter().find(|package| package.name == PACKAGE).ok_or_else(outside)?;
        Ok(Self {
            root: metadata.workspace_root,
            target_dir: metadata.target_directory,
            version: package.version,
            rust_version: package.rust_version,
            cargo,
        })
    }
}
