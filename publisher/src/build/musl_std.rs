//! Where std for the musl targets comes from: compiled along, installed, or added by rustup.
//!
//! Compiled along it is a tenth of the binary smaller: without the printing of back-traces, which nobody reads in
//! a stripped binary, and with the rest made for size and for what the extension calls.

use crate::{
    build::{
        exec::{self, ExecError},
        rust::Rust,
        workspace::Workspace,
    },
    failure::{Failure, chain},
    model::arch::Arch,
    ui::Ui,
};
use clap::ValueEnum;
use std::process::Command;

/// What the user asks for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum StdMode {
    /// Compile it where its sources are or rustup can add them, else what is installed or rustup can add
    #[default]
    Auto,
    /// Installed with the compiler, or added by rustup
    Prebuilt,
    /// Compile it with the compiler's own sources
    Source,
}

/// What it comes down to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StdKind {
    /// Installed with the compiler.
    Prebuilt,
    /// Compiled along (`-Z build-std`).
    Source,
}

impl StdKind {
    /// As `build.json` spells it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Prebuilt => "prebuilt",
            Self::Source => "source",
        }
    }
}

/// What cargo is told so that it compiles std. Without the feature `backtrace`, which is on by default.
pub(crate) fn from_source(for_size: bool) -> [&'static str; 4] {
    let features = if for_size {
        "build-std-features=panic-unwind,optimize_for_size"
    } else {
        "build-std-features=panic-unwind"
    };
    ["-Z", "build-std=std,panic_unwind", "-Z", features]
}

/// Why there is no std.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StdError {
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
    #[error("rustup cannot add {0}")]
    Rustup(&'static str, #[source] ExecError),
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
            StdError::Rustup(..) => {
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
enum StdPlan {
    Use(StdKind, &'static str),
    /// std's sources if rustup can, else as if there were none to be had.
    AddSources,
    AddTargets,
}

fn plan(mode: StdMode, offer: Offer, sysroot: &str) -> Result<StdPlan, StdError> {
    match mode {
        StdMode::Source if offer.sources => Ok(StdPlan::Use(StdKind::Source, "as asked")),
        StdMode::Source => Err(StdError::NoSources(sysroot.to_owned())),
        StdMode::Prebuilt => plan_prebuilt(offer).map_err(StdError::NoPrebuilt),
        StdMode::Auto if offer.sources => Ok(StdPlan::Use(StdKind::Source, "its sources are installed")),
        StdMode::Auto if offer.rustup => Ok(StdPlan::AddSources),
        StdMode::Auto => plan_prebuilt(offer).map_err(StdError::Neither),
    }
}

fn plan_prebuilt(offer: Offer) -> Result<StdPlan, &'static str> {
    match offer.missing {
        None => Ok(StdPlan::Use(StdKind::Prebuilt, "it is installed")),
        Some(_) if offer.rustup => Ok(StdPlan::AddTargets),
        Some(arch) => Err(arch.target()),
    }
}

/// Decides where std comes from, gets it if need be, and says what it took and why.
pub(crate) fn provide(
    mode: StdMode,
    archs: &[Arch],
    rust: &Rust,
    workspace: &Workspace,
    ui: &Ui,
) -> Result<StdKind, StdError> {
    let missing = || archs.iter().copied().find(|&arch| !rust.has_std(arch));
    let offer = Offer { missing: missing(), rustup: rust.is_rustup(), sources: rust.has_sources() };
    let mut plan = plan(mode, offer, &rust.sysroot.display().to_string())?;
    let (kind, why) = loop {
        plan = match plan {
            StdPlan::Use(kind, why) => break (kind, why),
            StdPlan::AddSources => match rustup(workspace, &["component", "add", "rust-src"]) {
                Ok(()) => StdPlan::Use(StdKind::Source, "rustup added its sources"),
                Err(error) => {
                    ui.warning(chain(&StdError::Rustup("std's sources", error)));
                    plan_prebuilt(offer).map_err(StdError::Neither)?
                }
            },
            StdPlan::AddTargets => {
                let targets = archs.iter().map(|arch| arch.target());
                let arguments: Vec<_> = ["target", "add"].into_iter().chain(targets).collect();
                rustup(workspace, &arguments).map_err(|error| StdError::Rustup("the target", error))?;
                StdPlan::Use(StdKind::Prebuilt, "rustup added it")
            }
        };
    };
    ui.status("Using", format_args!("{} std for musl: {why}", kind.name()));
    if kind == StdKind::Prebuilt && mode == StdMode::Auto {
        ui.warning("with std's sources the binary would be a tenth smaller: rustup component add rust-src");
    }
    Ok(kind)
}

fn rustup(workspace: &Workspace, arguments: &[&str]) -> Result<(), ExecError> {
    exec::show(Command::new("rustup").args(arguments).current_dir(&workspace.root))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOTHING: Offer = Offer { missing: Some(Arch::Arm64), rustup: false, sources: false };

    fn decide(mode: StdMode, offer: Offer) -> Result<StdPlan, String> {
        plan(mode, offer, "/usr").map_err(|error| error.to_string())
    }

    #[test]
    fn auto_prefers_sources_then_rustup_then_installed() {
        let all = Offer { missing: None, rustup: true, sources: true };
        assert!(matches!(decide(StdMode::Auto, all), Ok(StdPlan::Use(StdKind::Source, _))));
        let no_sources = Offer { sources: false, ..all };
        assert_eq!(decide(StdMode::Auto, no_sources), Ok(StdPlan::AddSources));
        assert!(matches!(plan_prebuilt(no_sources), Ok(StdPlan::Use(StdKind::Prebuilt, _))));
        let only_rustup = Offer { rustup: true, ..NOTHING };
        assert_eq!(plan_prebuilt(only_rustup), Ok(StdPlan::AddTargets), "where rustup has no sources");
        let only_installed = Offer { missing: None, ..NOTHING };
        assert!(matches!(decide(StdMode::Auto, only_installed), Ok(StdPlan::Use(StdKind::Prebuilt, _))));
    }

    #[test]
    fn what_is_asked_for_is_taken_whatever_else_there_is() {
        let all = Offer { missing: None, rustup: true, sources: true };
        assert!(matches!(decide(StdMode::Source, all), Ok(StdPlan::Use(StdKind::Source, _))));
        assert!(matches!(decide(StdMode::Prebuilt, all), Ok(StdPlan::Use(StdKind::Prebuilt, _))));
        let not_installed = Offer { missing: Some(Arch::X86_64), ..all };
        assert_eq!(decide(StdMode::Prebuilt, not_installed), Ok(StdPlan::AddTargets));
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
