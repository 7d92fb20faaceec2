//! `publisher build` when it cannot build: it says what is wrong and what to do, and does not change the output folder.

use crate::build_fixture::{ARM64, Workspace, X86_64, assert_code, publisher, static_elf, stderr, stdout};
use std::{fs, path::Path, process::Output};

fn snapshot(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let entries = fs::read_dir(folder).unwrap().map(Result::unwrap);
    let mut files: Vec<_> = entries
        .map(|entry| (entry.file_name().into_string().unwrap(), fs::read(entry.path()).unwrap()))
        .collect();
    files.sort();
    files
}

/// A workspace in which the stand-in for cargo-lambda has "built" both architectures once.
fn built() -> Workspace {
    let workspace = Workspace::bare();
    workspace.set_fake_binary(ARM64.0, &static_elf(ARM64.1, 0));
    workspace.set_fake_binary(X86_64.0, &static_elf(X86_64.1, 0));
    assert_code(&workspace.with_fake_tools().arg("build").output().unwrap(), 0);
    workspace
}

/// Builds with a new arm64 binary and a bad `x86_64` one. Neither may reach the output folder. Returns the error.
fn expect_build_refused(bad: &[u8]) -> String {
    let workspace = built();
    let before = snapshot(&workspace.path().join("dist"));
    workspace.set_fake_binary(ARM64.0, &static_elf(ARM64.1, 1));
    workspace.set_fake_binary(X86_64.0, bad);
    let output = workspace.with_fake_tools().arg("build").output().unwrap();
    assert_code(&output, 1);
    assert_eq!(snapshot(&workspace.path().join("dist")), before);
    assert_eq!(stdout(&output), "");
    stderr(&output)
}

#[test]
fn a_binary_that_lambda_could_not_start_is_refused() {
    let said = expect_build_refused(&fs::read("/bin/sh").unwrap());
    assert!(said.contains("x86_64") && said.contains("dynamically linked"), "{said}");
    let said = expect_build_refused(b"#!/bin/sh\necho hello\n");
    assert!(said.contains("not an ELF file"), "{said}");
    let said = expect_build_refused(&static_elf(ARM64.1, 0));
    assert!(said.contains("it is for arm64, not for x86_64"), "{said}");
    let said = expect_build_refused(&static_elf(X86_64.1, 0)[..100]);
    assert!(said.contains("damaged"), "{said}");
}

#[test]
fn the_error_of_cargo_is_shown() {
    let workspace = Workspace::with_tools();
    workspace.set_fake_binary(X86_64.0, &static_elf(X86_64.1, 0));
    assert_code(&workspace.with_fake_tools().args(["build", "--arch", "x86_64"]).output().unwrap(), 0);
    let before = snapshot(&workspace.path().join("dist"));
    workspace.file("extension/src/main.rs", "fn main() { let _: u32 = \"text\"; }\n");
    let output = workspace.publisher().args(["build", "--arch", "x86_64"]).output().unwrap();
    assert_code(&output, 1);
    let said = stderr(&output);
    assert!(said.contains("error[E0308]: mismatched types"), "{said}");
    let (_, ours) = said.split_once("could not compile").expect("cargo's last words");
    assert!(ours.contains("does not build for x86_64"), "{said}");
    assert!(ours.lines().count() <= 4, "no wall of our own: {ours}");
    assert_eq!(snapshot(&workspace.path().join("dist")), before);
}

#[test]
fn a_failing_cargo_lambda_leaves_the_old_zips() {
    let workspace = built();
    let before = snapshot(&workspace.path().join("dist"));
    fs::remove_file(workspace.path().join("fake").join(X86_64.0)).unwrap();
    let output = workspace.with_fake_tools().arg("build").output().unwrap();
    assert_code(&output, 1);
    assert!(stderr(&output).contains("says the fake"));
    assert_eq!(snapshot(&workspace.path().join("dist")), before);
}

#[test]
fn a_folder_that_cannot_be_written_to_is_found_before_compiling() {
    let workspace = Workspace::bare();
    let file = workspace.file("a-file", "");
    for out in ["/proc/dist", file.join("dist").to_str().unwrap()] {
        let output = workspace.with_fake_tools().args(["build", "--out", out]).output().unwrap();
        assert_code(&output, 1);
        let said = stderr(&output);
        assert!(said.contains(out) && said.contains("--out DIR"), "{said}");
        assert!(!said.contains("Building"), "{said}");
    }
    assert_eq!(fs::read(file).unwrap(), b"");
}

#[test]
fn wrong_usage_exits_with_2() {
    let workspace = Workspace::bare();
    for arguments in [["--arch", "riscv64"], ["--std", "none"], ["--frobnicate", "x"]] {
        let output = workspace.with_fake_tools().arg("build").args(arguments).output().unwrap();
        assert_code(&output, 2);
        assert!(stderr(&output).contains(arguments[usize::from(arguments[0] != "--frobnicate")]));
    }
    let output =
        workspace.with_fake_tools().arg("build").env("SOURCE_DATE_EPOCH", "yesterday").output().unwrap();
    assert_code(&output, 2);
    assert!(stderr(&output).contains("SOURCE_DATE_EPOCH=\"yesterday\""));
}

#[test]
fn a_run_outside_the_workspace_is_reported() {
    let elsewhere = tempfile::TempDir::new().unwrap();
    let output = publisher(elsewhere.path()).arg("build").output().unwrap();
    assert_code(&output, 1);
    assert!(stderr(&output).contains("not inside the workspace"), "{}", stderr(&output));

    // A workspace of another project is not enough.
    fs::create_dir(elsewhere.path().join("src")).unwrap();
    fs::write(elsewhere.path().join("src/lib.rs"), "").unwrap();
    fs::write(elsewhere.path().join("Cargo.toml"), "[package]\nname = \"other\"\n").unwrap();
    let output = publisher(elsewhere.path()).arg("build").output().unwrap();
    assert_code(&output, 1);
    assert!(stderr(&output).contains("not inside the workspace"), "{}", stderr(&output));
}

fn build_with_path(workspace: &Workspace, programs: &[&str]) -> Output {
    let path = workspace.path_of(programs);
    let output =
        workspace.publisher().env("PATH", path).args(["build", "--arch", "x86_64"]).output().unwrap();
    assert_code(&output, 1);
    output
}

#[test]
fn a_missing_tool_is_reported_with_the_command_that_installs_it() {
    let said = stderr(&build_with_path(&Workspace::bare(), &[]));
    assert!(said.contains("cargo is not on PATH") && said.contains("https://rustup.rs"), "{said}");

    let said = stderr(&build_with_path(&Workspace::bare(), &["cargo", "rustc", "git"]));
    assert!(said.contains("python3") && said.contains("apt-get install python3 python3-venv"), "{said}");
}

#[test]
fn python_without_venv_and_python_without_network_have_different_errors() {
    // Debian's python3 lacks the venv module if python3-venv is not installed.
    let workspace = Workspace::bare();
    workspace.script("only/python3", "#!/bin/sh\necho 'ensurepip is not available'\nexit 1\n");
    let said = stderr(&build_with_path(&workspace, &["cargo", "rustc"]));
    assert!(said.contains("ensurepip is not available"), "{said}");
    assert!(said.contains("apt-get install python3 python3-venv"), "{said}");

    // A virtual environment is made, but its pip cannot reach PyPI.
    let workspace = Workspace::bare();
    let pip = "printf '#!/bin/sh\\necho no route to the index >&2\\nexit 1\\n'";
    let python =
        format!("#!/bin/sh\nmkdir -p \"$3/bin\"\n{pip} >\"$3/bin/python\"\nchmod 755 \"$3/bin/python\"\n");
    workspace.script("only/python3", &python);
    let said = stderr(&build_with_path(&workspace, &["cargo", "rustc", "mkdir", "chmod"]));
    assert!(said.contains("no route to the index") && said.contains("pip cannot install"), "{said}");
    assert!(
        !workspace.path().join(".tools/build/requirements.txt").exists(),
        "a broken-off attempt counts as none"
    );
}
