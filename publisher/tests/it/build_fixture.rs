//! A workspace with a tiny extension, and stand-ins for the build tools.

use flate2::read::ZlibDecoder;
use object::{
    Endianness,
    elf::FileHeader64,
    read::elf::{FileHeader, SectionHeader},
};
use serde_json::Value;
use std::{
    env,
    fs::{self, File},
    os::unix::fs::{PermissionsExt, symlink},
    path::{Path, PathBuf},
    process::{Command, Output},
};
use tempfile::TempDir;

/// The path of the repository.
pub fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// The folder with the tools that `ci/build` installs. The tests of real builds need them.
pub fn tools() -> PathBuf {
    let tools = repository().join(".tools");
    let stamp = tools.join("build/requirements.txt");
    assert!(stamp.is_file(), "{} is missing: run ci/test, which installs the build tools", stamp.display());
    tools
}

/// The publisher as a shell would start it, without the variables that cargo sets for a test.
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

/// A workspace with an extension that prints its version and commit, and with the repository's pinned tool versions.
pub struct Workspace {
    folder: PathBuf,
    // Removes the folder when the workspace is dropped. None for a folder that is kept between tests.
    _temporary: Option<TempDir>,
    _lock: Option<File>,
}

impl Workspace {
    /// A workspace without tools.
    pub fn bare() -> Self {
        let temporary = TempDir::new().unwrap();
        let folder = temporary.path().to_owned();
        Self { folder, _temporary: Some(temporary), _lock: None }.with_files()
    }

    /// A workspace with the repository's cargo-lambda and zig. Its builds compile std, which takes most of their time
    /// and depends on the folder's path. So the folder is always the same, and its `target` is kept for the next run.
    pub fn with_tools() -> Self {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("real-tools");
        fs::create_dir_all(&folder).unwrap();
        let lock = File::create(folder.with_extension("lock")).unwrap();
        lock.lock().unwrap();
        for entry in fs::read_dir(&folder).unwrap().map(Result::unwrap) {
            if entry.file_type().unwrap().is_dir() && entry.file_name() != "target" {
                fs::remove_dir_all(entry.path()).unwrap();
            } else if entry.file_name() != "target" {
                fs::remove_file(entry.path()).unwrap();
            }
        }
        let this = Self { folder, _temporary: None, _lock: Some(lock) }.with_files();
        symlink(tools(), this.path().join(".tools")).unwrap();
        this
    }

    fn with_files(self) -> Self {
        self.file("Cargo.toml", MANIFEST);
        self.file("Cargo.lock", LOCK);
        self.file("LICENSE", LICENSE);
        self.file("extension/Cargo.toml", PACKAGE);
        self.file("extension/src/main.rs", MAIN);
        fs::create_dir(self.path().join("ci")).unwrap();
        fs::copy(repository().join("ci/requirements.txt"), self.path().join("ci/requirements.txt")).unwrap();
        self
    }

    pub fn path(&self) -> &Path {
        &self.folder
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

    /// Makes the workspace a git repository and commits everything.
    pub fn commit(&self, message: &str) {
        let git = |arguments: &[&str]| {
            let identity = ["-c", "user.name=test", "-c", "user.email=test@example.com"];
            let output = Command::new("git").args(identity).args(arguments).current_dir(self.path()).output();
            assert_code(&output.unwrap(), 0);
        };
        git(&["init", "--quiet"]);
        git(&["add", "Cargo.toml", "Cargo.lock", "LICENSE", "extension", "ci"]);
        git(&["commit", "--quiet", "--allow-empty", "--message", message]);
    }

    /// The publisher with stand-ins for cargo-lambda and zig in PATH. The stand-in for cargo-lambda copies
    /// `fake/<target>`, or fails if there is no such file. It writes its arguments, its flags and the name of the
    /// layers to `fake/arguments`, `fake/flags` and `fake/layers`.
    pub fn with_fake_tools(&self) -> Command {
        self.script("fake/cargo-lambda", FAKE_CARGO_LAMBDA);
        self.script("fake/zig", "#!/bin/sh\necho 0.0.0\n");
        let mut command = self.publisher();
        let mut path = vec![self.path().join("fake")];
        path.extend(env::split_paths(&env::var_os("PATH").unwrap()));
        command.env("PATH", env::join_paths(path).unwrap());
        command.env("FAKE", self.path().join("fake"));
        command
    }

    /// Sets the binary that the stand-in for cargo-lambda makes for a target.
    pub fn set_fake_binary(&self, target: &str, content: &[u8]) {
        fs::create_dir_all(self.path().join("fake")).unwrap();
        fs::write(self.path().join("fake").join(target), content).unwrap();
    }

    /// A PATH that contains only these programs of the host.
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

/// The smallest ELF that is accepted in a layer: a header and one loadable segment.
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

/// The list of crates in a binary, as a scanner reads it.
pub fn dependency_list(binary: &[u8]) -> Option<Value> {
    let header = FileHeader64::<Endianness>::parse(binary).unwrap();
    let sections = header.sections(Endianness::Little, binary).unwrap();
    let (_, section) = sections.section_by_name(Endianness::Little, b".dep-v0")?;
    Some(
        serde_json::from_reader(ZlibDecoder::new(section.data(Endianness::Little, binary).unwrap())).unwrap(),
    )
}

pub const ARM64: (&str, u8) = ("aarch64-unknown-linux-musl", 183);
pub const X86_64: (&str, u8) = ("x86_64-unknown-linux-musl", 62);

pub const LICENSE: &str = "The licence of the test's own extension.\n";

const MANIFEST: &str = r#"[workspace]
members = ["extension"]
resolver = "3"

# As in the repository.
[profile.layer]
inherits = "release"
opt-level = "z"
lto = "fat"
codegen-units = 1
strip = "symbols"
panic = "unwind"
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

/// Prints the version and the commit, and then the result of a worker that panics twice: how often it started, how many
/// of its locals were dropped (five for each start), and whether its lock is poisoned.
const MAIN: &str = r#"use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

struct Local<'a>(&'a AtomicU32);

impl Drop for Local<'_> {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

#[inline(never)]
fn work(dropped: &AtomicU32, lives: &Mutex<u32>, deeper: u32) {
    let _local = Local(dropped);
    if deeper > 0 {
        return work(dropped, lives, deeper - 1);
    }
    let mut lives = lives.lock().unwrap_or_else(PoisonError::into_inner);
    *lives += 1;
    assert!(*lives > 2, "on purpose");
}

fn main() {
    let (dropped, lives) = (AtomicU32::new(0), Mutex::new(0));
    while thread::scope(|scope| scope.spawn(|| work(&dropped, &lives, 4)).join()).is_err() {}
    let commit = option_env!("SENTRY_EXTENSION_COMMIT").unwrap_or("unknown");
    let (poisoned, dropped) = (lives.is_poisoned(), dropped.into_inner());
    let lives = lives.into_inner().unwrap_or_else(PoisonError::into_inner);
    println!("{} {commit} lives={lives} dropped={dropped} poisoned={poisoned}", env!("CARGO_PKG_VERSION"));
}
"#;

const FAKE_CARGO_LAMBDA: &str = r#"#!/bin/sh
case "$*" in *--version*) echo 'cargo-lambda 0.0.0 (fake)'; exit ;; esac
printf '%s\n' "$*" >"$FAKE/arguments"
printf '%s' "$CARGO_ENCODED_RUSTFLAGS" >"$FAKE/flags"
printf '%s' "$PUBLISHER_LAYERS" >"$FAKE/layers"
while [ $# -gt 0 ]; do
  case $1 in --lambda-dir) out=$2 ;; --target) target=$2 ;; --bin) bin=$2 ;; esac
  shift
done
if ! [ -e "$FAKE/$target" ]; then
  echo 'error[E0308]: mismatched types, says the fake' >&2
  exit 101
fi
mkdir -p "$out/extensions"
cp "$FAKE/$target" "$out/extensions/$bin"
"#;
