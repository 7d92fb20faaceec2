//! `publisher build --release` fails unless Cargo.toml, CHANGELOG.md and the tag agree on the version.

use crate::build_fixture::{ARM64, Workspace, X86_64, assert_code, static_elf, stderr};
use std::{fs, process::Command};

/// A changelog that has the version of the fixture's package.
const RELEASED: &str = "# Changelog\n\n## [Unreleased]\n\n## [9.8.7] - 2026-01-02\n\n- Something\n";

/// A committed workspace that meets all conditions of a release.
fn releasable_workspace() -> Workspace {
    let workspace = Workspace::bare();
    workspace.file("CHANGELOG.md", RELEASED);
    // The fixture's stand-ins for tools leave these files.
    workspace.file(".gitignore", "/fake/\n/target/\n/.tools/\n");
    git(&workspace, &["init", "--quiet"]);
    git(&workspace, &["add", "CHANGELOG.md", ".gitignore"]);
    workspace.commit("release");
    workspace.set_fake_binary(ARM64.0, &static_elf(ARM64.1, 0));
    workspace.set_fake_binary(X86_64.0, &static_elf(X86_64.1, 0));
    workspace
}

fn git(workspace: &Workspace, arguments: &[&str]) {
    let mut command = Command::new("git");
    let identity = ["-c", "user.name=test", "-c", "user.email=test@example.com"];
    assert_code(&command.args(identity).args(arguments).current_dir(workspace.path()).output().unwrap(), 0);
}

#[track_caller]
fn build(workspace: &Workspace, env: &[(&str, &str)], code: i32) -> String {
    let mut command = workspace.with_fake_tools();
    let output = command.args(["build", "--release"]).envs(env.iter().copied()).output().unwrap();
    assert_code(&output, code);
    let built = workspace.path().join("dist/build.json").exists();
    assert_eq!(built, code == 0, "{}", stderr(&output));
    stderr(&output)
}

#[test]
fn a_release_is_built_with_and_without_its_tag() {
    let workspace = releasable_workspace();
    build(&workspace, &[], 0);
    // The files in dist/ come from the build itself, so they are no changes.
    fs::write(workspace.path().join("dist/layers.json"), "{}").unwrap();
    git(&workspace, &["tag", "v9.8.7"]);
    git(&workspace, &["tag", "nightly"]);
    for _ in 0..2 {
        let mut command = workspace.with_fake_tools();
        assert_code(&command.args(["build", "--release", "--out", "built"]).output().unwrap(), 0);
    }
    fs::remove_dir_all(workspace.path().join("built")).unwrap();
    build(&workspace, &[("GITHUB_REF_NAME", "v9.8.7"), ("GITHUB_REF_TYPE", "tag")], 0);
    build(&workspace, &[("GITHUB_REF_NAME", "main"), ("GITHUB_REF_TYPE", "branch")], 0);
}

#[test]
fn a_version_missing_in_the_changelog_is_refused_and_the_line_to_add_is_shown() {
    let workspace = releasable_workspace();
    workspace.file("CHANGELOG.md", &RELEASED.replace("2026-01-02", "unreleased"));
    let said = build(&workspace, &[], 1);
    assert!(said.contains("`unreleased` is not a date"), "{said}");
    let line = said
        .lines()
        .find(|line| line.trim().starts_with("## [9.8.7] - 2"))
        .unwrap_or_else(|| panic!("{said}"));
    // The line that the error suggests has to be accepted.
    workspace.file("CHANGELOG.md", &RELEASED.replace("## [9.8.7] - 2026-01-02", line.trim()));
    git(&workspace, &["commit", "--all", "--quiet", "--message", "released"]);
    build(&workspace, &[], 0);

    let workspace = releasable_workspace();
    workspace.file("CHANGELOG.md", &RELEASED.replace("9.8.7", "9.8.6"));
    let said = build(&workspace, &[], 1);
    assert!(said.contains("has no section for 9.8.7") && said.contains("## [9.8.7] - 2"), "{said}");
    fs::remove_file(workspace.path().join("CHANGELOG.md")).unwrap();
    assert!(build(&workspace, &[], 1).contains("cannot read"));
}

#[test]
fn uncommitted_changes_are_refused() {
    for (name, content) in [("extension/src/main.rs", "fn main() {}"), ("notes.txt", "new")] {
        let workspace = releasable_workspace();
        workspace.file(name, content);
        let said = build(&workspace, &[], 1);
        assert!(said.contains("the work tree has uncommitted changes") && said.contains(name), "{said}");
    }
    let workspace = releasable_workspace();
    fs::remove_dir_all(workspace.path().join(".git")).unwrap();
    assert!(build(&workspace, &[], 1).contains("this is not a git work tree"));
}

#[test]
fn a_tag_of_another_version_is_refused() {
    let workspace = releasable_workspace();
    let said = build(&workspace, &[("GITHUB_REF_NAME", "v9.8.8"), ("GITHUB_REF_TYPE", "tag")], 1);
    assert!(said.contains("the tag is v9.8.8, and the version is 9.8.7"), "{said}");
    git(&workspace, &["tag", "v9.9.0"]);
    let said = build(&workspace, &[], 1);
    assert!(said.contains("the tag is v9.9.0") && said.contains("tag this commit v9.8.7"), "{said}");
}

#[test]
fn without_the_release_option_nothing_of_this_is_checked() {
    let workspace = releasable_workspace();
    fs::remove_file(workspace.path().join("CHANGELOG.md")).unwrap();
    git(&workspace, &["tag", "v9.9.0"]);
    assert_code(&workspace.with_fake_tools().arg("build").output().unwrap(), 0);
}

#[test]
fn a_github_job_gets_the_hashes_and_the_version() {
    let workspace = releasable_workspace();
    let (summary, output) = (workspace.file("fake/summary", ""), workspace.file("fake/output", ""));
    let env =
        [("GITHUB_STEP_SUMMARY", summary.to_str().unwrap()), ("GITHUB_OUTPUT", output.to_str().unwrap())];
    build(&workspace, &env, 0);
    let sums = fs::read_to_string(workspace.path().join("dist/SHA256SUMS")).unwrap();
    let summary = fs::read_to_string(summary).unwrap();
    for line in sums.lines() {
        let (sha256, file) = line.split_once("  ").unwrap();
        let row = summary.lines().find(|row| row.contains(file)).unwrap_or_else(|| panic!("{summary}"));
        assert!(row.contains(sha256), "{row}");
    }
    let output = fs::read_to_string(output).unwrap();
    assert!(output.starts_with("version<<") && output.contains("\n9.8.7\n"), "{output}");
}
