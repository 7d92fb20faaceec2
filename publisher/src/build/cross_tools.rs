//! Calls cargo-lambda and the zig that it links with.

use crate::build::exec::{self, ExecError};
use std::{
    path::{Path, PathBuf},
    process::Command,
};

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

    /// Makes cargo-lambda use exactly this zig. Without that, cargo-lambda prefers the zig of the first Python on
    /// PATH.
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

    /// The path of the zig program, or of the Python that has the `ziglang` package.
    pub(crate) fn path(&self) -> &Path {
        match self {
            Self::Binary(path) | Self::Python(path) => path,
        }
    }

    /// The output of `zig version`.
    pub(crate) fn version(&self) -> Result<String, ExecError> {
        exec::ask(self.command().arg("version"))
    }
}

#[derive(Clone, Debug)]
pub(crate) struct CrossTools {
    /// The program `cargo-lambda`.
    pub(crate) cargo_lambda: PathBuf,
    /// The zig to use with it.
    pub(crate) zig: Zig,
}

impl CrossTools {
    /// Both tools from PATH. If one is missing, neither is used, because only the pinned pair is known to work
    /// together.
    pub(crate) fn on_path() -> Option<Self> {
        Some(Self { cargo_lambda: exec::find("cargo-lambda")?, zig: Zig::Binary(exec::find("zig")?) })
    }

    /// The output of `cargo lambda --version`.
    pub(crate) fn version(&self) -> Result<String, ExecError> {
        exec::ask(Command::new(&self.cargo_lambda).args(["lambda", "--version"]))
    }
}
