//! `publisher build-publisher`: the publisher of a release, with the release's layers inside.

use crate::build_fixture::{
    ARM64, Workspace, X86_64, assert_code, dependency_list, static_elf, stderr, stdout,
};
use serde_json::{Value, json};
use std::{fs, os::unix::fs::PermissionsExt, path::Path, process::Output};

/// A workspace that has a publisher beside the extension.
fn workspace() -> Workspace {
    let workspace = Workspace::bare();
    let manifest = fs::read_to_string(workspace.path().join("Cargo.toml")).unwrap();
    workspace.file("Cargo.toml", &manifest.replace("\"extension\"", "\"extension\", \"publisher\""));
    let package = fs::read_to_string(workspace.path().join("extension/Cargo.toml")).unwrap();
    workspace.file("publisher/Cargo.toml", &package.replace("sentry-lambda-extension", "publisher"));
    workspace.file("publisher/src/main.rs", "fn main() {}");
    let lock = fs::read_to_string(workspace.path().join("Cargo.lock")).unwrap();
    let ours = "\n[[package]]\nname = \"publisher\"\nversion = \"9.8.7\"\n";
    workspace.file("Cargo.lock", &lock.replacen("\n[[package]]", &format!("{ours}\n[[package]]"), 1));
    workspace
}

pub fn layers(version: &str) -> Value {
    let layer = |arch: &str| {
        let arn = format!("arn:aws:lambda:eu-west-1:123456789012:layer:X-{arch}:7");
        let place =
            json!({"arn": arn, "version": 7, "grant": "public", "verified_at": "2026-01-01T00:00:00Z"});
        json!({
            "layer_name": format!("X-{arch}"), "sha256": "0".repeat(64), "code_sha256": "", "size": 1,
            "regions": {"eu-west-1": place}
        })
    };
    json!({
        "schema": 1, "version": version, "commit": "unknown",
        "toolchain": {"rustc": "rustc", "cargo_lambda": "cl", "zig": "z", "std": "prebuilt"},
        "accounts": {"aws": "123456789012"},
        "layers": {"arm64": layer("arm64"), "x86_64": layer("x86_64")}
    })
}

fn build(workspace: &Workspace, layers: &Value, more: &[&str]) -> Output {
    workspace.file("layers.json", &layers.to_string());
    let mut command = workspace.with_fake_tools();
    command.args(["build-publisher", "--layers", "layers.json", "--out", "out"]);
    command.args(more).output().unwrap()
}

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn each_architecture_gets_a_program_and_one_file_has_the_licences() {
    let workspace = workspace();
    workspace.set_fake_binary(ARM64.0, &static_elf(ARM64.1, 1));
    workspace.set_fake_binary(X86_64.0, &static_elf(X86_64.1, 2));
    let output = build(&workspace, &layers("9.8.7"), &[]);
    assert_code(&output, 0);
    let out = workspace.path().join("out");
    let notices = "publisher-THIRD-PARTY-NOTICES.txt";
    assert_eq!(names(&out), [notices, "publisher-linux-arm64", "publisher-linux-x86_64"]);
    for (file, compiled) in [
        ("publisher-linux-arm64", static_elf(ARM64.1, 1)),
        ("publisher-linux-x86_64", static_elf(X86_64.1, 2)),
    ] {
        let binary = fs::read(out.join(file)).unwrap();
        // The list of what is linked in follows the program, whose header says so.
        assert_eq!(binary[64..compiled.len()], compiled[64..], "{file}");
        let list = dependency_list(&binary).unwrap();
        let root = json!([{"name": "publisher", "version": "9.8.7", "source": "local", "root": true}]);
        assert_eq!(list["packages"], root, "{file}");
    }
    let mode = out.join("publisher-linux-arm64").metadata().unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o755);
    assert!(fs::read_to_string(out.join(notices)).unwrap().contains("\nmusl\n"));
    assert!(stdout(&output).contains("publisher-linux-arm64"));
    let arguments = fs::read_to_string(workspace.path().join("fake/arguments")).unwrap();
    assert!(arguments.contains("--profile publisher --package publisher --bin publisher"), "{arguments}");
    // The builder names the list by its absolute path, since cargo runs build scripts in the package's folder.
    let named = fs::read_to_string(workspace.path().join("fake/layers")).unwrap();
    assert_eq!(
        Path::new(&named).canonicalize().unwrap(),
        workspace.path().canonicalize().unwrap().join("layers.json")
    );
}

#[test]
fn a_list_of_another_release_or_of_a_yanked_one_does_not_go_inside() {
    let workspace = workspace();
    let refused = |list: &Value, words: &str| {
        let output = build(&workspace, list, &["--arch", "arm64"]);
        assert_code(&output, 1);
        assert!(stderr(&output).contains(words), "{}", stderr(&output));
        assert!(!workspace.path().join("out/publisher-linux-arm64").exists());
    };
    refused(&layers("9.8.6"), "layers.json is of 9.8.6, and this is publisher 9.8.7");
    let mut yanked = layers("9.8.7");
    yanked["schema"] = json!(2);
    yanked["yanked"] = json!({"at": "2026-11-26T03:00:00Z", "reason": "it crashes"});
    refused(&yanked, "9.8.7 was yanked on 2026-11-26: it crashes");
    refused(&json!([]), "not a manifest of published layers");
}

#[test]
fn a_program_that_does_not_run_everywhere_is_refused() {
    let workspace = workspace();
    workspace.set_fake_binary(ARM64.0, b"#!/bin/sh\n");
    let output = build(&workspace, &layers("9.8.7"), &["--arch", "arm64"]);
    assert_code(&output, 1);
    assert!(
        stderr(&output).contains("does not run everywhere: it is not an ELF file"),
        "{}",
        stderr(&output)
    );
    fs::remove_file(workspace.path().join("fake").join(ARM64.0)).unwrap();
    let output = build(&workspace, &layers("9.8.7"), &["--arch", "arm64"]);
    assert!(stderr(&output).contains("publisher does not build for arm64"), "{}", stderr(&output));
    assert_eq!(names(&workspace.path().join("out")), [""; 0]);
}
