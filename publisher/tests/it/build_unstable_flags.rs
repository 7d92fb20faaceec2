//! `publisher build` leaves out the unstable options that an older Rust does not have.

use crate::build_fixture::{Workspace, X86_64, assert_code, static_elf, stderr};
use std::fs;

/// A script that prints the sysroot and refuses every flag that matches `lacking`. For anything else it runs the real
/// rustc.
fn fake_rustc(lacking: &str, sysroot: &str) -> String {
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

/// Runs a build. Returns the publisher's stderr, cargo's arguments and rustc's flags.
fn build(lacking: &str, std_features: &str) -> (String, String, String) {
    let workspace = Workspace::bare();
    workspace.set_fake_binary(X86_64.0, &static_elf(X86_64.1, 0));
    for package in ["std", "sysroot"] {
        let manifest = format!("fake/rust/lib/rustlib/src/rust/library/{package}/Cargo.toml");
        workspace.file(&manifest, &format!("[features]\n{std_features}\n"));
    }
    let sysroot = workspace.path().join("fake/rust");
    let rustc = workspace.script("fake/a-rustc", &fake_rustc(lacking, sysroot.to_str().unwrap()));
    let mut command = workspace.with_fake_tools();
    let output = command.args(["build", "--arch", "x86_64"]).env("RUSTC", rustc).output().unwrap();
    assert_code(&output, 0);
    let left = |name: &str| fs::read_to_string(workspace.path().join("fake").join(name)).unwrap();
    (stderr(&output), left("arguments"), left("flags"))
}

const FLAGS: [&str; 3] = ["-Zpanic-in-drop=abort", "-Zuse-sync-unwind=yes", "-Zfmt-debug=shallow"];

#[test]
fn supported_flags_are_used_without_a_message() {
    let (said, arguments, flags) = build("nothing", "optimize_for_size = []");
    assert!(said.contains("source std") && !said.contains("warning"), "{said}");
    assert!(arguments.contains("build-std-features=panic-unwind,optimize_for_size"), "{arguments}");
    assert!(FLAGS.iter().all(|flag| flags.split('\x1f').any(|given| given == *flag)), "{flags}");
}

#[test]
fn unsupported_flags_are_left_out_with_one_warning() {
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
