//! cargo-lambda and zig: those on PATH, else those of the project's own virtual environment.

use crate::{
    build::{
        exec::{self, ExecError},
        rust::Rust,
        venv::{Venv, VenvError},
        workspace::Workspace,
    },
    failure::Failure,
    ui::Ui,
};
use std::{
    path::{Path, PathBuf},
    process::Command,
};

/// How zig is called.
#[derive(Clone, Debug)]
pub(crate) enum Zig {
    /// The program itself.
    Binary(PathBuf),
    /// The `ziglang` package of this Python.
    Python(PathBuf),
}

impl Zig {
    fn command(&self) -> Command {
        match self {
            Self::Binary(zig) => Command::new(zig),
            Self::Python(python) => {
                let mut command = Command::new(python);
                command.args(["-m", "ziglang"]);
                command
            }
        }
    }

    /// Makes cargo-lambda use this zig and no other: it would prefer that of the first Python on PATH.
    pub(crate) fn apply(&self, command: &mut Command) {
        match self {
            Self::Binary(zig) => {
                command.env("CARGO_ZIGBUILD_ZIG_PATH", zig).env("CARGO_ZIGBUILD_PYTHON_PATH", "no-python");
            }
            Self::Python(python) => {
                command.env("CARGO_ZIGBUILD_PYTHON_PATH", python);
            }
        }
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        match self {
            Self::Binary(path) | Self::Python(path) => path,
        }
    }

    /// `zig version`.
    pub(crate) fn version(&self) -> Result<String, ExecError> {
        exec::ask(self.command().arg("version"))
    }
}

/// cargo-lambda and the zig that it links with.
#[derive(Clone, Debug)]
pub(crate) struct CrossTools {
    /// The program `cargo-lambda`.
    pub(crate) cargo_lambda: PathBuf,
    /// The zig to use with it.
    pub(crate) zig: Zig,
}

impl CrossTools {
    /// Both from PATH. One alone does not count: the pinned pair is known to work together.
    pub(crate) fn on_path() -> Option<Self> {
        Some(Self { cargo_lambda: exec::find("cargo-lambda")?, zig: Zig::Binary(exec::find("zig")?) })
    }

    /// `cargo lambda --version`.
    pub(crate) fn version(&self) -> Result<String, ExecError> {
        exec::ask(Command::new(&self.cargo_lambda).args(["lambda", "--version"]))
    }
}

/// Everything that a build calls, each with its version.
#[derive(Clone, Debug)]
pub(crate) struct Tools {
    /// The compiler.
    pub(crate) rust: Rust,
    /// cargo-lambda and zig.
    pub(crate) cross: CrossTools,
    /// cargo-lambda's version.
    pub(crate) cargo_lambda_version: String,
    /// zig's version.
    pub(crate) zig_version: String,
}

/// Why a tool cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ToolError {
    /// The virtual environment could not be made.
    #[error(transparent)]
    Venv(#[from] VenvError),
    /// It is there but does not work.
    #[error("a tool does not work")]
    Broken(#[from] ExecError),
}

impl From<ToolError> for Failure {
    fn from(error: ToolError) -> Self {
        match error {
            ToolError::Venv(error) => error.into(),
            broken @ ToolError::Broken(_) => {
                Self::new(broken).hint("publisher doctor says what is installed and what is missing")
            }
        }
    }
}

impl Tools {
    /// Finds them, and installs what is missing into the workspace's virtual environment.
    pub(crate) fn find(workspace: &Workspace, ui: &Ui) -> Result<Self, ToolError> {
        let rust = Rust::ask(&workspace.root)?;
        let cross =
            if let Some(cross) = CrossTools::on_path() { cross } else { Venv::of(workspace).ready(ui)? };
        let cargo_lambda_version = cross.version()?;
        let zig_version = cross.zig.version()?;
        Ok(Self { rust, cross, cargo_lambda_version, zig_version })
    }
}
