//! A workspace of one tiny extension, tools that pretend, and a way to run the publisher in them.

use std::{
    env, fs,
    os::unix::fs::{PermissionsExt, symlink},
    path::{Path, PathBuf},
    process::{Command, Output},
};
use tempfile::TempDir;

/// The repository that is tested.
pub fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// The tools that `ci/build` installs; without them these tests cannot say anything.
pub fn tools() -> PathBuf {
    let tools = repository().join(".tools");
    let stamp = tools.join("build/requirements.txt");
    assert!(stamp.is_file(), "{} is missing: run ci/test, which installs the build tools", stamp.display());
    tools
}

/// The publisher, started as from a shell: without what cargo tells a test.
pub fn publisher(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_publisher"));
    for (name, _) in env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("CARGO") && text != "CARGO_HOME"
            || text.starts_with("AWS_")
            || text.starts_with("GITHUB_")
        {
            command.env_remove(&name);
        }
    }
    command.env_remove("SOURCE_DATE_EPOCH").current_dir(folder);
    command
}

pub fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

pub fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

#[track_caller]
pub fn assert_code(output: &Output, code: i32) {
    assert_eq!(output.status.code(), Some(code), "stdout:\n{}\nstderr:\n{}", stdout(output), stderr(output));
}

/// A workspace with an extension that prints its version and commit, and the repository's pins.
pub struct Workspace {
    folder: TempDir,
}

impl Workspace {
    /// Without tools.
    pub fn bare() -> Self {
        let this = Self { folder: TempDir::new().unwrap() };
        this.file("Cargo.toml", MANIFEST);
        this.file("Cargo.lock", LOCK);
        this.file("extension/Cargo.toml", PACKAGE);
        this.file("extension/src/main.rs", MAIN);
        fs::create_dir(this.path().join("ci")).unwrap();
        fs::copy(repository().join("ci/requirements.txt"), this.path().join("ci/requirements.txt")).unwrap();
        this
    }

    /// With the repository's cargo-lambda and zig.
    pub fn with_tools() -> Self {
        let this = Self::bare();
        symlink(tools(), this.path().join(".tools")).unwrap();
        this
    }

    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    pub fn file(&self, name: &str, content: &str) -> PathBuf {
        let path = self.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, content).unwrap();
        path
    }

    pub fn script(&self, name: &str, content: &str) -> PathBuf {
        let path = self.file(name, content);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        path
    }

    pub fn publisher(&self) -> Command {
        publisher(self.path())
    }

    /// Makes the workspace a repository with everything committed.
    pub fn commit(&self, message: &str) {
        let git = |arguments: &[&str]| {
            let identity = ["-c", "user.name=test", "-c", "user.email=test@example.com"];
            let output = Command::new("git").args(identity).args(arguments).current_dir(self.path()).output();
            assert_code(&output.unwrap(), 0);
        };
        git(&["init", "--quiet"]);
        git(&["add", "Cargo.toml", "Cargo.lock", "extension", "ci"]);
        git(&["commit", "--quiet", "--allow-empty", "--message", message]);
    }

    /// The publisher with a cargo-lambda and a zig on PATH that only pretend: the former "builds" by
    /// copying `fake/<target>`, or fails where there is none.
    pub fn pretending(&self) -> Command {
        self.script("fake/cargo-lambda", FAKE_CARGO_LAMBDA);
        self.script("fake/zig", "#!/bin/sh\necho 0.0.0\n");
        let mut command = self.publisher();
        let mut path = vec![self.path().join("fake")];
        path.extend(env::split_paths(&env::var_os("PATH").unwrap()));
        command.env("PATH", env::join_paths(path).unwrap());
        command.env("FAKE", self.path().join("fake"));
        command
    }

    /// What the pretending cargo-lambda will deliver for a target.
    pub fn deliver(&self, target: &str, content: &[u8]) {
        fs::create_dir_all(self.path().join("fake")).unwrap();
        fs::write(self.path().join("fake").join(target), content).unwrap();
    }

    /// A PATH with these programs of the host and nothing else.
    pub fn path_of(&self, programs: &[&str]) -> PathBuf {
        let folder = self.path().join("only");
        fs::create_dir_all(&folder).unwrap();
        for program in programs {
            let paths = env::var_os("PATH").unwrap();
            let found = env::split_paths(&paths).map(|dir| dir.join(program)).find(|path| path.is_file());
            let found = found.unwrap_or_else(|| panic!("{program} is not on PATH: see ci/test"));
            symlink(found, folder.join(program)).unwrap();
        }
        folder
    }
}

/// The smallest ELF that may go into a layer: a header, and one segment to load.
pub fn static_elf(machine: u8, salt: u8) -> Vec<u8> {
    let mut elf = vec![0; 128];
    elf[..7].copy_from_slice(b"\x7fELF\x02\x01\x01");
    for (at, value) in
        [(16, 2), (18, machine), (20, 1), (24, 64), (32, 64), (52, 64), (54, 56), (56, 1), (58, 64)]
    {
        elf[at] = value;
    }
    elf[64] = 1;
    elf[127] = salt;
    elf
}

pub const ARM64: (&str, u8) = ("aarch64-unknown-linux-musl", 183);
pub const X86_64: (&str, u8) = ("x86_64-unknown-linux-musl", 62);

const MANIFEST: &str = r#"[workspace]
members = ["extension"]
resolver = "3"

[profile.layer]
inherits = "release"
strip = "symbols"
"#;

const PACKAGE: &str = r#"[package]
name = "sentry-lambda-extension"
version = "9.8.7"
edition = "2024"
"#;

const LOCK: &str = r#"version = 4

[[package]]
name = "sentry-lambda-extension"
version = "9.8.7"
"#;

const MAIN: &str = r#"fn main() {
    let unwound = std::panic::catch_unwind(|| panic!("on purpose")).is_err();
    let commit = option_env!("SENTRY_EXTENSION_COMMIT").unwrap_or("unknown");
    println!("{} {commit} {unwound}", env!("CARGO_PKG_VERSION"));
}
"#;

const FAKE_CARGO_LAMBDA: &str = r#"#!/bin/sh
case "$*" in *--version*) echo 'cargo-lambda 0.0.0 (fake)'; exit ;; esac
while [ $# -gt 0 ]; do
  case $1 in --lambda-dir) out=$2 ;; --target) target=$2 ;; esac
  shift
done
if ! [ -e "$FAKE/$target" ]; then
  echo 'error[E0308]: mismatched types, says the fake' >&2
  exit 101
fi
mkdir -p "$out/extensions"
cp "$FAKE/$target" "$out/extensions/sentry-lambda-extension"
"#;
