//! `publisher doctor` reports what is installed and what is missing.

use crate::build_fixture::{Workspace, assert_code, publisher, repository, stderr, stdout, tools};
use serde_json::Value;

fn finding(json: &Value, tool: &str) -> Value {
    let findings = json.as_array().unwrap();
    findings
        .iter()
        .find(|finding| finding["tool"] == tool)
        .unwrap_or_else(|| panic!("{tool}: {json}"))
        .clone()
}

#[test]
fn nothing_is_missing_where_a_build_works() {
    tools();
    let output = publisher(&repository()).args(["doctor", "--json"]).output().unwrap();
    assert_code(&output, 0);
    let json: Value = serde_json::from_slice(&output.stdout).unwrap();
    for tool in ["cargo", "rustc", "cargo-lambda", "zig", "std for x86_64-unknown-linux-musl"] {
        let finding = finding(&json, tool);
        assert_eq!(finding["ok"], true, "{finding}");
        assert_eq!(finding["purpose"], "build");
        assert!(finding["version"].is_string() && finding["path"].is_string(), "{finding}");
    }
}

#[test]
fn missing_tools_are_reported_with_a_remedy() {
    let workspace = Workspace::bare();
    let path = workspace.path_of(&["cargo", "rustc"]);
    let output = workspace.publisher().env("PATH", path).arg("doctor").output().unwrap();
    assert_code(&output, 1);
    let table = stdout(&output);
    let line = |tool: &str| table.lines().find(|line| line.starts_with(tool)).unwrap().to_owned();
    assert!(line("cargo-lambda").contains("ci/build"), "{table}");
    assert!(line("python3").contains("apt-get install python3 python3-venv"), "{table}");
    assert!(line("qemu-aarch64-static").contains("apt-get install qemu-user-static"), "{table}");
    assert!(stderr(&output).contains("missing for `publisher build`: cargo-lambda, zig, python3"));
}

#[test]
fn tools_installed_by_ci_test_are_found() {
    let workspace = Workspace::bare();
    let script = "#!/bin/sh\necho cargo-deny 9.8.7\n";
    let deny = workspace.script(".tools/cargo-deny/bin/cargo-deny", script);
    let ministack = workspace.script(".tools/aws/bin/ministack", "#!/bin/sh\nexit 1\n");
    let path = workspace.path_of(&["cargo", "rustc"]);
    let output = workspace.publisher().env("PATH", path).args(["doctor", "--json"]).output().unwrap();
    let json: Value = serde_json::from_slice(&output.stdout).unwrap();
    let (found, started) = (finding(&json, "cargo-deny"), finding(&json, "ministack"));
    assert_eq!((&found["ok"], found["path"].as_str()), (&true.into(), deny.to_str()), "{found}");
    assert_eq!(found["version"], "9.8.7");
    assert_eq!((&started["ok"], started["path"].as_str()), (&true.into(), ministack.to_str()), "{started}");
    let lint = finding(&json, "zizmor");
    assert_eq!(
        (&lint["ok"], &lint["mend"]),
        (&false.into(), &"ci/test installs it into .tools/lint/bin".into())
    );
}

#[test]
fn a_compiler_that_is_too_old_is_reported() {
    let workspace = Workspace::bare();
    let manifest = "[package]\nname = \"sentry-lambda-extension\"\nversion = \"9.8.7\"\nedition = \"2024\"\n";
    workspace.file("extension/Cargo.toml", &format!("{manifest}rust-version = \"1.999\"\n"));
    let output = workspace.publisher().args(["doctor", "--json"]).output().unwrap();
    assert_code(&output, 1);
    let json: Value = serde_json::from_slice(&output.stdout).unwrap();
    let rustc = finding(&json, "rustc");
    assert_eq!(rustc["ok"], false);
    assert!(rustc["version"].as_str().unwrap().ends_with("needs 1.999"), "{rustc}");
}

#[test]
fn credentials_are_found_and_never_shown() {
    let run = |variables: &[(&str, &str)]| {
        let home = tempfile::TempDir::new().unwrap();
        let mut command = publisher(&repository());
        // HOME has no AWS profile. rustup usually finds its folders in HOME, so they are named explicitly.
        for (name, folder) in [("CARGO_HOME", ".cargo"), ("RUSTUP_HOME", ".rustup")] {
            let usual = std::path::Path::new(&std::env::var("HOME").unwrap()).join(folder);
            command.env(name, std::env::var_os(name).unwrap_or(usual.into()));
        }
        command.env("HOME", home.path()).args(["doctor", "--json"]).envs(variables.iter().copied());
        let output = command.output().unwrap();
        let json: Value = serde_json::from_slice(&output.stdout).unwrap();
        (finding(&json, "AWS credentials"), format!("{}{}", stdout(&output), stderr(&output)))
    };
    assert_eq!(run(&[]).0["ok"], false);
    let (credentials, said) =
        run(&[("AWS_ACCESS_KEY_ID", "AKIAEXAMPLE"), ("AWS_SECRET_ACCESS_KEY", "hunter2")]);
    assert_eq!(credentials["ok"], true);
    assert_eq!(credentials["version"], "from AWS_ACCESS_KEY_ID");
    assert!(!said.contains("AKIAEXAMPLE") && !said.contains("hunter2"), "{said}");
}
