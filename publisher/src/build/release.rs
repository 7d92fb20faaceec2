//! What `publisher build --release` asks of a work tree before it compiles: that everything says the same version.

use crate::{
    build::{
        changelog::{self, ChangelogSection},
        commit::Commit,
        exec::{self, ExecError},
        workspace::Workspace,
    },
    failure::Failure,
    model::time,
};
use std::{
    env, fs, io,
    path::{Path, PathBuf},
    process::Command,
};

/// Why this is no release.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NoRelease {
    /// Nothing to look the version up in.
    #[error("cannot read {}", path.display())]
    Changelog {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It does not name the version.
    #[error("CHANGELOG.md has no section for {0}")]
    NotNamed(String),
    /// It names it, but not as released.
    #[error("CHANGELOG.md does not say when {version} was released: `{found}` is no date")]
    NotReleased {
        /// The version.
        version: String,
        /// What stands in place of the date.
        found: String,
    },
    /// No commit to build again from.
    #[error("a release is built from a commit, and this is no git work tree")]
    NoCommit,
    /// git does not tell.
    #[error("cannot tell what is released")]
    Git(#[from] ExecError),
    /// Others could not build the same.
    #[error("the work tree has changes that are in no commit: {0}")]
    Dirty(String),
    /// The tag is of another version.
    #[error("the tag is {tag}, and the version is {version}")]
    Tag {
        /// As found.
        tag: String,
        /// As built.
        version: String,
    },
}

impl From<NoRelease> for Failure {
    fn from(error: NoRelease) -> Self {
        let hint = match &error {
            NoRelease::NotNamed(version) => {
                format!("write what is new under this line:\n{}", changelog::heading(version, &time::now()))
            }
            NoRelease::NotReleased { version, .. } => {
                format!("write this line:\n{}", changelog::heading(version, &time::now()))
            }
            NoRelease::Changelog { .. } => "a release is named there: restore the file".to_owned(),
            NoRelease::NoCommit | NoRelease::Git(_) => {
                "build it in a clone of the repository, with git on PATH".to_owned()
            }
            NoRelease::Dirty(_) => "commit or remove them; `git status` lists them".to_owned(),
            NoRelease::Tag { version, .. } => {
                format!("tag this commit v{version}, or set the version in Cargo.toml")
            }
        };
        Self::new(error).hint(hint)
    }
}

/// Refuses what is no release. Whatever lies in `dist/` or in the folder to build into is of other builds.
pub(crate) fn check(workspace: &Workspace, commit: &Commit, out: &Path) -> Result<(), NoRelease> {
    let version = &workspace.version;
    let path = workspace.root.join("CHANGELOG.md");
    let text = fs::read_to_string(&path).map_err(|source| NoRelease::Changelog { path, source })?;
    match changelog::section(&text, version) {
        ChangelogSection::Released => {}
        ChangelogSection::Undated(found) => {
            return Err(NoRelease::NotReleased { version: version.clone(), found: found.to_owned() });
        }
        ChangelogSection::Missing => return Err(NoRelease::NotNamed(version.clone())),
    }
    if *commit == Commit::Unknown {
        return Err(NoRelease::NoCommit);
    }
    let mut question = vec!["status", "--porcelain", "--", ".", ":(exclude)dist"];
    let out = std::path::absolute(out).ok().and_then(|out| {
        let out = out.strip_prefix(&workspace.root).ok()?.to_str()?.to_owned();
        // The workspace itself would be all of it.
        (!out.is_empty()).then(|| format!(":(exclude,literal){out}"))
    });
    question.extend(out.as_deref());
    let changes = git(workspace, &question)?;
    if !changes.is_empty() {
        return Err(NoRelease::Dirty(some_of(&changes)));
    }
    let tags = git(workspace, &["tag", "--points-at", "HEAD"])?;
    let tags: Vec<&str> = tags.lines().collect();
    let pushed = Pushed::from_env();
    contradiction(version, &pushed, &tags)
        .map_or(Ok(()), |tag| Err(NoRelease::Tag { tag: tag.to_owned(), version: version.clone() }))
}

fn git(workspace: &Workspace, arguments: &[&str]) -> Result<String, ExecError> {
    let mut command = Command::new("git");
    exec::ask(command.arg("--no-optional-locks").arg("-C").arg(&workspace.root).args(arguments))
}

/// The first few of the files that `git status` lists.
fn some_of(changes: &str) -> String {
    let names: Vec<&str> = changes
        .lines()
        .filter_map(|line| line.trim_start().split_once(' '))
        .map(|(_, name)| name.trim())
        .collect();
    let more = if names.len() > 3 { format!(" and {} more", names.len() - 3) } else { String::new() };
    format!("{}{more}", names.into_iter().take(3).collect::<Vec<_>>().join(" "))
}

/// What was pushed, in GitHub Actions.
#[derive(Debug, Default)]
struct Pushed {
    name: Option<String>,
    kind: Option<String>,
}

impl Pushed {
    fn from_env() -> Self {
        let text = |name| env::var(name).ok().filter(|text| !text.is_empty());
        Self { name: text("GITHUB_REF_NAME"), kind: text("GITHUB_REF_TYPE") }
    }
}

/// The tag that says another version than the one that is built.
fn contradiction<'a>(version: &str, pushed: &'a Pushed, tags: &[&'a str]) -> Option<&'a str> {
    let right = |tag: &str| tag.strip_prefix('v') == Some(version);
    if let Some(name) = pushed.name.as_deref() {
        let is_tag = match pushed.kind.as_deref() {
            Some(kind) => kind == "tag",
            None => names_a_version(name),
        };
        if is_tag && !right(name) {
            return Some(name);
        }
    }
    // A commit may have tags for other purposes.
    let mut versions = tags.iter().copied().filter(|tag| names_a_version(tag));
    if tags.iter().any(|tag| right(tag)) { None } else { versions.next() }
}

/// `v1.2.3` and whatever may follow it.
fn names_a_version(tag: &str) -> bool {
    let Some(version) = tag.strip_prefix('v') else { return false };
    let core = version.split(['-', '+']).next().unwrap_or_default();
    let numbers: Vec<&str> = core.split('.').collect();
    numbers.len() == 3 && numbers.iter().all(|number| number.parse::<u64>().is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_of_another_version_is_found_and_other_tags_are_not() {
        let pushed = |name: &str, kind: Option<&str>| Pushed {
            name: Some(name.to_owned()),
            kind: kind.map(str::to_owned),
        };
        let of = |pushed: Pushed, tags: &[&str]| contradiction("1.2.3", &pushed, tags).map(str::to_owned);
        let none = Pushed::default;
        for (found, expected) in [
            (of(none(), &[]), None),
            (of(none(), &["nightly", "v1", "1.2.4"]), None),
            (of(none(), &["v1.2.2"]), Some("v1.2.2")),
            (of(none(), &["v1.2.2", "v1.2.3"]), None),
            (of(none(), &["v1.2.3-rc.1"]), Some("v1.2.3-rc.1")),
            (of(pushed("main", Some("branch")), &[]), None),
            (of(pushed("v9.9.9", Some("branch")), &[]), None),
            (of(pushed("v1.2.3", Some("tag")), &["v1.2.3"]), None),
            (of(pushed("v1.2.4", Some("tag")), &["v1.2.3"]), Some("v1.2.4")),
            (of(pushed("vnext", Some("tag")), &[]), Some("vnext")),
            (of(pushed("v1.2.4", None), &[]), Some("v1.2.4")),
            (of(pushed("main", None), &["v1.2.4"]), Some("v1.2.4")),
        ] {
            assert_eq!(found.as_deref(), expected);
        }
    }

    #[test]
    fn some_changes_stand_for_all() {
        assert_eq!(some_of("M a\n?? b c"), "a b c");
        assert_eq!(some_of("M a\nM b\nM c\n D d\nM e"), "a b c and 2 more");
    }
}
