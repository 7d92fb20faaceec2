//! `publisher build`: the files that it writes into the output folder.

use crate::build_fixture::{ARM64, Workspace, X86_64, assert_code, static_elf, stderr, stdout};
use serde_json::Value;
use std::{
    fs::{self, File},
    io::Read,
    os::unix::fs::PermissionsExt,
    path::Path,
    process::Command,
};
use zip::ZipArchive;

fn file_names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[track_caller]
fn assert_sums(dist: &Path) {
    assert_code(&Command::new("sha256sum").args(["-c", "SHA256SUMS"]).current_dir(dist).output().unwrap(), 0);
}

fn manifest(dist: &Path) -> Value {
    serde_json::from_slice(&fs::read(dist.join("build.json")).unwrap()).unwrap()
}

fn artifact_files(dist: &Path) -> Vec<String> {
    let artifacts = manifest(dist)["artifacts"].as_array().unwrap().clone();
    artifacts.iter().map(|artifact| artifact["arch"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn the_real_tools_make_layers_that_run() {
    let workspace = Workspace::with_tools();
    workspace.commit("first");
    // The build is started in a subfolder, as a user might do.
    let output =
        workspace.publisher().current_dir(workspace.path().join("extension/src")).arg("build").output();
    let output = output.unwrap();
    assert_code(&output, 0);
    let dist = workspace.path().join("dist");
    assert_eq!(
        file_names(&dist),
        [
            "SHA256SUMS",
            "build.json",
            "sentry-lambda-extension-arm64.zip",
            "sentry-lambda-extension-x86_64.zip"
        ]
    );
    assert_sums(&dist);
    assert_eq!(artifact_files(&dist), ["arm64", "x86_64"]);
    assert!(stderr(&output).contains("std for musl"), "it says which std it took: {}", stderr(&output));

    let manifest = manifest(&dist);
    let commit = manifest["commit"].as_str().unwrap();
    assert!(commit.len() == 40 && commit.bytes().all(|byte| byte.is_ascii_hexdigit()), "{commit}");
    assert_eq!(manifest["version"], "9.8.7");
    for (arch, runner) in [("arm64", Some("qemu-aarch64-static")), ("x86_64", None)] {
        let name = format!("sentry-lambda-extension-{arch}.zip");
        assert!(stdout(&output).contains(&name));
        assert_eq!(fs::metadata(dist.join(&name)).unwrap().permissions().mode() & 0o777, 0o644);
        let mut zip = ZipArchive::new(File::open(dist.join(&name)).unwrap()).unwrap();
        assert_eq!(zip.len(), 4);
        assert_eq!(zip.by_index(1).unwrap().unix_mode(), Some(0o120_777));
        let mut entry = zip.by_index(0).unwrap();
        assert_eq!(entry.name().unwrap(), "extensions/sentry-lambda-extension");
        assert_eq!(entry.unix_mode(), Some(0o100_755));
        assert_eq!(entry.last_modified().unwrap().to_string(), "1980-01-01 00:00:00");

        let mut binary = Vec::new();
        entry.read_to_end(&mut binary).unwrap();
        let place = workspace.script(&format!("run/{arch}"), "");
        fs::write(&place, binary).unwrap();
        let run = match runner {
            Some(runner) => Command::new(runner).arg(&place).output(),
            None => Command::new(&place).output(),
        };
        let run = run.unwrap_or_else(|error| panic!("cannot run the {arch} binary ({error}): see ci/test"));
        // Panics unwind in a binary that is built with the layer's flags: the worker starts again, and its locals are
        // dropped.
        let expected = format!("9.8.7 {} lives=3 dropped=15 poisoned=true\n", &commit[..12]);
        assert_eq!(stdout(&run), expected, "{}", stderr(&run));
    }
}

/// A committed workspace. Its stand-in for cargo-lambda "builds" both architectures.
fn workspace_with_binaries() -> Workspace {
    let workspace = Workspace::bare();
    workspace.commit("first");
    workspace.set_fake_binary(ARM64.0, &static_elf(ARM64.1, 0));
    workspace.set_fake_binary(X86_64.0, &static_elf(X86_64.1, 0));
    workspace
}

fn build(workspace: &Workspace, arguments: &[&str]) -> String {
    let output = workspace.with_fake_tools().arg("build").args(arguments).output().unwrap();
    assert_code(&output, 0);
    stderr(&output)
}

#[test]
fn json_is_the_manifest_and_nothing_else() {
    let workspace = workspace_with_binaries();
    let output = workspace.with_fake_tools().args(["build", "--json"]).output().unwrap();
    assert_code(&output, 0);
    let json: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(json, manifest(&workspace.path().join("dist")));
    assert_eq!(json["toolchain"]["zig"], "0.0.0");
}

#[test]
fn the_other_architecture_is_kept_if_it_is_of_the_same_build() {
    let workspace = workspace_with_binaries();
    let dist = workspace.path().join("dist");
    build(&workspace, &["--arch", "arm64"]);
    assert_eq!(artifact_files(&dist), ["arm64"]);
    build(&workspace, &["--arch", "x86_64"]);
    assert_eq!(artifact_files(&dist), ["arm64", "x86_64"]);
    assert_sums(&dist);
}

#[test]
fn the_other_architecture_is_removed_if_it_is_of_another_commit() {
    let workspace = workspace_with_binaries();
    let dist = workspace.path().join("dist");
    build(&workspace, &[]);
    workspace.commit("second");
    let said = build(&workspace, &["--arch", "x86_64"]);
    assert!(said.contains("Removed sentry-lambda-extension-arm64.zip"), "{said}");
    assert_eq!(artifact_files(&dist), ["x86_64"]);
    assert_eq!(file_names(&dist), ["SHA256SUMS", "build.json", "sentry-lambda-extension-x86_64.zip"]);
    assert_sums(&dist);
}

#[test]
fn a_changed_work_tree_is_marked_dirty_and_keeps_no_old_zip() {
    let workspace = workspace_with_binaries();
    let dist = workspace.path().join("dist");
    build(&workspace, &[]);
    workspace.file("extension/src/main.rs", "fn main() {}");
    build(&workspace, &["--arch", "arm64"]);
    assert!(manifest(&dist)["commit"].as_str().unwrap().ends_with("-dirty"));
    assert_eq!(artifact_files(&dist), ["arm64"]);
}

#[test]
fn without_git_the_commit_is_unknown() {
    let workspace = Workspace::bare();
    workspace.set_fake_binary(X86_64.0, &static_elf(X86_64.1, 0));
    build(&workspace, &["--arch", "amd64", "--arch", "x86_64"]);
    assert_eq!(manifest(&workspace.path().join("dist"))["commit"], "unknown");
    assert_eq!(artifact_files(&workspace.path().join("dist")), ["x86_64"]);
}

#[test]
fn source_date_epoch_is_the_time_in_the_zip() {
    let workspace = workspace_with_binaries();
    let mut command = workspace.with_fake_tools();
    command.args(["build", "--arch", "arm64"]).env("SOURCE_DATE_EPOCH", "1700000000");
    assert_code(&command.output().unwrap(), 0);
    let zip = File::open(workspace.path().join("dist/sentry-lambda-extension-arm64.zip")).unwrap();
    let mut zip = ZipArchive::new(zip).unwrap();
    assert_eq!(zip.by_index(0).unwrap().last_modified().unwrap().to_string(), "2023-11-14 22:13:20");
}
