//! Where std for the musl targets comes from: installed, added by rustup, or compiled along.

use super::{
    exec::{self, ExecError},
    rust::Rust,
    workspace::Workspace,
};
use crate::{arch::Arch, failure::Failure, ui::Ui};
use clap::ValueEnum;
use std::process::Command;

/// What the user asks for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum StdMode {
    /// What is installed, else what rustup can add, else compile it
    #[default]
    Auto,
    /// Installed with the compiler, or added by rustup
    Prebuilt,
    /// Compile it with the compiler's own sources
    Source,
}

/// What it comes down to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StdKind {
    /// Installed with the compiler.
    Prebuilt,
    /// Compiled along (`-Z build-std`).
    Source,
}

impl StdKind {
    /// As `build.json` spells it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Prebuilt => "prebuilt",
            Self::Source => "source",
        }
    }
}

/// Why there is no std.
#[derive(Debug, thiserror::Error)]
pub enum StdError {
    /// `--std source` without sources.
    #[error("std's sources are not installed in {0}")]
    NoSources(String),
    /// `--std prebuilt` without std or rustup.
    #[error("std for {0} is not installed, and this compiler is not one of rustup's")]
    NoPrebuilt(&'static str),
    /// Neither.
    #[error(
        "std for {0} is not installed, this compiler is not one of rustup's, and std's sources are missing"
    )]
    Neither(&'static str),
    /// rustup could not.
    #[error("rustup cannot add the target")]
    Rustup(#[source] ExecError),
}

/// The packages that distributions put std's sources into.
const SOURCE_PACKAGES: &str = "apt-get install rust-src
beside a rustc of another package: rust-web-src for rustc-web, rust-1.95-src for rustc-1.95
with rustup: rustup component add rust-src";

impl From<StdError> for Failure {
    fn from(error: StdError) -> Self {
        let hint = match &error {
            StdError::NoSources(_) => SOURCE_PACKAGES.to_owned(),
            StdError::NoPrebuilt(_) => {
                format!("compile it instead: --std source\nwhich needs: {SOURCE_PACKAGES}")
            }
            StdError::Neither(target) => {
                format!("{SOURCE_PACKAGES}\nor, with rustup: rustup target add {target}")
            }
            StdError::Rustup(_) => {
                format!("without the network, compile it: --std source\nwhich needs: {SOURCE_PACKAGES}")
            }
        };
        Self::new(error).hint(hint)
    }
}

/// What the host has to offer.
#[derive(Clone, Copy, Debug)]
struct Offer {
    /// The first target whose std is not installed.
    missing: Option<Arch>,
    rustup: bool,
    sources: bool,
}

/// What to do about std.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Plan {
    Use(StdKind, &'static str),
    AddTargets,
}

fn plan(mode: StdMode, offer: Offer, sysroot: &str) -> Result<Plan, StdError> {
    match (mode, offer.missing) {
        (StdMode::Source, _) if offer.sources => Ok(Plan::Use(StdKind::Source, "as asked")),
        (StdMode::Source, _) => Err(StdError::NoSources(sysroot.to_owned())),
        (_, None) => Ok(Plan::Use(StdKind::Prebuilt, "it is installed")),
        (_, Some(_)) if offer.rustup => Ok(Plan::AddTargets),
        (StdMode::Prebuilt, Some(arch)) => Err(StdError::NoPrebuilt(arch.target())),
        (StdMode::Auto, Some(_)) if offer.sources => {
            Ok(Plan::Use(StdKind::Source, "it is not installed, and this compiler is not one of rustup's"))
        }
        (StdMode::Auto, Some(arch)) => Err(StdError::Neither(arch.target())),
    }
}

/// Decides where std comes from, gets it if need be, and says what it took and why.
pub fn provide(
    mode: StdMode,
    archs: &[Arch],
    rust: &Rust,
    workspace: &Workspace,
    ui: &Ui,
) -> Result<StdKind, StdError> {
    let missing = || archs.iter().copied().find(|&arch| !rust.has_std(arch));
    let offer = Offer { missing: missing(), rustup: rust.is_rustup(), sources: rust.has_sources() };
    let (kind, why) = match plan(mode, offer, &rust.sysroot.display().to_string())? {
        Plan::Use(kind, why) => (kind, why),
        Plan::AddTargets => match add_targets(archs, workspace) {
            Ok(()) => (StdKind::Prebuilt, "rustup added it"),
            Err(error) if mode == StdMode::Auto && offer.sources => {
                ui.warning(crate::failure::chain(&StdError::Rustup(error)));
                (StdKind::Source, "rustup could not add it")
            }
            Err(error) => return Err(StdError::Rustup(error)),
        },
    };
    ui.status("Using", format_args!("{} std for musl: {why}", kind.name()));
    Ok(kind)
}

fn add_targets(archs: &[Arch], workspace: &Workspace) -> Result<(), ExecError> {
    let mut command = Command::new("rustup");
    command.args(["target", "add"]).args(archs.iter().map(|arch| arch.target()));
    exec::show(command.current_dir(&workspace.root))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOTHING: Offer = Offer { missing: Some(Arch::Arm64), rustup: false, sources: false };

    fn decide(mode: StdMode, offer: Offer) -> Result<Plan, String> {
        plan(mode, offer, "/usr").map_err(|error| error.to_string())
    }

    #[test]
    fn auto_prefers_installed_then_rustup_then_sources() {
        let all = Offer { missing: None, rustup: true, sources: true };
        assert!(matches!(decide(StdMode::Auto, all), Ok(Plan::Use(StdKind::Prebuilt, _))));
        let not_installed = Offer { missing: Some(Arch::X86_64), ..all };
        assert_eq!(decide(StdMode::Auto, not_installed), Ok(Plan::AddTargets));
        let only_sources = Offer { sources: true, ..NOTHING };
        assert!(matches!(decide(StdMode::Auto, only_sources), Ok(Plan::Use(StdKind::Source, _))));
    }

    #[test]
    fn source_is_taken_even_where_prebuilt_is_installed() {
        let all = Offer { missing: None, rustup: true, sources: true };
        assert!(matches!(decide(StdMode::Source, all), Ok(Plan::Use(StdKind::Source, _))));
    }

    #[test]
    fn what_cannot_be_had_is_named() {
        assert!(decide(StdMode::Source, NOTHING).unwrap_err().contains("/usr"));
        for mode in [StdMode::Prebuilt, StdMode::Auto] {
            assert!(decide(mode, NOTHING).unwrap_err().contains("aarch64-unknown-linux-musl"));
        }
    }

    #[test]
    fn prebuilt_never_compiles_std() {
        let only_sources = Offer { sources: true, ..NOTHING };
        assert!(decide(StdMode::Prebuilt, only_sources).is_err());
    }
}
