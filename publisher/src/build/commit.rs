//! Finds the commit that is built, and whether the work tree has uncommitted changes.

use crate::build::exec::{self, ExecError};
use std::{path::Path, process::Command};

/// The files and folders that the layer's bytes are made from. A change elsewhere (documents, tests of the zips) does
/// not make a build dirty.
const INPUTS: [&str; 7] = [
    "Cargo.toml",
    "Cargo.lock",
    "rust-toolchain.toml",
    ".cargo",
    "ci/requirements.txt",
    "extension",
    "publisher",
];

/// The commit that is built.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Commit {
    /// Exactly this commit, 40 hex digits.
    Clean(String),
    /// This commit, with uncommitted changes.
    Dirty(String),
    /// There is no repository, or git is not installed.
    Unknown,
}

impl Commit {
    /// Asks git about the work tree at `root`.
    pub(crate) fn of(root: &Path) -> Result<Self, ExecError> {
        let Some(git) = exec::find("git") else { return Ok(Self::Unknown) };
        if !root.ancestors().any(|dir| dir.join(".git").exists()) {
            return Ok(Self::Unknown);
        }
        let ask = |arguments: &[&str]| {
            // Without optional locks, `status` does not write the index, which other builds may be reading.
            exec::ask(Command::new(&git).arg("--no-optional-locks").arg("-C").arg(root).args(arguments))
        };
        let answer = ask(&["rev-parse", "--show-toplevel", "HEAD"])?;
        let Some((top, commit)) = answer.split_once('\n') else { return Ok(Self::Unknown) };
        // An unpacked tarball inside another repository has no commit of its own.
        if Path::new(top).canonicalize().ok() != root.canonicalize().ok() {
            return Ok(Self::Unknown);
        }
        let mut status = vec!["status", "--porcelain", "--"];
        status.extend(INPUTS);
        let commit = commit.trim().to_owned();
        Ok(if ask(&status)?.is_empty() { Self::Clean(commit) } else { Self::Dirty(commit) })
    }

    /// The form in `build.json`: `<40 digits>`, `<40 digits>-dirty` or `unknown`.
    pub(crate) fn full(&self) -> String {
        match self {
            Self::Clean(id) => id.clone(),
            Self::Dirty(id) => format!("{id}-dirty"),
            Self::Unknown => "unknown".to_owned(),
        }
    }

    /// The form in the binary's `--version`: twelve digits, or `None` if the commit is unknown.
    pub(crate) fn short(&self) -> Option<String> {
        let digits = |id: &str| id.chars().take(12).collect::<String>();
        match self {
            Self::Clean(id) => Some(digits(id)),
            Self::Dirty(id) => Some(format!("{}-dirty", digits(id))),
            Self::Unknown => None,
        }
    }

    /// Whether the commit determines the sources completely.
    pub(crate) fn is_exact(&self) -> bool {
        matches!(self, Self::Clean(_))
    }
}
