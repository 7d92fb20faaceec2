//! How Sentry's Relay is made from Sentry's own source package: what is pinned, what is changed in its workspace, and
//! what cargo is told. It is pure.

use crate::{
    build::musl_std::{self, StdKind},
    model::{arch::Arch, digest::Digest, lambda_runtime},
};

/// The version of Sentry's Relay in the package. Its `rustsrc.zip` is the whole workspace of this version.
pub(crate) const VERSION: &str = "26.9.0";
/// The package in Python's package index, as a line of a requirements file. pip refuses any other bytes.
pub(crate) const PACKAGE: &str = "sentry-relay==0.10.1 \
    --hash=sha256:cd416e6f5ba3a7d46e797f1e9a96088aa3a32f4b3f632a862b34b29323255804";
/// The archive in the package that has the workspace.
pub(crate) const SOURCES: &str = "rustsrc.zip";
/// The crate of the workspace that is the program, and the name of the program.
pub(crate) const PROGRAM: &str = "relay";

/// The crates that the workspace takes from git in a revision that crates.io has too, with their checksums there.
/// Without git, the build needs nothing but the two registries.
const SYMBOLIC: [(&str, &str); 2] = [
    ("symbolic-common", "b3ce6a0b122482d8cea8e4f136ff5616b53bc64e671616ac98efffe350d795dc"),
    ("symbolic-unreal", "c856b55c698d039b78ebebe167ae05038860f682e9818ef13c5c9c616e61b57d"),
];
const SYMBOLIC_VERSION: &str = "14.0.0-alpha.3";
const CRATES_IO: &str = "registry+https://github.com/rust-lang/crates.io-index";

/// All changes of the workspace.
pub(crate) const EDITS: [Edit; 3] = [
    Edit {
        file: "relay-config/src/config.rs",
        lines: 2,
        // Rust 1.95 has no Path::is_empty.
        change: Change::Replace("self.path.is_empty()", "self.path.as_os_str().is_empty()"),
    },
    Edit { file: "Cargo.toml", lines: 2, change: Change::TakeFromRegistry },
    Edit { file: "Cargo.lock", lines: 2, change: Change::LockToRegistry },
];

/// A change of one file of the workspace.
#[derive(Debug)]
pub(crate) struct Edit {
    /// The path in the workspace.
    pub(crate) file: &'static str,
    /// The number of lines that have to change. Any other number means that the file is not the expected one.
    lines: usize,
    change: Change,
}

#[derive(Debug)]
enum Change {
    /// Replaces the first text by the second one.
    Replace(&'static str, &'static str),
    /// Depends on the crates of `SYMBOLIC` as crates.io has them.
    TakeFromRegistry,
    /// The same in the lock file.
    LockToRegistry,
}

/// A file of the workspace that is not as expected.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{file} in {SOURCES} is not as expected: {found} of its lines would change, not {wanted}")]
pub(crate) struct EditError {
    file: &'static str,
    found: usize,
    wanted: usize,
}

impl Edit {
    /// The changed text of the file.
    pub(crate) fn apply(&self, text: &str) -> Result<String, EditError> {
        let lines: Vec<&str> = text.lines().collect();
        let mut changed = String::with_capacity(text.len());
        let mut found = 0;
        for (index, line) in lines.iter().enumerate() {
            let new = self.change.of(lines.get(..index).unwrap_or_default(), line);
            found += usize::from(new.is_some());
            changed.push_str(new.as_deref().unwrap_or(line));
            changed.push('\n');
        }
        if found == self.lines {
            Ok(changed)
        } else {
            Err(EditError { file: self.file, found, wanted: self.lines })
        }
    }
}

impl Change {
    /// What a line becomes that comes after the lines `before`, or `None` if it stays.
    fn of(&self, before: &[&str], line: &str) -> Option<String> {
        match self {
            Self::Replace(from, to) => line.contains(from).then(|| line.replace(from, to)),
            Self::TakeFromRegistry => {
                let (name, rest) = line.split_once(" = { git = \"")?;
                SYMBOLIC.iter().find(|(symbolic, _)| *symbolic == name)?;
                // What follows are the URL, the revision and, for one of them, features.
                let (_, revision) = rest.split_once("\", rev = \"")?;
                let (_, others) = revision.split_once('"')?;
                Some(format!("{name} = {{ version = \"={SYMBOLIC_VERSION}\"{others}"))
            }
            Self::LockToRegistry => {
                let [.., name, version] = before else { return None };
                let of_symbolic = |(symbolic, _): &&(&str, &str)| *name == format!("name = \"{symbolic}\"");
                let (_, checksum) = SYMBOLIC.iter().find(of_symbolic)?;
                let fits = *version == format!("version = \"{SYMBOLIC_VERSION}\"")
                    && line.starts_with("source = \"git+");
                fits.then(|| format!("source = \"{CRATES_IO}\"\nchecksum = \"{checksum}\""))
            }
        }
    }
}

/// The arguments for cargo-lambda. The oldest glibc of Lambda is named, so that the program runs on every runtime.
pub(crate) fn arguments(arch: Arch, std: StdKind) -> Vec<String> {
    let target = format!("{}.{}", arch.glibc_target(), lambda_runtime::OLDEST);
    let fixed = [
        "lambda",
        "build",
        "--locked",
        "--release",
        "--package",
        PROGRAM,
        "--bin",
        PROGRAM,
        "--no-default-features",
        "--output-format",
        "binary",
        "--target",
        &target,
        "--skip-target-check",
        // cargo-lambda's own settings would win over those below.
        "--disable-optimizations",
    ];
    let std: &[&str] = match std {
        StdKind::Prebuilt => &[],
        StdKind::Source => &musl_std::build_std_arguments(false),
    };
    fixed.iter().chain(std).map(|&argument| argument.to_owned()).collect()
}

/// The variables for cargo. Link-time optimization would take more memory than small machines have.
pub(crate) fn environment(std: StdKind) -> Vec<(&'static str, String)> {
    let mut variables = vec![
        ("RELAY_RELEASE", format!("{PROGRAM}@{VERSION}")),
        ("CARGO_PROFILE_RELEASE_DEBUG", "false".to_owned()),
        ("CARGO_PROFILE_RELEASE_LTO", "off".to_owned()),
        ("CARGO_PROFILE_RELEASE_STRIP", "symbols".to_owned()),
    ];
    if std == StdKind::Source {
        // It allows unstable options on a stable compiler.
        variables.push(("RUSTC_BOOTSTRAP", "1".to_owned()));
    }
    variables
}

/// A hash of everything that the program is made from. `tools` are the versions of the tools that make it.
pub(crate) fn key(arch: Arch, std: StdKind, tools: &[&str]) -> String {
    let parts = format!("{PACKAGE}\n{EDITS:?}\n{SYMBOLIC:?} {SYMBOLIC_VERSION}\n{tools:?}\n");
    let parts = format!("{parts}{:?}\n{:?}\n", arguments(arch, std), environment(std));
    Digest::of(parts.as_bytes()).short()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn edit(file: &str) -> &'static Edit {
        const ALL: &[Edit; 3] = &EDITS;
        ALL.iter().find(|edit| edit.file == file).unwrap()
    }

    #[test]
    fn the_crates_from_git_are_taken_from_the_registry() {
        let manifest = "[workspace.dependencies]\nserde = { version = \"1\" }\n\
            symbolic-common = { git = \"https://example.com/s\", rev = \"0ff\" }\n\
            symbolic-unreal = { git = \"https://example.com/s\", rev = \"0ff\", features = [\"serde\"] }\n";
        assert_eq!(
            edit("Cargo.toml").apply(manifest).unwrap(),
            "[workspace.dependencies]\nserde = { version = \"1\" }\n\
             symbolic-common = { version = \"=14.0.0-alpha.3\" }\n\
             symbolic-unreal = { version = \"=14.0.0-alpha.3\", features = [\"serde\"] }\n"
        );
    }

    #[test]
    fn the_lock_file_gets_the_checksums_of_the_registry() {
        let package = |name: &str, version: &str| {
            format!(
                "[[package]]\nname = \"{name}\"\nversion = \"{version}\"\nsource = \"git+https://x#0ff\"\n\n"
            )
        };
        let lock = package("other", "14.0.0-alpha.3")
            + &package("symbolic-common", "14.0.0-alpha.3")
            + &package("symbolic-unreal", "14.0.0-alpha.3");
        let changed = edit("Cargo.lock").apply(&lock).unwrap();
        assert_eq!(changed.matches("git+").count(), 1, "the other one stays");
        for (name, checksum) in SYMBOLIC {
            let locked = format!(
                "name = \"{name}\"\nversion = \"14.0.0-alpha.3\"\nsource = \"{CRATES_IO}\"\nchecksum = \"{checksum}\"\n"
            );
            assert!(changed.contains(&locked), "{changed}");
        }
        let other_version = lock.replace("alpha.3", "alpha.4");
        assert_eq!(
            edit("Cargo.lock").apply(&other_version),
            Err(EditError { file: "Cargo.lock", found: 0, wanted: 2 })
        );
    }

    #[test]
    fn a_file_with_another_number_of_places_is_refused() {
        let config = edit("relay-config/src/config.rs");
        let line = "if self.path.is_empty() {\n";
        assert_eq!(
            config.apply(&line.repeat(2)).unwrap(),
            "if self.path.as_os_str().is_empty() {\n".repeat(2)
        );
        let error = config.apply(line).unwrap_err().to_string();
        assert!(error.contains("1 of its lines would change, not 2"), "{error}");
    }

    #[test]
    fn the_key_covers_the_target_std_and_the_tools() {
        let key = |arch, std, zig| super::key(arch, std, &["rustc 1.95.0", zig]);
        let base = key(Arch::X86_64, StdKind::Prebuilt, "0.17.1");
        assert_eq!(base, key(Arch::X86_64, StdKind::Prebuilt, "0.17.1"));
        for other in [
            key(Arch::Arm64, StdKind::Prebuilt, "0.17.1"),
            key(Arch::X86_64, StdKind::Source, "0.17.1"),
            key(Arch::X86_64, StdKind::Prebuilt, "0.17.2"),
        ] {
            assert_ne!(base, other);
        }
        let arguments = arguments(Arch::Arm64, StdKind::Source).join(" ");
        assert!(arguments.contains("--target aarch64-unknown-linux-gnu.2.26 "), "{arguments}");
    }
}
