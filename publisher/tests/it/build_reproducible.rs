//! The same commit gives the same bytes when it is built in two folders.

use crate::{
    build_fixture::{assert_code, dependency_list, publisher, repository, stdout, tools},
    build_publisher,
};
use std::{
    env, fs,
    io::{Cursor, Read},
    os::unix::fs::{PermissionsExt, symlink},
    path::{Path, PathBuf},
    process::Command,
    sync::{Mutex, MutexGuard, PoisonError},
    thread,
};

const ZIP: &str = "sentry-lambda-extension-x86_64.zip";

fn git(arguments: &[&str]) -> String {
    let output = Command::new("git").args(arguments).current_dir(repository()).output().unwrap();
    assert_code(&output, 0);
    stdout(&output).trim().to_owned()
}

/// The tests of this file share the copy of the repository, and cargo's locks.
fn one_at_a_time() -> MutexGuard<'static, ()> {
    static LOCK: Mutex<()> = Mutex::new(());
    LOCK.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Copies the repository, with its uncommitted changes, to a folder with a longer name. The copy is kept between runs
/// and unchanged files keep their times, so that cargo does not start over.
fn copy_of_repository() -> PathBuf {
    let copy =
        Path::new(env!("CARGO_TARGET_TMPDIR")).join("reproducible/in-a-folder-with-a-rather-longer-name");
    let listed = git(&["ls-files", "--cached", "--others", "--exclude-standard"]);
    let names: Vec<&str> = listed.lines().collect();
    for name in names.iter().filter(|name| repository().join(name).is_file()) {
        let (original, to) = (repository().join(name), copy.join(name));
        let from = fs::read(&original).unwrap();
        if fs::read(&to).ok().as_ref() != Some(&from) {
            fs::create_dir_all(to.parent().unwrap()).unwrap();
            fs::write(&to, from).unwrap();
        }
        // Without the mode of a program the copy's work tree would be dirty.
        fs::set_permissions(&to, fs::metadata(&original).unwrap().permissions()).unwrap();
    }
    // Files that have been deleted since an earlier copy would make the new copy's work tree dirty.
    for gone in ["extension", "publisher"].iter().flat_map(|folder| files_below(&copy.join(folder))) {
        let name = gone.strip_prefix(&copy).unwrap();
        if !repository().join(name).is_file() {
            fs::remove_file(gone).unwrap();
        }
    }
    fs::write(copy.join(".git"), format!("gitdir: {}\n", git(&["rev-parse", "--absolute-git-dir"]))).unwrap();
    let link = copy.join(".tools");
    if !link.exists() {
        symlink(tools(), link).unwrap();
    }
    copy
}

fn files_below(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { files_below(&path) } else { vec![path] }).collect()
}

fn build(workspace: &Path) -> Vec<u8> {
    let out = tempfile::TempDir::new().unwrap();
    let mut command = publisher(workspace);
    let output = command.args(["build", "--arch", "x86_64", "--out"]).arg(out.path()).output().unwrap();
    assert_code(&output, 0);
    fs::read(out.path().join(ZIP)).unwrap()
}

fn contains(bytes: &[u8], text: &str) -> bool {
    bytes.windows(text.len()).any(|window| window == text.as_bytes())
}

#[test]
fn builds_in_two_folders_are_identical_and_contain_neither_path() {
    let _turn = one_at_a_time();
    let copy = copy_of_repository();
    let (here, there) = thread::scope(|scope| {
        let there = scope.spawn(|| build(&copy));
        (build(&repository()), there.join().unwrap())
    });
    assert!(here == there, "the zip depends on the folder that it is built in");

    let mut zip = zip::ZipArchive::new(Cursor::new(here)).unwrap();
    // The zips are equal, so one check is enough for both.
    let mut notices = String::new();
    let name = "sentry-lambda-extension/THIRD-PARTY-NOTICES.txt";
    zip.by_name(name).unwrap().read_to_string(&mut notices).unwrap();
    for linked in ["\nring 0.", " rustls 0.", "\ntokio 1.", "alloc-stdlib 0.", "\nmusl\n"] {
        assert!(notices.contains(linked), "{linked:?} is not in:\n{notices}");
    }
    for only_compiling in ["syn 3.", "tokio-macros 2.", "criterion 0.", "aws-sdk-lambda 1."] {
        assert!(!notices.contains(only_compiling), "{only_compiling:?} is in:\n{notices}");
    }
    assert!(!contains(notices.as_bytes(), repository().to_str().unwrap()));

    let mut binary = Vec::new();
    zip.by_index(0).unwrap().read_to_end(&mut binary).unwrap();
    let home = env::var("HOME").unwrap();
    for folder in [repository().to_str().unwrap(), copy.to_str().unwrap(), &format!("{home}/")] {
        assert!(!contains(&binary, folder), "{folder} is in the binary");
    }
}

const PROGRAMS: [&str; 2] = ["publisher-linux-arm64", "publisher-linux-x86_64"];

/// Builds the publishers of a release in a workspace. The list of layers is in another folder each time.
fn build_publishers(workspace: &Path) -> [Vec<u8>; 2] {
    let out = tempfile::TempDir::new().unwrap();
    let layers = out.path().join("layers.json");
    fs::write(&layers, build_publisher::layers(env!("CARGO_PKG_VERSION")).to_string()).unwrap();
    let mut command = publisher(workspace);
    command.args(["build-publisher", "--layers"]).arg(&layers).arg("--out").arg(out.path());
    let output = command.output().unwrap();
    assert_code(&output, 0);
    PROGRAMS.map(|program| fs::read(out.path().join(program)).unwrap())
}

/// The command that runs a program of an architecture on this machine, if there is one.
fn runner(program: &str, path: &Path) -> Option<Command> {
    let arch = if program.ends_with("arm64") { "aarch64" } else { "x86_64" };
    if env::consts::ARCH == arch {
        return Some(Command::new(path));
    }
    let name = format!("qemu-{arch}-static");
    let path_variable = env::var_os("PATH")?;
    let mut folders = env::split_paths(&path_variable).map(|folder| folder.join(&name));
    let mut command = Command::new(folders.find(|emulator| emulator.is_file())?);
    command.arg(path);
    Some(command)
}

#[test]
#[ignore = "it compiles the AWS SDK four times, with optimizations; GitHub Actions runs it every day"]
fn publishers_built_in_two_folders_are_identical_and_have_the_layers_inside() {
    let _turn = one_at_a_time();
    let copy = copy_of_repository();
    let here = build_publishers(&repository());
    let there = build_publishers(&copy);
    let home = env::var("HOME").unwrap();
    let version = env!("CARGO_PKG_VERSION");
    let empty = tempfile::TempDir::new().unwrap();
    for ((program, here), there) in PROGRAMS.into_iter().zip(&here).zip(&there) {
        assert!(here == there, "{program} depends on the folder that it is built in");
        for folder in [repository().to_str().unwrap(), copy.to_str().unwrap(), &format!("{home}/")] {
            assert!(!contains(here, folder), "{folder} is in {program}");
        }
        let list = dependency_list(here).unwrap();
        let linked = list["packages"].as_array().unwrap();
        assert!(linked.iter().any(|one| one["name"] == "aws-sdk-lambda"), "{program}: {linked:?}");
        let path = empty.path().join(program);
        fs::write(&path, here).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        let run = |arguments: &[&str]| {
            let mut command = runner(program, &path)?;
            let output = command.args(arguments).current_dir(empty.path()).output().unwrap();
            assert_code(&output, 0);
            Some(stdout(&output))
        };
        // Without qemu, the program of the other architecture is compared and not run.
        let Some(said) = run(&["--version"]) else { continue };
        assert_eq!(said, format!("publisher {version} (with the layers of {version})\n"), "{program}");
        let arn = "arn:aws:lambda:eu-west-1:123456789012:layer:X-arm64:7\n";
        assert_eq!(run(&["arn", "--arch", "arm64"]).unwrap(), arn, "{program}");
    }
}
