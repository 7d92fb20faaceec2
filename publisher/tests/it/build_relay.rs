//! `publisher build --relay PATH`: what the zips and the manifest contain, and that the plain zips do not change.

use crate::build_fixture::{ARM64, Workspace, X86_64, assert_code, static_elf, stderr};
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::{
    fs::{self, File},
    io::Read,
    path::{Path, PathBuf},
    process::Command,
};
use zip::ZipArchive;

/// A committed workspace. Its stand-in for cargo-lambda "builds" both architectures.
pub fn workspace_with_binaries() -> Workspace {
    let workspace = Workspace::bare();
    workspace.commit("first");
    fs::create_dir(workspace.path().join("publisher")).unwrap();
    workspace.set_fake_binary(ARM64.0, &static_elf(ARM64.1, 0));
    workspace.set_fake_binary(X86_64.0, &static_elf(X86_64.1, 0));
    workspace
}

/// A folder with both binaries of Relay, named as in Sentry's releases.
fn relay_release(workspace: &Workspace) -> PathBuf {
    let folder = workspace.path().join("release");
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("relay-Linux-aarch64"), static_elf(ARM64.1, 7)).unwrap();
    fs::write(folder.join("relay-Linux-x86_64"), static_elf(X86_64.1, 7)).unwrap();
    folder
}

/// Runs a build that has to succeed. Returns its stderr.
#[track_caller]
pub fn build(workspace: &Workspace, arguments: &[&str]) -> String {
    let output = workspace.with_fake_tools().arg("build").args(arguments).output().unwrap();
    assert_code(&output, 0);
    stderr(&output)
}

pub fn manifest(workspace: &Workspace) -> Value {
    serde_json::from_slice(&fs::read(workspace.path().join("dist/build.json")).unwrap()).unwrap()
}

fn artifact_files(workspace: &Workspace) -> Vec<String> {
    let artifacts = manifest(workspace)["artifacts"].as_array().unwrap().clone();
    artifacts.iter().map(|artifact| artifact["file"].as_str().unwrap().to_owned()).collect()
}

pub fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().concat()
}

/// The entries of a zip: name, mode and content.
pub fn entries(zip: &Path) -> Vec<(String, u32, Vec<u8>)> {
    let mut zip = ZipArchive::new(File::open(zip).unwrap()).unwrap();
    let count = zip.len();
    let entry = |index| {
        let mut entry = zip.by_index(index).unwrap();
        assert_eq!(entry.last_modified().unwrap().to_string(), "1980-01-01 00:00:00");
        let mut content = Vec::new();
        entry.read_to_end(&mut content).unwrap();
        (entry.name().unwrap().to_string(), entry.unix_mode().unwrap(), content)
    };
    (0..count).map(entry).collect()
}

const ALL_ZIPS: [&str; 4] = [
    "sentry-lambda-extension-arm64.zip",
    "sentry-lambda-extension-relay-arm64.zip",
    "sentry-lambda-extension-x86_64.zip",
    "sentry-lambda-extension-relay-x86_64.zip",
];

#[test]
fn a_folder_of_binaries_makes_both_layers_beside_the_plain_ones() {
    let workspace = workspace_with_binaries();
    build(&workspace, &[]);
    let plain = fs::read(workspace.path().join("dist").join(ALL_ZIPS[0])).unwrap();
    build(&workspace, &["--relay", relay_release(&workspace).to_str().unwrap()]);
    let dist = workspace.path().join("dist");
    assert_eq!(artifact_files(&workspace), ALL_ZIPS);
    assert_eq!(fs::read(dist.join(ALL_ZIPS[0])).unwrap(), plain, "the plain zip has changed");
    assert_code(
        &Command::new("sha256sum").args(["-c", "SHA256SUMS"]).current_dir(&dist).output().unwrap(),
        0,
    );

    for (index, machine) in [(1, ARM64.1), (3, X86_64.1)] {
        let relay = static_elf(machine, 7);
        let entries = entries(&dist.join(ALL_ZIPS[index]));
        let list: Vec<_> = entries.iter().map(|(name, mode, _)| (name.as_str(), *mode)).collect();
        assert_eq!(
            list,
            [
                ("extensions/sentry-lambda-extension", 0o100_755),
                ("relay/relay", 0o100_755),
                ("relay/config.yml", 0o100_644),
                ("sentry-exec-wrapper", 0o120_777),
                ("sentry-lambda-extension/LICENSE", 0o100_644),
                ("sentry-lambda-extension/THIRD-PARTY-NOTICES.txt", 0o100_644),
                ("sentry-lambda-extension/RELAY-LICENSE.txt", 0o100_644)
            ]
        );
        // The list of what is linked in follows the binary, whose header says so.
        assert!(entries[0].2[64..].starts_with(&static_elf(machine, 0)[64..]));
        assert_eq!(entries[1].2, relay);
        assert_eq!(entries[3].2, b"extensions/sentry-lambda-extension");
        let license = String::from_utf8(entries[6].2.clone()).unwrap();
        for term in ["Functional Source License", "Competing Use", "Grant of Future License"] {
            assert!(license.contains(term), "no {term:?} in\n{license}");
        }
        let config = String::from_utf8(entries[2].2.clone()).unwrap();
        for line in ["mode: proxy", "max_envelope_size: 1GiB", "encoding: identity"] {
            assert!(config.contains(line), "no {line:?} in\n{config}");
        }

        let artifact = &manifest(&workspace)["artifacts"][index];
        assert_eq!(artifact["relay"]["version"], "local");
        assert_eq!(artifact["relay"]["sha256"], sha256(&relay));
        assert_eq!(artifact["relay"]["glibc"], Value::Null);
        assert_eq!(artifact["relay"]["runtimes"].as_array().unwrap().len(), 21);
        assert_eq!(artifact["binary_sha256"], sha256(&entries[0].2));
    }
    assert!(manifest(&workspace)["artifacts"][0].get("relay").is_none());
}

#[test]
fn the_same_input_gives_the_same_bytes() {
    let (one, two) = (workspace_with_binaries(), workspace_with_binaries());
    for workspace in [&one, &two] {
        build(workspace, &["--relay", relay_release(workspace).to_str().unwrap()]);
    }
    for name in ALL_ZIPS {
        let read = |workspace: &Workspace| fs::read(workspace.path().join("dist").join(name)).unwrap();
        assert_eq!(read(&one), read(&two), "{name}");
    }
}

#[test]
fn the_binary_decides_the_architecture_of_its_layer() {
    let workspace = workspace_with_binaries();
    let file = relay_release(&workspace).join("relay-Linux-aarch64");
    build(&workspace, &["--relay", file.to_str().unwrap()]);
    assert_eq!(artifact_files(&workspace), [ALL_ZIPS[0], ALL_ZIPS[1], ALL_ZIPS[2]]);

    let mut command = workspace.with_fake_tools();
    let both = ["build", "--arch", "arm64", "--arch", "x86_64", "--relay", file.to_str().unwrap()];
    let output = command.args(both).output().unwrap();
    assert_code(&output, 2);
    assert!(stderr(&output).contains("--arch asks for two"), "{}", stderr(&output));
}

#[test]
fn a_build_without_relay_keeps_only_relay_layers_of_the_same_build() {
    let workspace = workspace_with_binaries();
    build(&workspace, &["--relay", relay_release(&workspace).to_str().unwrap()]);
    let said = build(&workspace, &[]);
    assert!(said.contains("Keeping sentry-lambda-extension-relay-arm64.zip"), "{said}");
    assert_eq!(artifact_files(&workspace), ALL_ZIPS);
    // The extension differs although the commit is the same. So the old zip does not belong to this release.
    workspace.set_fake_binary(ARM64.0, &static_elf(ARM64.1, 1));
    let said = build(&workspace, &[]);
    assert!(said.contains("Removed sentry-lambda-extension-relay-arm64.zip"), "{said}");
    assert_eq!(artifact_files(&workspace), [ALL_ZIPS[0], ALL_ZIPS[2], ALL_ZIPS[3]]);
    workspace.commit("second");
    build(&workspace, &[]);
    assert_eq!(artifact_files(&workspace), [ALL_ZIPS[0], ALL_ZIPS[2]]);
    assert!(!workspace.path().join("dist").join(ALL_ZIPS[3]).exists());
}

#[test]
fn a_wrong_relay_argument_is_refused_before_compiling() {
    let workspace = workspace_with_binaries();
    for (relay, code, words) in [
        ("no-such-file", 2, "no such file or folder"),
        ("latest", 2, "not a version"),
        ("extension", 1, "relay-Linux-aarch64"),
        ("Cargo.toml", 1, "not an ELF file"),
    ] {
        let output = workspace.with_fake_tools().args(["build", "--relay", relay]).output().unwrap();
        assert_code(&output, code);
        let said = stderr(&output);
        assert!(said.contains(words), "{said}");
        assert!(!said.contains("Building"), "{said}");
    }
    assert!(!workspace.path().join("dist/build.json").exists());
}

#[test]
fn publish_accepts_what_was_built() {
    let workspace = workspace_with_binaries();
    build(&workspace, &["--relay", relay_release(&workspace).to_str().unwrap()]);
    // Without credentials, `publish` fails only after it has read and checked the zips.
    let mut command = workspace.publisher();
    command.env("AWS_EC2_METADATA_DISABLED", "true").env("HOME", workspace.path());
    let output = command.args(["publish", "--regions", "eu-central-1"]).output().unwrap();
    let said = stderr(&output);
    assert!(said.contains("credentials") && !said.contains("build.json"), "{said}");
}
