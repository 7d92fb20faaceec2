//! The flags for rustc. They give the same bytes for the same commit on every host, and a small binary.

use crate::build::{musl_std::StdKind, unstable_flags::UnstableFlags};
use std::path::{Path, PathBuf};

/// The folders whose names would otherwise end up in panic messages. They differ from host to host.
pub(crate) struct Folders<'a> {
    pub(crate) workspace: &'a Path,
    /// cargo's target folder, where build scripts generate sources.
    pub(crate) target_dir: &'a Path,
    /// `CARGO_HOME`, which has the sources of all dependencies.
    pub(crate) cargo_home: &'a Path,
    /// The folders in it that have a folder for each crate. They are named after the registry.
    pub(crate) registries: &'a [PathBuf],
    /// The sources of std. If they are installed, rustc uses the name of this folder.
    pub(crate) rust_sources: &'a Path,
    /// The compiler's commit. Without these sources, rustc names those of a prebuilt std `/rustc/<commit>`.
    pub(crate) rust_commit: &'a str,
}

/// Each flag makes the binary a few per cent smaller; `docs/performance-experiments.md` has the figures.
const SIZE_FLAGS: [&str; 2] = [
    // The unwinder's tables are shorter if functions have a frame pointer.
    "-Cforce-frame-pointers=yes",
    // zig links the binary without position independence in any case, and absolute addresses are shorter.
    "-Crelocation-model=static",
];

pub(crate) fn rustflags(folders: &Folders<'_>, std: StdKind, smaller: &UnstableFlags) -> Vec<String> {
    let remap = |from: &Path, to: &str| format!("--remap-path-prefix={}={to}", from.display());
    let rust = match std {
        StdKind::Prebuilt => format!("/rustc/{}", folders.rust_commit),
        StdKind::Source => "rust".to_owned(),
    };
    // The last matching entry wins, so the narrowest folder comes last. The names are short, because the binary has
    // some hundred of them.
    let mut flags = vec![
        remap(folders.cargo_home, "/cargo"),
        remap(folders.rust_sources, &rust),
        remap(folders.workspace, "/build"),
        remap(folders.target_dir, "/build/target"),
    ];
    flags.extend(folders.registries.iter().map(|registry| remap(registry, "")));
    flags.extend(SIZE_FLAGS.iter().chain(&smaller.flags).map(|&flag| flag.to_owned()));
    if std == StdKind::Source {
        // The Rust of a distribution brings no musl start files and no libunwind to link with. zig has both.
        flags.push("-Clink-self-contained=no".to_owned());
    }
    flags
}

/// Encodes the flags for `CARGO_ENCODED_RUSTFLAGS`, where a flag may contain spaces.
pub(crate) fn encode(flags: &[String]) -> String {
    flags.join("\x1f")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folders(registries: &[PathBuf]) -> Folders<'_> {
        Folders {
            workspace: Path::new("/home/me/my work"),
            target_dir: Path::new("/home/me/my work/target"),
            cargo_home: Path::new("/home/me/.cargo"),
            registries,
            rust_sources: Path::new("/usr/lib/rustlib/src/rust"),
            rust_commit: "abc",
        }
    }

    #[test]
    fn the_narrowest_folder_comes_last() {
        let registries = [PathBuf::from("/home/me/.cargo/registry/src/index-1")];
        let flags = rustflags(&folders(&registries), StdKind::Prebuilt, &UnstableFlags::default());
        let position = |flag: &str| flags.iter().position(|other| other == flag).unwrap();
        let (all, one) = ("/home/me/my work=/build", "/home/me/my work/target=/build/target");
        let (cargo, crates) = ("/home/me/.cargo=/cargo", "/home/me/.cargo/registry/src/index-1=");
        for (wide, narrow) in [(all, one), (cargo, crates)] {
            let [wide, narrow] = [wide, narrow].map(|text| position(&format!("--remap-path-prefix={text}")));
            assert!(wide < narrow, "{flags:?}");
        }
        assert!(!flags.iter().any(|flag| flag.starts_with("-Z")));
        assert!(flags.contains(&"--remap-path-prefix=/usr/lib/rustlib/src/rust=/rustc/abc".to_owned()));
    }

    #[test]
    fn a_space_in_a_path_does_not_split_a_flag() {
        let smaller = UnstableFlags { flags: vec!["-Zsmaller=yes"], std_for_size: true };
        let flags = rustflags(&folders(&[]), StdKind::Source, &smaller);
        assert!(flags.contains(&"-Zsmaller=yes".to_owned()));
        assert!(flags.contains(&"--remap-path-prefix=/usr/lib/rustlib/src/rust=rust".to_owned()));
        assert_eq!(encode(&flags).split('\x1f').count(), flags.len());
        assert!(encode(&flags).ends_with("\x1f-Clink-self-contained=no"));
    }
}
