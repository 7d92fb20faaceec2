//! The crates that cargo links into a program of the workspace, with the texts of their licences.

use crate::{
    build::{
        exec::{self, ExecError},
        workspace::Workspace,
    },
    failure::Failure,
};
use serde::Deserialize;
use std::{
    collections::{BTreeSet, HashMap},
    fs, io,
    path::{Path, PathBuf},
    process::Command,
};

/// A crate whose code is in the binary.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct LinkedCrate {
    pub(crate) name: String,
    pub(crate) version: String,
    /// The licence expression of its manifest; empty if the manifest names only a file.
    pub(crate) license: String,
    /// Crates of one repository may share the licence file of one of them.
    pub(crate) repository: Option<String>,
    pub(crate) texts: Vec<LicenceText>,
}

/// A file in a crate that looks like a licence or a notice.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct LicenceText {
    /// Its path in the crate.
    pub(crate) file: String,
    pub(crate) text: String,
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum LinkedCratesError {
    #[error("cargo cannot tell which crates it links into {package}")]
    Cargo { package: &'static str, source: ExecError },
    #[error("cannot read what `cargo metadata` says")]
    Metadata(#[source] serde_json::Error),
    #[error("`cargo tree` names {0}, which `cargo metadata` does not know")]
    Unknown(String),
    #[error("cannot read {}", .path.display())]
    Read { path: PathBuf, source: io::Error },
}

impl From<LinkedCratesError> for Failure {
    fn from(error: LinkedCratesError) -> Self {
        let failure = Self::new(&error);
        match error {
            LinkedCratesError::Read { .. } => failure.hint("download the crates again: cargo fetch"),
            _ => failure,
        }
    }
}

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    version: String,
    license: Option<String>,
    license_file: Option<PathBuf>,
    repository: Option<String>,
    manifest_path: PathBuf,
}

/// Returns the crates that a package of the workspace contains for a target, without the package itself and without
/// those that run only while it is compiled.
pub(crate) fn linked(
    workspace: &Workspace,
    package: &'static str,
    target: &str,
) -> Result<Vec<LinkedCrate>, LinkedCratesError> {
    let failed = |source| LinkedCratesError::Cargo { package, source };
    // `cargo metadata` unites the features of all members. Only `cargo tree` resolves them as for the package alone.
    let mut tree = cargo(workspace, "tree");
    tree.args(["--package", package, "--edges", "normal,no-proc-macro", "--target", target]);
    tree.args(["--prefix", "none", "--format", "{p}"]);
    let names = names_in(&exec::ask(&mut tree).map_err(failed)?);

    let mut metadata = cargo(workspace, "metadata");
    metadata.args(["--format-version", "1", "--filter-platform", target]);
    let metadata = exec::ask(&mut metadata).map_err(failed)?;
    let metadata: Metadata = serde_json::from_str(&metadata).map_err(LinkedCratesError::Metadata)?;
    let mut packages: HashMap<(String, String), Package> = metadata
        .packages
        .into_iter()
        .map(|package| ((package.name.clone(), package.version.clone()), package))
        .collect();

    let mut crates = Vec::new();
    for (name, version) in names {
        if name == package {
            continue;
        }
        let key = (name, version);
        let Some(package) = packages.remove(&key) else {
            return Err(LinkedCratesError::Unknown(format!("{} {}", key.0, key.1)));
        };
        crates.push(read(package)?);
    }
    Ok(crates)
}

fn cargo(workspace: &Workspace, subcommand: &str) -> Command {
    let mut command = Command::new(&workspace.cargo);
    command.arg(subcommand).arg("--locked").current_dir(&workspace.root);
    command
}

/// The names and versions in the answer of `cargo tree`. It lists a crate once for each crate that depends on it.
fn names_in(tree: &str) -> BTreeSet<(String, String)> {
    let name = |line: &str| {
        let mut words = line.split_whitespace();
        Some((words.next()?.to_owned(), words.next()?.strip_prefix('v')?.to_owned()))
    };
    tree.lines().filter_map(name).collect()
}

fn read(package: Package) -> Result<LinkedCrate, LinkedCratesError> {
    let folder = package.manifest_path.parent().unwrap_or(Path::new("."));
    let mut files = BTreeSet::new();
    find(folder, &mut files)?;
    files.extend(package.license_file.map(|file| folder.join(file)));
    let mut texts = Vec::new();
    for path in files {
        let bytes =
            fs::read(&path).map_err(|source| LinkedCratesError::Read { path: path.clone(), source })?;
        let file = path.strip_prefix(folder).unwrap_or(&path).to_string_lossy().into_owned();
        texts.push(LicenceText { file, text: String::from_utf8_lossy(&bytes).into_owned() });
    }
    Ok(LinkedCrate {
        name: package.name,
        version: package.version,
        license: package.license.unwrap_or_default(),
        repository: package.repository,
        texts,
    })
}

/// Adds the licence files in a folder and below it: a crate may contain code that it took from elsewhere.
fn find(folder: &Path, files: &mut BTreeSet<PathBuf>) -> Result<(), LinkedCratesError> {
    let failed = |source| LinkedCratesError::Read { path: folder.to_owned(), source };
    for entry in fs::read_dir(folder).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let kind = entry.file_type().map_err(failed)?;
        if kind.is_dir() && !NOT_LINKED.contains(&name.as_str()) {
            find(&entry.path(), files)?;
        } else if kind.is_file() && is_licence(&name) {
            files.insert(entry.path());
        }
    }
    Ok(())
}

/// Folders whose content does not get into a binary.
const NOT_LINKED: [&str; 5] = [".git", "benches", "examples", "target", "tests"];

fn is_licence(name: &str) -> bool {
    const STARTS: [&str; 6] = ["license", "licence", "unlicense", "copying", "copyright", "notice"];
    let name = name.to_ascii_lowercase();
    let is_code = Path::new(&name).extension().is_some_and(|extension| extension == "rs");
    STARTS.iter().any(|start| name.starts_with(start)) && !is_code
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_each_crate_once_from_the_answer_of_cargo_tree() {
        let tree = "sentry-lambda-extension v1.2.3 (/home/me/extension)\n\
                    bytes v1.12.2\nhttp v1.5.0\nbytes v1.12.2 (*)\n";
        let names: Vec<String> =
            names_in(tree).into_iter().map(|(name, version)| name + " " + &version).collect();
        assert_eq!(names, ["bytes 1.12.2", "http 1.5.0", "sentry-lambda-extension 1.2.3"]);
    }

    #[test]
    fn knows_a_licence_file_by_its_name() {
        for name in
            ["LICENSE", "LICENSE-MIT.md", "Licence.txt", "UNLICENSE", "COPYING", "NOTICE", "COPYRIGHT"]
        {
            assert!(is_licence(name), "{name}");
        }
        for name in ["license.rs", "README.md", "about.hbs"] {
            assert!(!is_licence(name), "{name}");
        }
    }
}
