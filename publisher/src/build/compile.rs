//! Runs `cargo lambda build` in a way that does not depend on the environment of the caller.

use crate::{
    build::{
        commit::Commit,
        exec::{self, ExecError},
        flags::{self, Folders},
        musl_std::{self, StdKind},
        tools::Tools,
        unstable_flags::UnstableFlags,
        workspace::{PACKAGE, PUBLISHER, Workspace},
    },
    failure::Failure,
    model::arch::Arch,
};
use std::{
    env,
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    process::Command,
};

/// A program of the workspace that is built for others.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Program<'a> {
    /// The extension in the layers.
    Extension,
    /// The publisher as a release has it, with this `layers.json` inside.
    Publisher { layers: &'a Path },
}

impl Program<'_> {
    /// The package, and the binary in it.
    pub(crate) fn package(self) -> &'static str {
        match self {
            Self::Extension => PACKAGE,
            Self::Publisher { .. } => PUBLISHER,
        }
    }

    /// The profile in `Cargo.toml`. It is never `release`, because cargo-lambda adds settings of its own to that one.
    fn profile(self) -> &'static str {
        match self {
            Self::Extension => "layer",
            Self::Publisher { .. } => "publisher",
        }
    }

    /// The folder below `target/lambda`. Each program and architecture has its own, because cargo-lambda would copy all
    /// of them to the same place in its default folder.
    fn folder(self, arch: Arch) -> String {
        match self {
            Self::Extension => arch.name().to_owned(),
            Self::Publisher { .. } => format!("{PUBLISHER}-{arch}"),
        }
    }
}

/// Everything that determines the bytes of the binary.
pub(crate) struct Compile<'a> {
    pub(crate) program: Program<'a>,
    pub(crate) workspace: &'a Workspace,
    pub(crate) commit: &'a Commit,
    pub(crate) tools: &'a Tools,
    pub(crate) std: StdKind,
    /// The unstable options of this Rust that make the binary smaller.
    pub(crate) smaller: &'a UnstableFlags,
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum CompileError {
    /// cargo has already printed the reason.
    #[error("{package} does not build for {arch}; cargo's own error is above")]
    Cargo { package: &'static str, arch: Arch, source: ExecError },
    /// cargo-lambda succeeded but left no binary.
    #[error("cargo lambda left no binary at {}", .path.display())]
    NoBinary { path: PathBuf, source: io::Error },
    /// Without the lock, another build could replace the binary.
    #[error("cannot lock {}", .path.display())]
    Lock { path: PathBuf, source: io::Error },
    /// Without a home folder, the place of the registry's sources is unknown.
    #[error("neither CARGO_HOME nor HOME is set")]
    NoHome,
}

impl From<CompileError> for Failure {
    fn from(error: CompileError) -> Self {
        match error {
            CompileError::NoHome => Self::new(error).hint("export HOME, or CARGO_HOME"),
            other => Self::new(other),
        }
    }
}

impl Compile<'_> {
    /// Builds the program for one architecture and returns the binary.
    pub(crate) fn run(&self, arch: Arch) -> Result<Vec<u8>, CompileError> {
        let package = self.program.package();
        let out = self.workspace.target_dir.join("lambda").join(self.program.folder(arch));
        let _lock = lock(&out)?;
        let binary = out.join("extensions").join(package);
        // The binary of an earlier run must not be taken for the new one.
        match fs::remove_file(&binary) {
            Err(source) if source.kind() != io::ErrorKind::NotFound => {
                return Err(CompileError::NoBinary { path: binary, source });
            }
            _ => {}
        }
        let mut command = self.command(arch, &out)?;
        exec::show(&mut command).map_err(|source| CompileError::Cargo { package, arch, source })?;
        fs::read(&binary).map_err(|source| CompileError::NoBinary { path: binary, source })
    }

    fn command(&self, arch: Arch, out: &Path) -> Result<Command, CompileError> {
        let package = self.program.package();
        let mut command = Command::new(&self.tools.cross.cargo_lambda);
        command
            // `--extension` also leaves a program that is none under its own name.
            .args(["lambda", "build", "--locked", "--extension", "--profile", self.program.profile()])
            .args(["--package", package, "--bin", package, "--output-format", "binary"])
            .args(["--target", arch.target(), "--skip-target-check", "--lambda-dir"])
            .arg(out)
            .current_dir(&self.workspace.root);
        isolate(&mut command);
        self.tools.cross.zig.apply(&mut command);
        command.env("CARGO", &self.workspace.cargo);
        command.env("CARGO_ENCODED_RUSTFLAGS", flags::encode(&self.rustflags()?));
        match (self.program, self.commit.short()) {
            (Program::Extension, Some(commit)) => command.env("SENTRY_EXTENSION_COMMIT", commit),
            (Program::Extension, None) => command.env_remove("SENTRY_EXTENSION_COMMIT"),
            (Program::Publisher { layers }, _) => command.env("PUBLISHER_LAYERS", layers),
        };
        if self.std == StdKind::Source {
            // RUSTC_BOOTSTRAP allows unstable options on a stable compiler, such as that of a distribution.
            command
                .env("RUSTC_BOOTSTRAP", "1")
                .args(musl_std::build_std_arguments(self.smaller.std_for_size));
        }
        Ok(command)
    }

    fn rustflags(&self) -> Result<Vec<String>, CompileError> {
        let cargo_home = exec::cargo_home().ok_or(CompileError::NoHome)?;
        let folders = Folders {
            workspace: &self.workspace.root,
            target_dir: &self.workspace.target_dir,
            cargo_home: &cargo_home,
            registries: &registries(&cargo_home),
            rust_sources: &self.tools.rust.sources(),
            rust_commit: &self.tools.rust.commit,
        };
        Ok(flags::rustflags(&folders, self.std, self.smaller))
    }
}

/// The folders of `CARGO_HOME` that have the sources of crates. The licences have been read there, so all are there.
fn registries(cargo_home: &Path) -> Vec<PathBuf> {
    let folders = fs::read_dir(cargo_home.join("registry/src")).into_iter().flatten().flatten();
    let mut folders: Vec<PathBuf> = folders.map(|folder| folder.path()).collect();
    folders.sort_unstable();
    folders
}

/// Locks the output folder. Until the lock is dropped, no other build can replace the binary there.
fn lock(out: &Path) -> Result<File, CompileError> {
    let path = out.join("lock");
    let lock = || {
        fs::create_dir_all(out)?;
        let file = File::create(&path)?;
        file.lock()?;
        Ok(file)
    };
    lock().map_err(|source| CompileError::Lock { path, source })
}

/// Removes the variables that would change the bytes, or make cargo believe that something has changed: flags for
/// other builds, and the variables that `cargo run` has set for this process.
pub(crate) fn isolate(command: &mut Command) {
    const PREFIXES: [&str; 5] =
        ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_BIN_", "CARGO_PROFILE_", "CARGO_CRATE_"];
    const NAMES: [&str; 10] = [
        "RUSTFLAGS",
        "CARGO_BUILD_RUSTFLAGS",
        "CARGO_BUILD_TARGET",
        "CARGO_PRIMARY_PACKAGE",
        "CARGO_TARGET_TMPDIR",
        "OUT_DIR",
        "CFLAGS",
        "CPPFLAGS",
        "TARGET_CFLAGS",
        "RUSTC_BOOTSTRAP",
    ];
    for (name, _) in env::vars_os() {
        let Some(text) = name.to_str() else { continue };
        if NAMES.contains(&text) || PREFIXES.iter().any(|prefix| text.starts_with(prefix)) {
            command.env_remove(&name);
        }
    }
}
