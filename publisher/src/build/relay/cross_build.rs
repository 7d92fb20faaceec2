//! Builds Sentry's Relay from its source package, for one architecture of Lambda and for the glibc of its oldest
//! runtimes. What was built is kept in the user's cache folder, outside of the repository, under a hash of everything
//! that it is made from. An interrupted build continues.

use crate::{
    build::{
        compile,
        exec::{self, ExecError},
        musl_std::{self, StdKind},
        relay::{
            inspect::{self, InspectError},
            package::{self, PackageError},
            recipe,
            registry::file_name,
            version::RelayVersion,
        },
        tools::Tools,
        workspace::Workspace,
    },
    failure::Failure,
    model::{
        arch::Arch,
        digest::Digest,
        lambda_runtime::{self, Glibc},
    },
    ui::Ui,
};
use std::{
    env,
    fs::{self, File},
    io,
    num::NonZeroU32,
    path::{Path, PathBuf},
    process::Command,
};

/// The programs that the build needs beside cargo, with the packages of Debian that have them.
const PROGRAMS: [(&str, &str); 4] =
    [("cc", "build-essential"), ("make", "build-essential"), ("perl", "perl"), ("tar", "tar")];

/// What a build needs.
pub(crate) struct CrossBuild<'a> {
    pub(crate) workspace: &'a Workspace,
    pub(crate) tools: &'a Tools,
    /// The number of compilers at a time. cargo chooses it, if it is not given.
    pub(crate) jobs: Option<NonZeroU32>,
    pub(crate) ui: &'a Ui,
}

/// A finished and checked binary.
pub(crate) struct BuiltRelay {
    pub(crate) arch: Arch,
    pub(crate) sha256: Digest,
    pub(crate) size: u64,
    pub(crate) glibc: Option<Glibc>,
    /// The file in the cache.
    pub(crate) path: PathBuf,
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum CrossBuildError {
    #[error("neither XDG_CACHE_HOME nor HOME is set, so there is no folder to keep Relay in")]
    NoCache,
    #[error("{0} is not installed, which the build of Relay needs")]
    NoProgram(&'static str, &'static str),
    #[error("std for {0} is not installed, and std's sources are missing")]
    NoStd(&'static str),
    #[error("rustup cannot add {0}")]
    Rustup(&'static str, #[source] ExecError),
    #[error(transparent)]
    Package(#[from] PackageError),
    /// cargo has already printed the reason.
    #[error("Relay does not build for {arch}; cargo's own error is above")]
    Cargo { arch: Arch, source: ExecError },
    #[error("what was built for {0} cannot go into a layer")]
    Unusable(Arch, #[source] InspectError),
    #[error(
        "what was built for {arch} needs glibc {needed}, and Lambda's oldest runtimes have {}",
        lambda_runtime::OLDEST
    )]
    TooNew { arch: Arch, needed: Glibc },
    #[error("what was built for {arch} needs {libraries}, which not every runtime has")]
    Libraries { arch: Arch, libraries: String },
    #[error("what was built for {arch} is not Relay {}: {found}", recipe::VERSION)]
    Version { arch: Arch, found: String },
    #[error("what was built for {0} does not run here")]
    DoesNotRun(Arch, #[source] ExecError),
    #[error("cannot use {}", path.display())]
    Disk { path: PathBuf, source: io::Error },
}

impl From<CrossBuildError> for Failure {
    fn from(error: CrossBuildError) -> Self {
        use CrossBuildError as E;
        let hint = match &error {
            E::NoCache => "export HOME".to_owned(),
            E::NoProgram(_, package) => format!("apt-get install {package}"),
            E::NoStd(target) => {
                format!("{}\nor, with rustup: rustup target add {target}", musl_std::SOURCE_PACKAGES)
            }
            E::Rustup(..) => "see rustup's message above; it needs the network".to_owned(),
            E::Package(error) => error.hint().to_owned(),
            E::Cargo { .. } => {
                "run the command again: it continues where it stopped; if it was killed, there was too little \
                 memory: --jobs 1"
                    .to_owned()
            }
            E::Disk { .. } => "check the folder's owner and mode, and the room on its disk: 5 GB".to_owned(),
            _ => "publisher/src/build/relay/recipe.rs says how it is built".to_owned(),
        };
        Self::new(error).hint(hint)
    }
}

impl CrossBuild<'_> {
    /// Returns the binary for one architecture, and builds it unless it is in the cache.
    pub(crate) fn run(&self, arch: Arch) -> Result<BuiltRelay, CrossBuildError> {
        let std = self.provide_std(arch)?;
        let folder = self.folder(arch, std)?;
        let disk = |path: &Path| {
            let path = path.to_owned();
            |source| CrossBuildError::Disk { path, source }
        };
        fs::create_dir_all(&folder).map_err(disk(&folder))?;
        // Two checkouts may want it at the same time.
        let lock = File::create(folder.join("lock")).map_err(disk(&folder))?;
        lock.lock().map_err(disk(&folder))?;
        let path = folder.join(file_name(arch));
        let sums = path.with_extension("sha256");
        if let Some(kept) = kept(&path, &sums) {
            self.ui
                .status("Keeping", format_args!("Relay {} for {arch}: {}", recipe::VERSION, path.display()));
            return check(arch, &kept, path);
        }
        for (program, package) in PROGRAMS {
            exec::find(program).ok_or(CrossBuildError::NoProgram(program, package))?;
        }
        let scratch = folder.join("build");
        self.ui.status("Fetching", format_args!("the sources of Relay {}", recipe::VERSION));
        let sources = package::workspace(&scratch)?;
        self.ui.status(
            "Building",
            format_args!("Relay {} for {arch}, which takes some 20 minutes of two cores", recipe::VERSION),
        );
        let mut cargo = self.command(arch, std, &scratch, &sources);
        exec::show(&mut cargo).map_err(|source| CrossBuildError::Cargo { arch, source })?;

        let made = scratch.join("target").join(arch.glibc_target()).join("release").join(recipe::PROGRAM);
        let binary = fs::read(&made).map_err(disk(&made))?;
        let built = check(arch, &binary, path.clone())?;
        if arch.is_native() {
            let said = exec::ask(Command::new(&made).arg("--version"))
                .map_err(|error| CrossBuildError::DoesNotRun(arch, error))?;
            if !said.split_whitespace().any(|word| word == recipe::VERSION) {
                return Err(CrossBuildError::Version { arch, found: said });
            }
        }
        // The sum comes last: a binary without it is not complete.
        fs::rename(&made, &path).map_err(disk(&path))?;
        fs::write(&sums, format!("{}  {}\n", built.sha256, file_name(arch))).map_err(disk(&sums))?;
        package::remove(&scratch)?;
        Ok(built)
    }

    /// Where std for glibc comes from. The host's own is always installed.
    fn provide_std(&self, arch: Arch) -> Result<StdKind, CrossBuildError> {
        let target = arch.glibc_target();
        let rust = &self.tools.rust;
        if rust.has_std(target) {
            return Ok(StdKind::Prebuilt);
        }
        if rust.has_sources() {
            return Ok(StdKind::Source);
        }
        if !rust.is_rustup() {
            return Err(CrossBuildError::NoStd(target));
        }
        musl_std::rustup(self.workspace, &["target", "add", target])
            .map_err(|error| CrossBuildError::Rustup(target, error))?;
        Ok(StdKind::Prebuilt)
    }

    /// The folder in the user's cache for one binary.
    fn folder(&self, arch: Arch, std: StdKind) -> Result<PathBuf, CrossBuildError> {
        let given = |name: &str| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        let cache = given("XDG_CACHE_HOME").or_else(|| Some(given("HOME")?.join(".cache")));
        let cache = cache.ok_or(CrossBuildError::NoCache)?;
        let Tools { rust, cargo_lambda_version, zig_version, .. } = self.tools;
        let key = recipe::key(arch, std, &[&rust.version, cargo_lambda_version, zig_version]);
        Ok(cache.join("sentry-lambda-extension").join(format!("relay-{}-{arch}-{key}", recipe::VERSION)))
    }

    fn command(&self, arch: Arch, std: StdKind, scratch: &Path, sources: &Path) -> Command {
        let mut command = Command::new(&self.tools.cross.cargo_lambda);
        compile::isolate(&mut command);
        command.args(recipe::arguments(arch, std)).current_dir(sources);
        if let Some(jobs) = self.jobs {
            command.arg("--jobs").arg(jobs.to_string());
        }
        // Else the names of these folders would be in the messages of panics. cargo joins these flags to those of
        // Relay's own configuration, which variables such as RUSTFLAGS would replace.
        let mut remaps = vec![format!("--remap-path-prefix={}=/relay", sources.display())];
        remaps
            .extend(exec::cargo_home().map(|home| format!("--remap-path-prefix={}=/cargo", home.display())));
        command.arg("--config").arg(format!("build.rustflags={remaps:?}"));
        command.env("CARGO_TARGET_DIR", scratch.join("target")).envs(recipe::environment(std));
        command.env("CARGO", &self.workspace.cargo);
        self.tools.cross.zig.apply(&mut command);
        // Outside of this repository, rustup would choose another compiler.
        if let Some(toolchain) = self.tools.rust.sysroot.file_name().filter(|_| self.tools.rust.is_rustup()) {
            command.env("RUSTUP_TOOLCHAIN", toolchain);
        }
        command
    }
}

/// Reads a binary that was built before, if it is complete.
fn kept(path: &Path, sums: &Path) -> Option<Vec<u8>> {
    let binary = fs::read(path).ok()?;
    let sum = fs::read_to_string(sums).ok()?;
    sum.starts_with(&Digest::of(&binary).to_string()).then_some(binary)
}

/// Checks that a binary is the pinned version and runs on every runtime of Lambda.
fn check(arch: Arch, binary: &[u8], path: PathBuf) -> Result<BuiltRelay, CrossBuildError> {
    let needs = inspect::inspect(binary, arch).map_err(|error| CrossBuildError::Unusable(arch, error))?;
    if let Some(needed) = needs.glibc.filter(|needed| *needed > lambda_runtime::OLDEST) {
        return Err(CrossBuildError::TooNew { arch, needed });
    }
    if !needs.libraries.is_empty() {
        return Err(CrossBuildError::Libraries { arch, libraries: needs.libraries.join(", ") });
    }
    match RelayVersion::in_binary(binary) {
        Some(version) if version.as_str() == recipe::VERSION => {}
        other => {
            let found = other.map_or_else(|| "it names no version".to_owned(), |it| it.as_str().to_owned());
            return Err(CrossBuildError::Version { arch, found });
        }
    }
    Ok(BuiltRelay { arch, sha256: Digest::of(binary), size: binary.len() as u64, glibc: needs.glibc, path })
}
