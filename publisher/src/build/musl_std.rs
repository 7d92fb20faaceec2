//! Chooses where std for the musl targets comes from: compiled from source, installed with the compiler, or added by
//! rustup.
//!
//! A binary with std compiled from source is a tenth smaller. It cannot print back-traces, which nobody can read in a
//! stripped binary, and the rest of std is optimized for size and for what the extension calls.

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

/// The user's choice of std.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum StdMode {
    /// Compile it if its sources are installed or rustup can add them, else use what is installed or rustup can add
    #[default]
    Auto,
    /// Use what is installed with the compiler or added by rustup
    Prebuilt,
    /// Compile it from the compiler's own sources
    Source,
}

/// Where the std of a build comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StdKind {
    Prebuilt,
    /// Compiled together with the extension (`-Z build-std`).
    Source,
}

impl StdKind {
    /// The name in `build.json`.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Prebuilt => "prebuilt",
            Self::Source => "source",
        }
    }
}

/// The arguments that make cargo compile std. They leave out the feature `backtrace`, which is on by default.
pub(crate) fn build_std_arguments(for_size: bool) -> [&'static str; 4] {
    let features = if for_size {
        "build-std-features=panic-unwind,optimize_for_size"
    } else {
        "build-std-features=panic-unwind"
    };
    ["-Z", "build-std=std,panic_unwind", "-Z", features]
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum StdError {
    /// For `--std source`, the sources are missing.
    #[error("std's sources are not installed in {0}")]
    NoSources(String),
    /// For `--std prebuilt`, both std and rustup are missing.
    #[error("std for {0} is not installed, and this compiler is not one of rustup's")]
    NoPrebuilt(&'static str),
    /// For `--std auto`, nothing is available.
    #[error(
        "std for {0} is not installed, this compiler is not one of rustup's, and std's sources are missing"
    )]
    Neither(&'static str),
    #[error("rustup cannot add {0}")]
    Rustup(&'static str, #[source] ExecError),
}

/// How to install std's sources, as the packages of distributions or with rustup.
pub(crate) const SOURCE_PACKAGES: &str = "apt-get install rust-src
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

/// The ways in which this host can provide std.
#[derive(Clone, Copy, Debug)]
struct HostStd {
    /// The first target whose std is not installed.
    missing: Option<Arch>,
    rustup: bool,
    sources: bool,
}

/// The next step on the way to std.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum StdPlan {
    Use(StdKind, &'static str),
    /// Lets rustup add std's sources. If that fails, the plan continues as if there were no sources.
    AddSources,
    AddTargets,
}

fn plan(mode: StdMode, host: HostStd, sysroot: &str) -> Result<StdPlan, StdError> {
    match mode {
        StdMode::Source if host.sources => Ok(StdPlan::Use(StdKind::Source, "as requested")),
        StdMode::Source => Err(StdError::NoSources(sysroot.to_owned())),
        StdMode::Prebuilt => plan_prebuilt(host).map_err(StdError::NoPrebuilt),
        StdMode::Auto if host.sources => Ok(StdPlan::Use(StdKind::Source, "its sources are installed")),
        StdMode::Auto if host.rustup => Ok(StdPlan::AddSources),
        StdMode::Auto => plan_prebuilt(host).map_err(StdError::Neither),
    }
}

fn plan_prebuilt(host: HostStd) -> Result<StdPlan, &'static str> {
    match host.missing {
        None => Ok(StdPlan::Use(StdKind::Prebuilt, "it is installed")),
        Some(_) if host.rustup => Ok(StdPlan::AddTargets),
        Some(arch) => Err(arch.target()),
    }
}

/// Decides where std comes from, gets it if necessary, and reports the choice with its reason.
pub(crate) fn provide(
    mode: StdMode,
    archs: &[Arch],
    rust: &Rust,
    workspace: &Workspace,
    ui: &Ui,
) -> Result<StdKind, StdError> {
    let missing = || archs.iter().copied().find(|arch| !rust.has_std(arch.target()));
    let host = HostStd { missing: missing(), rustup: rust.is_rustup(), sources: rust.has_sources() };
    let mut plan = plan(mode, host, &rust.sysroot.display().to_string())?;
    let (kind, why) = loop {
        plan = match plan {
            StdPlan::Use(kind, why) => break (kind, why),
            StdPlan::AddSources => match rustup(workspace, &["component", "add", "rust-src"]) {
                Ok(()) => StdPlan::Use(StdKind::Source, "rustup added its sources"),
                Err(error) => {
                    ui.warning(chain(&StdError::Rustup("std's sources", error)));
                    plan_prebuilt(host).map_err(StdError::Neither)?
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

/// Runs rustup for the toolchain of the workspace.
pub(crate) fn rustup(workspace: &Workspace, arguments: &[&str]) -> Result<(), ExecError> {
    exec::show(Command::new("rustup").args(arguments).current_dir(&workspace.root))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOTHING_INSTALLED: HostStd = HostStd { missing: Some(Arch::Arm64), rustup: false, sources: false };

    fn decide(mode: StdMode, host: HostStd) -> Result<StdPlan, String> {
        plan(mode, host, "/usr").map_err(|error| error.to_string())
    }

    #[test]
    fn auto_prefers_sources_then_rustup_then_installed() {
        let all = HostStd { missing: None, rustup: true, sources: true };
        assert!(matches!(decide(StdMode::Auto, all), Ok(StdPlan::Use(StdKind::Source, _))));
        let no_sources = HostStd { sources: false, ..all };
        assert_eq!(decide(StdMode::Auto, no_sources), Ok(StdPlan::AddSources));
        assert!(matches!(plan_prebuilt(no_sources), Ok(StdPlan::Use(StdKind::Prebuilt, _))));
        let only_rustup = HostStd { rustup: true, ..NOTHING_INSTALLED };
        assert_eq!(plan_prebuilt(only_rustup), Ok(StdPlan::AddTargets), "where rustup has no sources");
        let only_installed = HostStd { missing: None, ..NOTHING_INSTALLED };
        assert!(matches!(decide(StdMode::Auto, only_installed), Ok(StdPlan::Use(StdKind::Prebuilt, _))));
    }

    #[test]
    fn an_explicit_choice_is_kept_whatever_is_installed() {
        let all = HostStd { missing: None, rustup: true, sources: true };
        assert!(matches!(decide(StdMode::Source, all), Ok(StdPlan::Use(StdKind::Source, _))));
        assert!(matches!(decide(StdMode::Prebuilt, all), Ok(StdPlan::Use(StdKind::Prebuilt, _))));
        let not_installed = HostStd { missing: Some(Arch::X86_64), ..all };
        assert_eq!(decide(StdMode::Prebuilt, not_installed), Ok(StdPlan::AddTargets));
    }

    #[test]
    fn the_error_names_what_is_missing() {
        assert!(decide(StdMode::Source, NOTHING_INSTALLED).unwrap_err().contains("/usr"));
        for mode in [StdMode::Prebuilt, StdMode::Auto] {
            assert!(decide(mode, NOTHING_INSTALLED).unwrap_err().contains("aarch64-unknown-linux-musl"));
        }
    }

    #[test]
    fn prebuilt_never_compiles_std() {
        let only_sources = HostStd { sources: true, ..NOTHING_INSTALLED };
        assert!(decide(StdMode::Prebuilt, only_sources).is_err());
    }
}
