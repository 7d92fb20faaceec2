//! cargo-lambda and the zig that it links with: how they are called.

use crate::build::exec::{self, ExecError};
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
