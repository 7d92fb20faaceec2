//! `publisher build`: the licences in the layer.

use crate::{
    build_fixture::{LICENSE, Workspace, X86_64, assert_code, dependency_list, static_elf, stderr},
    build_relay::entries,
};
use serde_json::json;
use std::process::Output;

const DEPENDENCIES: &str = r#"
[dependencies]
linked = { path = "../linked" }
generator = { path = "../generator" }

[build-dependencies]
compiling = { path = "../compiling" }

[dev-dependencies]
testing = { path = "../testing" }

[target.'cfg(windows)'.dependencies]
elsewhere = { path = "../elsewhere" }
"#;

/// A workspace whose extension has one dependency of each kind. Only `linked` leaves something in the binary.
fn with_dependencies() -> Workspace {
    let workspace = Workspace::bare();
    let manifest = std::fs::read_to_string(workspace.path().join("extension/Cargo.toml")).unwrap();
    workspace.file("extension/Cargo.toml", &(manifest + DEPENDENCIES));
    workspace.file("extension/build.rs", "fn main() {}\n");
    for (name, library) in [
        ("linked", ""),
        ("generator", "[lib]\nproc-macro = true\n"),
        ("compiling", ""),
        ("testing", ""),
        ("elsewhere", ""),
    ] {
        let about = format!(
            "[package]\nname = \"{name}\"\nversion = \"1.2.3\"\nedition = \"2024\"\nlicense = \"ISC\"\n{library}"
        );
        workspace.file(&format!("{name}/Cargo.toml"), &about);
        workspace.file(&format!("{name}/src/lib.rs"), "");
        workspace.file(&format!("{name}/LICENSE.md"), &format!("The licence of {name}.\n"));
    }
    let dependents = "\ndependencies = [\n \"compiling\",\n \"elsewhere\",\n \"generator\",\n \"linked\",\n \
                      \"testing\",\n]\n";
    let crates = ["compiling", "elsewhere", "generator", "linked"]
        .map(|name| format!("[[package]]\nname = \"{name}\"\nversion = \"1.2.3\"\n\n"));
    workspace.file(
        "Cargo.lock",
        &format!(
            "version = 4\n\n{}[[package]]\nname = \"sentry-lambda-extension\"\nversion = \"9.8.7\"{dependents}\n\
             [[package]]\nname = \"testing\"\nversion = \"1.2.3\"\n",
            crates.concat()
        ),
    );
    workspace.set_fake_binary(X86_64.0, &static_elf(X86_64.1, 0));
    workspace
}

fn build(workspace: &Workspace) -> Output {
    workspace.with_fake_tools().args(["build", "--arch", "x86_64"]).output().unwrap()
}

#[test]
fn a_layer_contains_its_licence_and_those_of_linked_crates() {
    let workspace = with_dependencies();
    assert_code(&build(&workspace), 0);
    let entries = entries(&workspace.path().join("dist/sentry-lambda-extension-x86_64.zip"));
    let names: Vec<&str> = entries.iter().map(|(name, ..)| name.as_str()).collect();
    assert_eq!(
        names,
        [
            "extensions/sentry-lambda-extension",
            "sentry-exec-wrapper",
            "sentry-lambda-extension/LICENSE",
            "sentry-lambda-extension/THIRD-PARTY-NOTICES.txt"
        ]
    );
    // All users may read the files, whoever unpacks the layer.
    assert!(entries[2..].iter().all(|(_, mode, _)| *mode == 0o100_644));
    assert_eq!(String::from_utf8_lossy(&entries[2].2), LICENSE);
    let notices = String::from_utf8_lossy(&entries[3].2);
    assert!(notices.contains("linked 1.2.3\n\nThe licence of linked.\n"), "{notices}");
    // Parts of the Rust compiler's distribution are linked in as well.
    assert!(notices.contains("Rust's standard library") && notices.contains("Rich Felker"), "{notices}");
    for other in ["generator", "compiling", "testing", "elsewhere", "9.8.7"] {
        assert!(!notices.contains(other), "{other} is not linked in, but in:\n{notices}");
    }
}

/// Scanners for vulnerabilities read this list.
#[test]
fn a_binary_lists_the_crates_that_are_linked_into_it() {
    let workspace = with_dependencies();
    assert_code(&build(&workspace), 0);
    let entries = entries(&workspace.path().join("dist/sentry-lambda-extension-x86_64.zip"));
    let list = dependency_list(&entries[0].2).unwrap();
    let expected = json!([
        { "name": "linked", "version": "1.2.3", "source": "crates.io" },
        { "name": "sentry-lambda-extension", "version": "9.8.7", "source": "local", "dependencies": [0], "root": true },
    ]);
    assert_eq!(list["packages"], expected);
}

#[test]
fn a_changed_licence_changes_the_layer() {
    let workspace = with_dependencies();
    let zip = workspace.path().join("dist/sentry-lambda-extension-x86_64.zip");
    assert_code(&build(&workspace), 0);
    workspace.file("linked/LICENSE.md", "Other terms.\n");
    assert_code(&build(&workspace), 0);
    assert!(String::from_utf8_lossy(&entries(&zip)[3].2).contains("linked 1.2.3\n\nOther terms.\n"));
}

#[test]
fn a_crate_without_a_licence_is_refused_before_anything_is_compiled() {
    let workspace = with_dependencies();
    std::fs::remove_file(workspace.path().join("linked/LICENSE.md")).unwrap();
    let output = build(&workspace);
    assert_code(&output, 1);
    let said = stderr(&output);
    assert!(
        said.contains(r#"linked 1.2.3 ("ISC"), which is linked into the binary, has no licence file"#),
        "{said}"
    );
    assert!(said.contains("use a version of the crate that has one"), "{said}");
    assert!(!workspace.path().join("fake/arguments").exists(), "it compiled before it looked");
    assert!(!workspace.path().join("dist/build.json").exists());
}

#[test]
fn a_repository_without_a_licence_is_refused() {
    let workspace = with_dependencies();
    std::fs::remove_file(workspace.path().join("LICENSE")).unwrap();
    let output = build(&workspace);
    assert_code(&output, 1);
    let said = stderr(&output);
    assert!(said.contains("LICENSE: No such file") && said.contains("git checkout"), "{said}");
}
