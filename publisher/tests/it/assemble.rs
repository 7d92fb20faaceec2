//! `publisher assemble` makes one release from builds of several machines, and `publisher compare` compares two builds.

use crate::support::{
    cli::{Publisher, Run},
    dist::{ARCHES, Dist},
};
use serde_json::Value;
use std::{fs, path::Path};
use tempfile::TempDir;

fn zip_name(arch: &str) -> String {
    format!("sentry-lambda-extension-{arch}.zip")
}

/// The folders that a release's build jobs leave: each architecture of `dist`, built twice.
fn built_twice(dist: &Dist) -> TempDir {
    let built = tempfile::tempdir().unwrap();
    let manifest = read_json(&dist.path().join("build.json"));
    let sums = fs::read_to_string(dist.path().join("SHA256SUMS")).unwrap();
    for arch in ARCHES {
        for copy in ["first", "second"] {
            let folder = built.path().join(format!("built-{arch}-{copy}"));
            fs::create_dir(&folder).unwrap();
            fs::copy(dist.zip(arch), folder.join(zip_name(arch))).unwrap();
            let mut manifest = manifest.clone();
            manifest["artifacts"].as_array_mut().unwrap().retain(|artifact| artifact["arch"] == arch);
            fs::write(folder.join("build.json"), manifest.to_string()).unwrap();
            let line = sums.lines().find(|line| line.ends_with(&zip_name(arch))).unwrap();
            fs::write(folder.join("SHA256SUMS"), format!("{line}\n")).unwrap();
        }
    }
    built
}

fn read_json(path: &Path) -> Value {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

fn append(path: &Path, text: &str) {
    fs::write(path, [fs::read(path).unwrap(), text.into()].concat()).unwrap();
}

fn assemble(built: &TempDir) -> Run {
    let out = built.path().join("release");
    Publisher::new().run_bare(&["assemble", built.path().to_str().unwrap(), out.to_str().unwrap()])
}

fn compare(built: &TempDir, first: &str, second: &str) -> Run {
    let [first, second] = [first, second].map(|name| built.path().join(name));
    Publisher::new().run_bare(&["compare", first.to_str().unwrap(), second.to_str().unwrap()])
}

/// A refused release leaves no files.
#[track_caller]
fn assert_nothing_written(built: &TempDir) {
    let names = fs::read_dir(built.path()).unwrap().map(|entry| entry.unwrap().file_name());
    let others: Vec<_> = names.filter(|name| !name.to_str().unwrap().starts_with("built-")).collect();
    assert!(others.is_empty(), "{others:?}");
}

#[test]
fn two_equal_copies_of_both_architectures_make_a_release() {
    let dist = Dist::new("assemble");
    let built = built_twice(&dist);
    let summary = built.path().join("built-summary.md");
    let out = built.path().join("release");
    let run = Publisher::new()
        .env("GITHUB_STEP_SUMMARY", summary.to_str().unwrap())
        .run_bare(&["assemble", built.path().to_str().unwrap(), out.to_str().unwrap()])
        .expect(0);
    let summary = fs::read_to_string(summary).unwrap();
    for arch in ARCHES {
        let line = format!("built twice, the same bytes: {} ", zip_name(arch));
        assert!(run.stdout.contains(&line), "{}", run.stdout);
        assert!(summary.contains(&format!("- {line}")), "{summary}");
        let zip = fs::read(out.join(zip_name(arch))).unwrap();
        assert!(zip == fs::read(dist.zip(arch)).unwrap(), "{arch}");
    }
    assert_eq!(read_json(&out.join("build.json")), read_json(&dist.path().join("build.json")));
    let sums = |folder: &Path| fs::read_to_string(folder.join("SHA256SUMS")).unwrap();
    assert_eq!(sums(&out), sums(dist.path()));

    assemble(&built).expect(1).says("exists already");
}

#[test]
fn a_changed_byte_and_a_missing_file_are_found() {
    let built = built_twice(&Dist::new("compare"));
    let equal = compare(&built, "built-arm64-first", "built-arm64-second").expect(0);
    assert!(equal.stdout.starts_with("built twice, the same bytes: "), "{}", equal.stdout);

    append(&built.path().join("built-arm64-second").join(zip_name("arm64")), "x");
    let changed = "two builds differ: sentry-lambda-extension-arm64.zip";
    compare(&built, "built-arm64-first", "built-arm64-second")
        .expect(1)
        .says(changed)
        .says("by rustc; cl; z");
    assemble(&built).expect(1).says(changed);

    fs::remove_file(built.path().join("built-x86_64-second/SHA256SUMS")).unwrap();
    compare(&built, "built-x86_64-first", "built-x86_64-second").expect(1).says("builds differ: SHA256SUMS");
    compare(&built, "built-x86_64-first", "built-nowhere").expect(1).says("there is no ").says("build.json");
    assert_nothing_written(&built);
}

#[test]
fn architectures_of_different_builds_make_no_release() {
    let built = built_twice(&Dist::new("tools"));
    for copy in ["first", "second"] {
        let path = built.path().join(format!("built-x86_64-{copy}/build.json"));
        let mut manifest = read_json(&path);
        manifest["toolchain"]["zig"] = "another".into();
        fs::write(path, manifest.to_string()).unwrap();
    }
    assemble(&built)
        .expect(1)
        .says("different commits or by different tools")
        .says("built-x86_64-first/build.json");
    assert_nothing_written(&built);
}

#[test]
fn zips_that_differ_from_their_manifest_make_no_release() {
    let built = built_twice(&Dist::new("changed"));
    for copy in ["first", "second"] {
        append(&built.path().join(format!("built-arm64-{copy}")).join(zip_name("arm64")), "x");
    }
    assemble(&built).expect(1).says("was changed after it was built");
    assert_nothing_written(&built);
}

#[test]
fn the_commands_for_ci_are_hidden_but_have_a_help_text() {
    let help = Publisher::new().run_bare(&["--help"]).expect(0).stdout;
    for (command, argument) in [("assemble", "built-x86_64-second"), ("compare", "publisher build")] {
        assert!(!help.contains(&format!("  {command} ")), "{help}");
        Publisher::new().run_bare(&[command, "--help"]).expect(0).says(argument);
    }
}
