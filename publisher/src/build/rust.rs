//! The installed Rust compiler: its version, its folder, and the parts of std in it.

use crate::build::exec::{self, ExecError};
use std::{
    cmp::Ordering,
    env,
    path::{Path, PathBuf},
    process::Command,
};

/// A Rust compiler and its installation.
#[derive(Clone, Debug)]
pub(crate) struct Rust {
    /// `rustc --version`.
    pub(crate) version: String,
    /// The commit of the compiler. Its prebuilt std contains source paths with this commit.
    pub(crate) commit: String,
    /// `rustc --print sysroot`.
    pub(crate) sysroot: PathBuf,
}

impl Rust {
    /// Asks the rustc that cargo would call in `folder`.
    pub(crate) fn ask(folder: &Path) -> Result<Self, ExecError> {
        let ask = |arguments: &[&str]| exec::ask(rustc().args(arguments).current_dir(folder));
        let verbose = ask(&["-vV"])?;
        let sysroot = ask(&["--print", "sysroot"])?.into();
        let commit = field(&verbose, "commit-hash").unwrap_or("unknown").to_owned();
        Ok(Self { version: verbose.lines().next().unwrap_or_default().to_owned(), commit, sysroot })
    }

    /// Whether std for this target is installed.
    pub(crate) fn has_std(&self, target: &str) -> bool {
        let libs = self.sysroot.join("lib/rustlib").join(target).join("lib");
        libs.read_dir().is_ok_and(|files| {
            files.flatten().any(|file| file.file_name().to_string_lossy().starts_with("libstd-"))
        })
    }

    /// Whether the rustc that cargo would call in `folder` accepts these flags, including unstable ones. The flags
    /// are tried, because `rustc -Z help` does not list the values of an option and does not tell removed options
    /// apart.
    pub(crate) fn accepts(flags: &[&str], folder: &Path) -> bool {
        let mut command = rustc();
        command.args(flags).args(["--print", "sysroot"]).env("RUSTC_BOOTSTRAP", "1").current_dir(folder);
        exec::ask(&mut command).is_ok()
    }

    /// The folder where cargo looks for std's sources, whether they are installed or not.
    pub(crate) fn sources(&self) -> PathBuf {
        self.sysroot.join("lib/rustlib/src/rust")
    }

    /// Whether std's sources are installed.
    pub(crate) fn has_sources(&self) -> bool {
        self.sources().join("library/std/Cargo.toml").is_file()
    }

    /// Whether rustup manages this compiler, so that rustup can add to it.
    pub(crate) fn is_rustup(&self) -> bool {
        let home = env::var_os("RUSTUP_HOME")
            .map(PathBuf::from)
            .or_else(|| env::var_os("HOME").map(|home| Path::new(&home).join(".rustup")));
        home.is_some_and(|home| self.sysroot.starts_with(home.join("toolchains")))
            && exec::find("rustup").is_some()
    }
}

fn rustc() -> Command {
    Command::new(env::var_os("RUSTC").unwrap_or_else(|| "rustc".into()))
}

fn field<'a>(verbose: &'a str, name: &str) -> Option<&'a str> {
    verbose.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':').map(str::trim))
}

/// The first word of a tool's answer that looks like a version: `1.96.0` in `rustc 1.96.0 (ac68faa20 2026-05-25)`.
pub(crate) fn version_in(answer: &str) -> Option<&str> {
    answer
        .split_whitespace()
        .map(|word| word.trim_start_matches('v').trim_end_matches(','))
        .find(|word| word.starts_with(|c: char| c.is_ascii_digit()) && word.contains('.'))
}

/// Whether version `have` is at least version `need`; suffixes such as `-nightly` do not count.
pub(crate) fn at_least(have: &str, need: &str) -> bool {
    let numbers = |version: &str| -> Vec<u64> {
        let plain = version.split(['-', '+']).next().unwrap_or_default();
        plain.split('.').map(|part| part.parse().unwrap_or(0)).chain([0, 0, 0]).take(3).collect()
    };
    numbers(have).cmp(&numbers(need)) != Ordering::Less
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_version_in_every_tools_answer() {
        assert_eq!(
            version_in("rustc 1.96.0 (ac68faa20 2026-05-25) (built from a source tarball)"),
            Some("1.96.0")
        );
        assert_eq!(version_in("cargo-lambda 1.9.2 (67129fc 2026-08-21Z)"), Some("1.9.2"));
        assert_eq!(version_in("v22.11.0"), Some("22.11.0"));
        assert_eq!(version_in("qemu-aarch64 version 7.2.17 (Debian 1:7.2+dfsg)"), Some("7.2.17"));
        assert_eq!(version_in("0.17.1"), Some("0.17.1"));
        assert_eq!(version_in("command not found"), None);
    }

    #[test]
    fn versions_compare_as_numbers() {
        assert!(at_least("1.100.0", "1.94.1"));
        assert!(at_least("1.94.1", "1.94.1"));
        assert!(at_least("1.95", "1.94.1"));
        assert!(at_least("1.95.0-nightly", "1.94.1"));
        assert!(!at_least("1.94.0", "1.94.1"));
        assert!(!at_least("1.85.0", "1.94.1"));
    }

    #[test]
    fn reads_the_commit_of_the_compiler() {
        let verbose =
            "rustc 1.95.0 (5 2026)\nbinary: rustc\ncommit-hash: 59807616e\nhost: x86_64-unknown-linux-gnu";
        assert_eq!(field(verbose, "commit-hash"), Some("59807616e"));
        assert_eq!(field(verbose, "commit"), None);
    }
}
