//! `publisher relay build`: what it makes of Sentry's source package, what it keeps, and what it refuses. Stand-ins
//! take the places of pip and of cargo-lambda, because a real build takes 20 minutes.

use crate::{
    build_fixture::{ARM64, Workspace, X86_64, assert_code, static_elf, stderr, stdout},
    build_relay::{build, manifest, sha256, workspace_with_binaries},
};
use serde_json::Value;
use std::{
    fs::{self, File},
    io::Write as _,
    path::PathBuf,
    process::{Command, Output},
};
use zip::{ZipWriter, write::SimpleFileOptions};

/// The name and the machine of this host's architecture, and of the other one.
const HERE: (&str, u8) =
    if cfg!(target_arch = "aarch64") { ("aarch64", ARM64.1) } else { ("x86_64", X86_64.1) };
const THERE: (&str, u8) =
    if cfg!(target_arch = "aarch64") { ("x86_64", X86_64.1) } else { ("aarch64", ARM64.1) };

/// Makes virtual environments of itself, and "downloads" `package.tar.gz`.
const FAKE_PYTHON: &str = r#"#!/bin/sh
if [ "$2" = venv ]; then
  mkdir -p "$3/bin"
  cp "$0" "$3/bin/python"
  exit
fi
echo download >>"$FAKE/downloads"
while [ $# -gt 0 ]; do
  case $1 in --requirement) cp "$2" "$FAKE/requirements" ;; --dest) dest=$2 ;; esac
  shift
done
cp "$FAKE/package.tar.gz" "$dest/sentry_relay-0.10.1.tar.gz"
"#;

/// Copies `relay-<architecture>` to where cargo would leave the program, and the sources that it was given.
const FAKE_CARGO_LAMBDA: &str = r#"#!/bin/sh
case "$*" in *--version*) echo 'cargo-lambda 0.0.0 (fake)'; exit ;; esac
echo "$*" >>"$FAKE/builds"
env >"$FAKE/environment"
rm -rf "$FAKE/sources"
cp -r . "$FAKE/sources"
while [ $# -gt 0 ]; do
  case $1 in --target) target=${2%.2.26} ;; esac
  shift
done
if ! [ -e "$FAKE/relay-${target%%-*}" ]; then
  echo 'error: no room for the linker, says the fake' >&2
  exit 101
fi
mkdir -p "$CARGO_TARGET_DIR/$target/release"
cp "$FAKE/relay-${target%%-*}" "$CARGO_TARGET_DIR/$target/release/relay"
"#;

const CONFIG: &str = "fn a() -> bool { self.path.is_empty() }\nfn b() -> bool { !self.path.is_empty() }\n";
const MANIFEST: &str = "[workspace]\n\
    symbolic-common = { git = \"https://example.com/symbolic\", rev = \"0ff\", default-features = false }\n\
    symbolic-unreal = { git = \"https://example.com/symbolic\", rev = \"0ff\" }\n";
const LOCK: &str = "[[package]]\nname = \"symbolic-common\"\nversion = \"14.0.0-alpha.3\"\n\
    source = \"git+https://x\"\n\n\
    [[package]]\nname = \"symbolic-unreal\"\nversion = \"14.0.0-alpha.3\"\nsource = \"git+https://x\"\n";

struct Fixture {
    workspace: Workspace,
}

impl Fixture {
    /// A workspace with the source package, and with good programs for both architectures.
    fn new() -> Self {
        let this = Self { workspace: workspace_with_binaries() };
        this.package(CONFIG);
        this.program(HERE, &native("26.9.0", 0));
        let mut foreign = static_elf(THERE.1, 5);
        foreign.extend(b"relay@26.9.0\0");
        this.program(THERE, &foreign);
        this
    }

    fn fake(&self, name: &str) -> PathBuf {
        self.workspace.path().join("fake").join(name)
    }

    /// Sets the source package. `config` is the content of one of the files that are changed.
    fn package(&self, config: &str) {
        let folder = self.workspace.path().join("package/sentry_relay-0.10.1");
        fs::create_dir_all(&folder).unwrap();
        let mut zip = ZipWriter::new(File::create(folder.join("rustsrc.zip")).unwrap());
        for (name, text) in
            [("relay-config/src/config.rs", config), ("Cargo.toml", MANIFEST), ("Cargo.lock", LOCK)]
        {
            zip.start_file(format!("rustsrc/{name}"), SimpleFileOptions::default()).unwrap();
            zip.write_all(text.as_bytes()).unwrap();
        }
        zip.finish().unwrap();
        let mut tar = Command::new("tar");
        tar.arg("-czf").arg(self.fake("package.tar.gz")).arg("-C").arg(folder.parent().unwrap());
        assert_code(&tar.arg("sentry_relay-0.10.1").output().unwrap(), 0);
    }

    /// Sets what the build makes for an architecture.
    fn program(&self, (arch, _): (&str, u8), content: &[u8]) {
        let name = format!("fake/relay-{arch}");
        self.workspace.script(&name, "");
        fs::write(self.workspace.path().join(name), content).unwrap();
    }

    fn command(&self) -> Command {
        let mut command = self.workspace.with_fake_tools();
        self.workspace.script("fake/cargo-lambda", FAKE_CARGO_LAMBDA);
        self.workspace.script("fake/python3", FAKE_PYTHON);
        command.env("XDG_CACHE_HOME", self.workspace.path().join("cache")).args(["relay", "build"]);
        command
    }

    fn run(&self, arguments: &[&str]) -> Output {
        self.command().args(arguments).output().unwrap()
    }

    /// Runs a build for this host that has to fail. Returns its error.
    #[track_caller]
    fn refused(&self) -> String {
        let output = self.run(&["--arch", HERE.0]);
        assert_code(&output, 1);
        assert!(!self.workspace.path().join("target/relay").join(name(HERE)).exists());
        stderr(&output)
    }

    /// How many lines a stand-in has written.
    fn count(&self, file: &str) -> usize {
        fs::read_to_string(self.fake(file)).map_or(0, |text| text.lines().count())
    }

    fn kept(&self) -> PathBuf {
        let folders = fs::read_dir(self.workspace.path().join("cache/sentry-lambda-extension")).unwrap();
        let files = folders.map(|folder| folder.unwrap().path().join(name(HERE)));
        files.into_iter().find(|file| file.exists()).expect("nothing is kept")
    }
}

fn name((arch, _): (&str, u8)) -> String {
    format!("relay-Linux-{arch}")
}

/// A static program of this host that says that it is this version.
fn native(version: &str, code: u8) -> Vec<u8> {
    let folder = tempfile::TempDir::new().unwrap();
    let source = folder.path().join("relay.c");
    let text = format!(
        "#include <stdio.h>\nconst char *volatile release = \"relay@{version}\";\n\
         int main(void) {{ printf(\"relay %s\\n\", release + 6); return {code}; }}\n"
    );
    fs::write(&source, text).unwrap();
    let program = folder.path().join("relay");
    let cc = Command::new("cc").args(["-static", "-s", "-o"]).arg(&program).arg(source).output();
    assert_code(&cc.unwrap_or_else(|error| panic!("there is no C compiler ({error}); see ci/test")), 0);
    fs::read(program).unwrap()
}

#[test]
fn both_architectures_are_built_once_and_packed_with_their_version() {
    let fixture = Fixture::new();
    let output = fixture.run(&["--json", "--jobs", "2"]);
    assert_code(&output, 0);
    let rows: Value = serde_json::from_str(&stdout(&output)).unwrap();
    let rows = rows.as_array().unwrap();
    assert_eq!(rows.len(), 2);
    for (row, (arch, _)) in rows.iter().zip([("aarch64", 0), ("x86_64", 0)]) {
        let binary = fs::read(fixture.fake(&format!("relay-{arch}"))).unwrap();
        assert_eq!((&row["version"], &row["glibc"]), (&"26.9.0".into(), &Value::Null));
        assert_eq!(row["sha256"], sha256(&binary));
        assert_eq!(fs::read(row["path"].as_str().unwrap()).unwrap(), binary, "{row}");
    }
    let builds = fs::read_to_string(fixture.fake("builds")).unwrap();
    for arch in ["aarch64", "x86_64"] {
        assert!(builds.contains(&format!("--target {arch}-unknown-linux-gnu.2.26 ")), "{builds}");
    }
    assert!(builds.lines().all(|line| line.contains("--jobs 2")), "{builds}");

    // Again, in another checkout of the same user: nothing is built.
    let output = fixture.run(&["--out", "elsewhere"]);
    assert_code(&output, 0);
    assert!(stdout(&output).contains(" 26.9.0 "), "{}", stdout(&output));
    assert_eq!((fixture.count("builds"), stderr(&output).matches("Keeping").count()), (2, 2));
    let program = fixture.workspace.path().join("elsewhere").join(name(HERE));
    assert_eq!(stdout(&Command::new(program).output().unwrap()), "relay 26.9.0\n");

    build(&fixture.workspace, &["--relay", "target/relay"]);
    for index in [1, 3] {
        assert_eq!(manifest(&fixture.workspace)["artifacts"][index]["relay"]["version"], "26.9.0");
    }
}

#[test]
fn the_sources_are_the_pinned_ones_with_the_changes_that_this_compiler_needs() {
    let fixture = Fixture::new();
    assert_code(&fixture.run(&["--arch", HERE.0]), 0);
    let requirements = fs::read_to_string(fixture.fake("requirements")).unwrap();
    assert!(requirements.starts_with("sentry-relay==0.10.1 --hash=sha256:cd416e6f"), "{requirements}");
    let source = |name: &str| fs::read_to_string(fixture.fake("sources").join(name)).unwrap();
    assert_eq!(source("relay-config/src/config.rs").matches(".as_os_str().is_empty()").count(), 2);
    for file in ["Cargo.toml", "Cargo.lock"] {
        let text = source(file);
        assert!(
            !text.contains("git =") && !text.contains("git+") && text.contains("14.0.0-alpha.3"),
            "{text}"
        );
    }
    let environment = fs::read_to_string(fixture.fake("environment")).unwrap();
    for line in ["RELAY_RELEASE=relay@26.9.0", "CARGO_PROFILE_RELEASE_STRIP=symbols"] {
        assert!(environment.lines().any(|one| one == line), "{line}\n{environment}");
    }
    // Nothing but the binary and its sum stays, because a build takes gigabytes.
    let mut left: Vec<String> = fs::read_dir(fixture.kept().parent().unwrap())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    left.sort();
    assert_eq!(left, ["lock".to_owned(), name(HERE), format!("{}.sha256", name(HERE))]);
}

#[test]
fn a_failed_build_continues_and_a_damaged_binary_is_built_again() {
    let fixture = Fixture::new();
    let program = fs::read(fixture.fake(&format!("relay-{}", HERE.0))).unwrap();
    fs::remove_file(fixture.fake(&format!("relay-{}", HERE.0))).unwrap();
    let said = fixture.refused();
    assert!(said.contains("says the fake") && said.contains("continues where it stopped"), "{said}");
    fixture.program(HERE, &program);
    assert_code(&fixture.run(&["--arch", HERE.0]), 0);
    assert_eq!((fixture.count("downloads"), fixture.count("builds")), (1, 2));

    fs::write(fixture.kept(), &program[..program.len() - 1]).unwrap();
    assert_code(&fixture.run(&["--arch", HERE.0]), 0);
    assert_eq!(fixture.count("builds"), 3);
    assert_eq!(fs::read(fixture.kept()).unwrap(), program);
}

#[test]
fn a_program_that_would_not_run_on_lambda_is_refused() {
    let fixture = Fixture::new();
    // The host's own programs need the host's glibc, which is newer than that of Lambda's oldest runtimes.
    let mut program = fs::read("/bin/true").unwrap();
    let name = b"GLIBC_2.";
    for at in 0..program.len() - 10 {
        if program[at..].starts_with(name) && program[at + 8..at + 10].iter().all(u8::is_ascii_digit) {
            program[at + 8..at + 10].copy_from_slice(b"27");
        }
    }
    for (content, words) in [
        (program, "needs glibc 2.27, and Lambda's oldest runtimes have 2.26"),
        (static_elf(THERE.1, 0), "cannot go into a layer: it is for "),
        (native("26.10.0", 0), "is not Relay 26.9.0: 26.10.0"),
        (static_elf(HERE.1, 0), "is not Relay 26.9.0: it names no version"),
        (native("26.9.0", 3), "does not run here"),
    ] {
        fixture.program(HERE, &content);
        let said = fixture.refused();
        assert!(said.contains(words), "{words}: {said}");
    }
}

#[test]
fn another_package_is_refused() {
    let fixture = Fixture::new();
    fixture.package(CONFIG.lines().next().unwrap());
    let said = fixture.refused();
    assert!(said.contains("1 of its lines would change, not 2") && said.contains("recipe.rs"), "{said}");

    // The real pip, with a package index that has other bytes under the same name.
    let index = fixture.workspace.path().join("index");
    fs::create_dir(&index).unwrap();
    fs::copy(fixture.fake("package.tar.gz"), index.join("sentry_relay-0.10.1.tar.gz")).unwrap();
    let mut command = fixture.command();
    fs::remove_file(fixture.fake("python3")).unwrap();
    command.env("PIP_NO_INDEX", "1").env("PIP_FIND_LINKS", &index).args(["--arch", HERE.0]);
    let output = command.output().unwrap();
    assert_code(&output, 1);
    let said = stderr(&output);
    assert!(said.contains("DO NOT MATCH THE HASHES") && said.contains("pip cannot download"), "{said}");
    assert_eq!(fixture.count("builds"), 0);
}

#[test]
fn what_is_missing_is_named_with_the_package_that_has_it() {
    let fixture = Fixture::new();
    let mut command = fixture.command();
    let only =
        fixture.workspace.path_of(&["cargo", "rustc", "rustup", "sh", "env", "cp", "cc", "perl", "tar"]);
    for tool in ["cargo-lambda", "zig"] {
        fs::copy(fixture.fake(tool), only.join(tool)).unwrap();
    }
    let output = command.env("PATH", &only).args(["--arch", HERE.0]).output().unwrap();
    assert_code(&output, 1);
    let said = stderr(&output);
    assert!(
        said.contains("make is not installed") && said.contains("apt-get install build-essential"),
        "{said}"
    );
    assert_eq!(fixture.count("downloads"), 0);
}
