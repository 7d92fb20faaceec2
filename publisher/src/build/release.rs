//! Checks a work tree for `publisher build --release`, before it is compiled: it has to be a clean commit, and
//! Cargo.toml, CHANGELOG.md and the tag have to agree on the version.

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

/// Why this work tree cannot be released.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReleaseError {
    #[error("cannot read {}", path.display())]
    Changelog { path: PathBuf, source: io::Error },
    #[error("CHANGELOG.md has no section for {0}")]
    NotNamed(String),
    /// The section exists, but it has no date.
    #[error("CHANGELOG.md does not say when {version} was released: `{found}` is not a date")]
    NotReleased {
        version: String,
        /// The text in place of the date.
        found: String,
    },
    /// Without a commit, nobody can build the release again.
    #[error("a release is built from a commit, and this is not a git work tree")]
    NoCommit,
    #[error("cannot read the state of the git work tree")]
    Git(#[from] ExecError),
    /// Others could not build the same bytes.
    #[error("the work tree has uncommitted changes: {0}")]
    Dirty(String),
    #[error("the tag is {tag}, and the version is {version}")]
    Tag { tag: String, version: String },
}

impl From<ReleaseError> for Failure {
    fn from(error: ReleaseError) -> Self {
        let hint = match &error {
            ReleaseError::NotNamed(version) => {
                format!("write what is new under this line:\n{}", changelog::heading(version, &time::now()))
            }
            ReleaseError::NotReleased { version, .. } => {
                format!("write this line:\n{}", changelog::heading(version, &time::now()))
            }
            ReleaseError::Changelog { .. } => "restore the file, which has to name the release".to_owned(),
            ReleaseError::NoCommit | ReleaseError::Git(_) => {
                "build it in a clone of the repository, with git on PATH".to_owned()
            }
            ReleaseError::Dirty(_) => "commit or remove them; `git status` lists them".to_owned(),
            ReleaseError::Tag { version, .. } => {
                format!("tag this commit v{version}, or set the version in Cargo.toml")
            }
        };
        Self::new(error).hint(hint)
    }
}

/// Checks that the work tree may be released. Files in `dist/` and in the output folder `out` do not count as
/// changes, because they come from other builds.
pub(crate) fn check(workspace: &Workspace, commit: &Commit, out: &Path) -> Result<(), ReleaseError> {
    let version = &workspace.version;
    let path = workspace.root.join("CHANGELOG.md");
    let text = fs::read_to_string(&path).map_err(|source| ReleaseError::Changelog { path, source })?;
    match changelog::section(&text, version) {
        ChangelogSection::Released => {}
        ChangelogSection::Undated(found) => {
            return Err(ReleaseError::NotReleased { version: version.clone(), found: found.to_owned() });
        }
        ChangelogSection::Missing => return Err(ReleaseError::NotNamed(version.clone())),
    }
    if *commit == Commit::Unknown {
        return Err(ReleaseError::NoCommit);
    }
    let mut arguments = vec!["status", "--porcelain", "--", ".", ":(exclude)dist"];
    let out = std::path::absolute(out).ok().and_then(|out| {
        let out = out.strip_prefix(&workspace.root).ok()?.to_str()?.to_owned();
        // If the output folder is the workspace itself, excluding it would exclude everything.
        (!out.is_empty()).then(|| format!(":(exclude,literal){out}"))
    });
    arguments.extend(out.as_deref());
    let changes = git(workspace, &arguments)?;
    if !changes.is_empty() {
        return Err(ReleaseError::Dirty(first_changes(&changes)));
    }
    let tags = git(workspace, &["tag", "--points-at", "HEAD"])?;
    let tags: Vec<&str> = tags.lines().collect();
    let pushed = PushedRef::from_env();
    wrong_tag(version, &pushed, &tags)
        .map_or(Ok(()), |tag| Err(ReleaseError::Tag { tag: tag.to_owned(), version: version.clone() }))
}

fn git(workspace: &Workspace, arguments: &[&str]) -> Result<String, ExecError> {
    let mut command = Command::new("git");
    exec::ask(command.arg("--no-optional-locks").arg("-C").arg(&workspace.root).args(arguments))
}

/// The first three of the files that `git status` lists, and the number of the others.
fn first_changes(changes: &str) -> String {
    let names: Vec<&str> = changes
        .lines()
        .filter_map(|line| line.trim_start().split_once(' '))
        .map(|(_, name)| name.trim())
        .collect();
    let more = if names.len() > 3 { format!(" and {} more", names.len() - 3) } else { String::new() };
    format!("{}{more}", names.into_iter().take(3).collect::<Vec<_>>().join(" "))
}

/// The branch or tag that was pushed, in GitHub Actions.
#[derive(Debug, Default)]
struct PushedRef {
    name: Option<String>,
    kind: Option<String>,
}

impl PushedRef {
    fn from_env() -> Self {
        let text = |name| env::var(name).ok().filter(|text| !text.is_empty());
        Self { name: text("GITHUB_REF_NAME"), kind: text("GITHUB_REF_TYPE") }
    }
}

/// The tag that names another version than the one that is built, if there is one.
fn wrong_tag<'a>(version: &str, pushed: &'a PushedRef, tags: &[&'a str]) -> Option<&'a str> {
    let is_right = |tag: &str| tag.strip_prefix('v') == Some(version);
    if let Some(name) = pushed.name.as_deref() {
        let is_tag = match pushed.kind.as_deref() {
            Some(kind) => kind == "tag",
            None => is_version_tag(name),
        };
        if is_tag && !is_right(name) {
            return Some(name);
        }
    }
    // A commit may have tags for other purposes, so only tags with a version count.
    let mut versions = tags.iter().copied().filter(|tag| is_version_tag(tag));
    if tags.iter().any(|tag| is_right(tag)) { None } else { versions.next() }
}

/// Whether a tag has the form `v1.2.3`, with or without a suffix.
fn is_version_tag(tag: &str) -> bool {
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
        let pushed = |name: &str, kind: Option<&str>| PushedRef {
            name: Some(name.to_owned()),
            kind: kind.map(str::to_owned),
        };
        let of = |pushed: PushedRef, tags: &[&str]| wrong_tag("1.2.3", &pushed, tags).map(str::to_owned);
        let none = PushedRef::default;
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
    fn only_the_first_changes_are_named() {
        assert_eq!(first_changes("M a\n?? b c"), "a b c");
        assert_eq!(first_changes("M a\nM b\nM c\n D d\nM e"), "a b c and 2 more");
    }
}
