//! Tests which zips of an earlier build may stay.

use super::*;
use crate::{artifacts::build_manifest::Toolchain, model::arch::Arch};

fn manifest(arch: Arch) -> BuildManifest {
    let artifact = Artifact {
        arch,
        file: zip_name(Variant::new(arch, LayerKind::Plain)),
        sha256: "aa".to_owned(),
        size: 1,
        binary_sha256: "bb".to_owned(),
        binary_size: 2,
        relay: None,
    };
    let text = |text: &str| text.to_owned();
    BuildManifest {
        schema: 1,
        version: text("0.1.0"),
        commit: text("c0ffee"),
        toolchain: Toolchain {
            rustc: text("rustc 1"),
            cargo_lambda: text("cargo-lambda 1"),
            zig: text("1"),
            std: text("prebuilt"),
        },
        artifacts: vec![artifact],
    }
}

fn kept_archs(previous: &BuildManifest, exact: bool, hash: &str) -> Vec<Arch> {
    let kept = kept(previous, &manifest(Arch::X86_64), exact, |_| Some(hash.to_owned()));
    kept.into_iter().map(|artifact| artifact.arch).collect()
}

#[test]
fn the_other_architecture_of_the_same_build_stays() {
    assert_eq!(kept_archs(&manifest(Arch::Arm64), true, "aa"), [Arch::Arm64]);
}

#[test]
fn a_new_zip_replaces_the_old_one() {
    assert_eq!(kept_archs(&manifest(Arch::X86_64), true, "aa"), []);
}

#[test]
fn another_commit_version_or_tool_does_not_stay() {
    let changes: [fn(&mut BuildManifest); 4] = [
        |m| m.commit = "other".to_owned(),
        |m| m.version = "0.2.0".to_owned(),
        |m| m.toolchain.rustc = "rustc 2".to_owned(),
        |m| m.toolchain.std = "source".to_owned(),
    ];
    for change in changes {
        let mut previous = manifest(Arch::Arm64);
        change(&mut previous);
        assert_eq!(kept_archs(&previous, true, "aa"), []);
    }
}

#[test]
fn a_zip_with_a_changed_work_tree_changed_bytes_or_another_name_does_not_stay() {
    assert_eq!(kept_archs(&manifest(Arch::Arm64), false, "aa"), []);
    assert_eq!(kept_archs(&manifest(Arch::Arm64), true, "ff"), []);
    let mut previous = manifest(Arch::Arm64);
    previous.artifacts[0].file = "../elsewhere.zip".to_owned();
    assert_eq!(kept_archs(&previous, true, "aa"), []);
}

#[test]
fn sums_are_in_the_form_of_sha256sum() {
    assert_eq!(sums(&manifest(Arch::Arm64).artifacts), "aa  sentry-lambda-extension-arm64.zip\n");
}
