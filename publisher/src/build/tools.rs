//! Finds cargo-lambda and zig: on PATH, or else in the project's own virtual environment.

use crate::{
    build::{
        cross_tools::CrossTools,
        exec::ExecError,
        rust::Rust,
        venv::{Venv, VenvError},
        workspace::Workspace,
    },
    failure::Failure,
    ui::Ui,
};

/// Everything that a build calls, each with its version.
#[derive(Clone, Debug)]
pub(crate) struct Tools {
    pub(crate) rust: Rust,
    pub(crate) cross: CrossTools,
    pub(crate) cargo_lambda_version: String,
    pub(crate) zig_version: String,
}

/// Why a tool cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ToolError {
    #[error(transparent)]
    Venv(#[from] VenvError),
    /// The tool is installed but does not work.
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
    /// Finds the tools, and installs missing ones into the workspace's virtual environment.
    pub(crate) fn find(workspace: &Workspace, ui: &Ui) -> Result<Self, ToolError> {
        let rust = Rust::ask(&workspace.root)?;
        let cross =
            if let Some(cross) = CrossTools::on_path() { cross } else { Venv::of(workspace).ready(ui)? };
        let cargo_lambda_version = cross.version()?;
        let zig_version = cross.zig.version()?;
        Ok(Self { rust, cross, cargo_lambda_version, zig_version })
    }
}
