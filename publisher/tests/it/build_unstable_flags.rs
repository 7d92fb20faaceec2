//! `publisher build` with a Rust that lacks some of the unstable options: it leaves them out.

use crate::build_fixture::{Workspace, X86_64, assert_code, static_elf, stderr};
use std::fs;

/// Says where its std lies, and takes every flag but those that contain a word of `lacking`; in all else the real one.
fn rustc(lacking: &str, sysroot: &str) -> String {
    format!(
        r#"#!/bin/sh
case "$*" in
*"--print sysroot"*)
  for flag; do
    case $flag in
    {lacking}) echo "error: unknown unstable option: $flag" >&2; exit 1 ;;
    -Z*) [ "$RUSTC_BOOTSTRAP" = 1 ] || exit 1 ;;
    esac
  done
  echo '{sysroot}'
  ;;
*) exec rustc "$@" ;;
esac
"#
    )
}

/// Builds; returns what was said, cargo's arguments and rustc's flags.
fn build(lacking: &str, std_features: &str) -> (String, String, String) {
    let workspace = Workspace::bare();
    workspace.deliver(X86_64.0, &static_elf(X86_64.1, 0));
    for package in ["std", "sysroot"] {
        let manifest = format!("fake/rust/lib/rustlib/src/rust/library/{package}/Cargo.toml");
        workspace.file(&manifest, &format!("[features]\n{std_features}\n"));
    }
    let sysroot = workspace.path().join("fake/rust");
    let rustc = workspace.script("fake/a-rustc", &rustc(lacking, sysroot.to_str().unwrap()));
    let mut command = workspace.pretending();
    let output = command.args(["build", "--arch", "x86_64"]).env("RUSTC", rustc).output().unwrap();
    assert_code(&output, 0);
    let left = |name: &str| fs::read_to_string(workspace.path().join("fake").join(name)).unwrap();
    (stderr(&output), left("arguments"), left("flags"))
}

const FLAGS: [&str; 3] = ["-Zpanic-in-drop=abort", "-Zuse-sync-unwind=yes", "-Zfmt-debug=shallow"];

#[test]
fn what_rust_has_is_used_without_a_word() {
    let (said, arguments, flags) = build("nothing", "optimize_for_size = []");
    assert!(said.contains("source std") && !said.contains("warning"), "{said}");
    assert!(arguments.contains("build-std-features=panic-unwind,optimize_for_size"), "{arguments}");
    assert!(FLAGS.iter().all(|flag| flags.split('\x1f').any(|given| given == *flag)), "{flags}");
}

#[test]
fn what_rust_lacks_is_left_out_and_named_in_one_warning() {
    let (said, arguments, flags) = build("*panic-in-drop*|*fmt-debug*", "optimize_for_speed = []");
    let warnings: Vec<&str> = said.lines().filter(|line| line.contains("warning")).collect();
    let [warning] = warnings[..] else { panic!("{said}") };
    assert!(warning.contains("larger"), "{warning}");
    for (name, lacking) in FLAGS.into_iter().zip([true, false, true]) {
        assert_eq!(warning.contains(name), lacking, "{warning}");
        assert_eq!(!flags.contains(name), lacking, "{flags}");
    }
    assert!(warning.contains("optimize_for_size"), "{warning}");
    assert!(arguments.ends_with("build-std-features=panic-unwind\n"), "{arguments}");
    assert!(flags.contains("-Cforce-frame-pointers=yes"), "what is stable stays: {flags}");
}
