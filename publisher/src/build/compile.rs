//! One run of `cargo lambda build`, the same whoever calls it.

use crate::{
    build::{
        commit::Commit,
        exec::{self, ExecError},
        flags::{self, Folders},
        musl_std::{self, StdKind},
        tools::Tools,
        unstable_flags::UnstableFlags,
        workspace::{PACKAGE, Workspace},
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

/// Everything that decides what the binary's bytes are.
pub(crate) struct Compile<'a> {
    /// What.
    pub(crate) workspace: &'a Workspace,
    /// Of which commit.
    pub(crate) commit: &'a Commit,
    /// With what.
    pub(crate) tools: &'a Tools,
    /// And with which std.
    pub(crate) std: StdKind,
    /// And with what this Rust has to make it smaller.
    pub(crate) smaller: &'a UnstableFlags,
}

/// Why there is no binary.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CompileError {
    /// cargo has already said why.
    #[error("the extension does not build for {arch}; cargo's own error is above")]
    Cargo {
        /// For which architecture.
        arch: Arch,
        /// How cargo-lambda ended.
        source: ExecError,
    },
    /// cargo-lambda was content, but left nothing.
    #[error("cargo lambda left no binary at {}", .path.display())]
    NoBinary {
        /// Where it ought to be.
        path: PathBuf,
        /// What is there instead.
        source: io::Error,
    },
    /// The output folder cannot be had for this build alone.
    #[error("cannot lock {}", .path.display())]
    Lock {
        /// The lock file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// No home, so no place for the registry's sources.
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
    /// Builds the extension for one architecture; returns the binary.
    pub(crate) fn run(&self, arch: Arch) -> Result<Vec<u8>, CompileError> {
        // Both targets would be copied to the same place in cargo-lambda's default folder.
        let out = self.workspace.target_dir.join("lambda").join(arch.name());
        let _lock = lock(&out)?;
        let binary = out.join("extensions").join(PACKAGE);
        // What an earlier run left must not pass for what this one made.
        match fs::remove_file(&binary) {
            Err(source) if source.kind() != io::ErrorKind::NotFound => {
                return Err(CompileError::NoBinary { path: binary, source });
            }
            _ => {}
        }
        let mut command = self.command(arch, &out)?;
        exec::show(&mut command).map_err(|source| CompileError::Cargo { arch, source })?;
        fs::read(&binary).map_err(|source| CompileError::NoBinary { path: binary, source })
    }

    fn command(&self, arch: Arch, out: &Path) -> Result<Command, CompileError> {
        let mut command = Command::new(&self.tools.cross.cargo_lambda);
        command
            // `layer` and not `release`: for the latter cargo-lambda adds settings of its own.
            .args(["lambda", "build", "--locked", "--extension", "--profile", "layer"])
            .args(["--package", PACKAGE, "--bin", PACKAGE, "--output-format", "binary"])
            .args(["--target", arch.target(), "--skip-target-check", "--lambda-dir"])
            .arg(out)
            .current_dir(&self.workspace.root);
        isolate(&mut command);
        self.tools.cross.zig.apply(&mut command);
        command.env("CARGO", &self.workspace.cargo);
        command.env("CARGO_ENCODED_RUSTFLAGS", flags::encode(&self.rustflags()?));
        match self.commit.short() {
            Some(commit) => command.env("SENTRY_EXTENSION_COMMIT", commit),
            None => command.env_remove("SENTRY_EXTENSION_COMMIT"),
        };
        if self.std == StdKind::Source {
            // The switch for unstable options on a stable compiler, such as a distribution's.
            command.env("RUSTC_BOOTSTRAP", "1").args(musl_std::from_source(self.smaller.std_for_size));
        }
        Ok(command)
    }

    fn rustflags(&self) -> Result<Vec<String>, CompileError> {
        let cargo_home = env::var_os("CARGO_HOME")
            .map(PathBuf::from)
            .or_else(|| env::var_os("HOME").map(|home| Path::new(&home).join(".cargo")))
            .ok_or(CompileError::NoHome)?;
        let folders = Folders {
            workspace: &self.workspace.root,
            target_dir: &self.workspace.target_dir,
            cargo_home: &cargo_home,
            rust_sources: &self.tools.rust.sources(),
            rust_commit: &self.tools.rust.commit,
        };
        Ok(flags::rustflags(&folders, self.std, self.smaller))
    }
}

/// Until it is dropped, no other build puts its binary where this one will read its own.
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

/// Removes what would change the bytes, or make cargo believe that something has changed:
/// flags meant for other builds, and the variables that `cargo run` set for us.
fn isolate(command: &mut Command) {
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
