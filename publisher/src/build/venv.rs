//! The project's own virtual environment, in an ignored folder. It has the pinned cargo-lambda and zig.

use crate::{
    build::{
        cross_tools::{CrossTools, Zig},
        exec::{self, ExecError},
        workspace::Workspace,
    },
    failure::Failure,
    ui::Ui,
};
use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    process::Command,
};

/// The file with the pinned versions, relative to the workspace.
const PINS: &str = "ci/requirements.txt";

/// The virtual environment in `<workspace>/.tools/build`.
#[derive(Debug)]
pub(crate) struct Venv {
    dir: PathBuf,
    pins: PathBuf,
}

/// Why there is no virtual environment.
#[derive(Debug, thiserror::Error)]
pub(crate) enum VenvError {
    #[error("cargo-lambda and zig are not on PATH, and there is no python3 to install them with")]
    NoPython,
    /// Debian ships Python without its `venv` module.
    #[error("python3 cannot make a virtual environment for cargo-lambda and zig")]
    NoVenv(#[source] ExecError),
    #[error("pip cannot install cargo-lambda and zig as {PINS} pins them")]
    Pip(#[source] ExecError),
    #[error("{PINS} does not install cargo-lambda")]
    NoCargoLambda,
    #[error("cannot use {}", .path.display())]
    Io { path: PathBuf, source: io::Error },
}

impl From<VenvError> for Failure {
    fn from(error: VenvError) -> Self {
        let hint = match &error {
            VenvError::NoPython | VenvError::NoVenv(_) => "apt-get install python3 python3-venv",
            VenvError::Pip(_) => "see pip's message above; or put cargo-lambda and zig on PATH yourself",
            VenvError::NoCargoLambda => "the file in the repository has it: git checkout ci/requirements.txt",
            VenvError::Io { .. } => "check the folder's owner and mode",
        };
        Self::new(error).hint(hint)
    }
}

impl Venv {
    /// The virtual environment of a workspace, whether it exists or not.
    pub(crate) fn of(workspace: &Workspace) -> Self {
        Self { dir: workspace.root.join(".tools/build"), pins: workspace.root.join(PINS) }
    }

    /// The tools in it, if it is complete and has the versions that are pinned now.
    pub(crate) fn installed(&self) -> Option<CrossTools> {
        let pins = fs::read(&self.pins).ok()?;
        (fs::read(self.stamp()).ok()? == pins).then(|| self.tools()).flatten()
    }

    /// The tools in it. Installs them if necessary.
    pub(crate) fn ready(&self, ui: &Ui) -> Result<CrossTools, VenvError> {
        if let Some(tools) = self.installed() {
            return Ok(tools);
        }
        let _lock = self.lock()?;
        // Another build may have installed them while this one waited.
        if let Some(tools) = self.installed() {
            return Ok(tools);
        }
        let pins = fs::read(&self.pins).map_err(|source| io_error(&self.pins, source))?;
        let python = exec::find("python3").ok_or(VenvError::NoPython)?;
        ui.status("Installing", format_args!("cargo-lambda and zig into {}", self.dir.display()));
        if self.dir.exists() {
            fs::remove_dir_all(&self.dir).map_err(|source| io_error(&self.dir, source))?;
        }
        exec::show(Command::new(python).args(["-m", "venv"]).arg(&self.dir)).map_err(VenvError::NoVenv)?;
        exec::show(
            Command::new(self.python())
                .args([
                    "-m",
                    "pip",
                    "install",
                    "--disable-pip-version-check",
                    "--only-binary=:all:",
                    "--requirement",
                ])
                .arg(&self.pins),
        )
        .map_err(VenvError::Pip)?;
        let tools = self.tools().ok_or(VenvError::NoCargoLambda)?;
        // The stamp is written last. An environment without it is incomplete, because its installation was
        // interrupted.
        fs::write(self.stamp(), pins).map_err(|source| io_error(&self.stamp(), source))?;
        Ok(tools)
    }

    fn lock(&self) -> Result<File, VenvError> {
        let path = self.dir.with_extension("lock");
        let lock = || {
            fs::create_dir_all(path.parent().unwrap_or(Path::new(".")))?;
            let file = File::create(&path)?;
            file.lock()?;
            Ok(file)
        };
        lock().map_err(|source| io_error(&path, source))
    }

    fn tools(&self) -> Option<CrossTools> {
        let cargo_lambda = self.dir.join("bin/cargo-lambda");
        exec::is_executable(&cargo_lambda)
            .then(|| CrossTools { cargo_lambda, zig: Zig::Python(self.python()) })
    }

    fn python(&self) -> PathBuf {
        self.dir.join("bin/python")
    }

    fn stamp(&self) -> PathBuf {
        self.dir.join("requirements.txt")
    }
}

fn io_error(path: &Path, source: io::Error) -> VenvError {
    VenvError::Io { path: path.to_owned(), source }
}
