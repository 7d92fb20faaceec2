//! The flags that rustc gets, so that the same commit gives the same bytes wherever it is built, and few of them.

use crate::build::{musl_std::StdKind, unstable_flags::UnstableFlags};
use std::path::Path;

/// The folders whose names would otherwise end up in panic messages, each differing from host to host.
pub(crate) struct Folders<'a> {
    /// The workspace.
    pub(crate) workspace: &'a Path,
    /// cargo's target folder: build scripts generate sources there.
    pub(crate) target_dir: &'a Path,
    /// `CARGO_HOME`: the sources of all dependencies.
    pub(crate) cargo_home: &'a Path,
    /// std's sources, which rustc prefers to name once they are installed.
    pub(crate) rust_sources: &'a Path,
    /// The compiler's commit: rustc's own name for those sources is `/rustc/<commit>`.
    pub(crate) rust_commit: &'a str,
}

/// Each takes a few per cent off the binary; `docs/performance-experiments.md` has the figures.
const SMALL: [&str; 2] = [
    // The unwinder's tables are shorter where functions have a frame pointer.
    "-Cforce-frame-pointers=yes",
    // The binary is not position-independent in any case (zig links it so), and absolute addresses are shorter.
    "-Crelocation-model=static",
];

/// The flags for one build.
pub(crate) fn rustflags(folders: &Folders<'_>, std: StdKind, smaller: &UnstableFlags) -> Vec<String> {
    let remap = |from: &Path, to: &str| format!("--remap-path-prefix={}={to}", from.display());
    // The last that matches wins, so the narrowest comes last.
    let mut flags = vec![
        remap(folders.cargo_home, "/cargo"),
        remap(folders.rust_sources, &format!("/rustc/{}", folders.rust_commit)),
        remap(folders.workspace, "/build"),
        remap(folders.target_dir, "/build/target"),
    ];
    flags.extend(SMALL.iter().chain(&smaller.flags).map(|&flag| flag.to_owned()));
    if std == StdKind::Source {
        // A distribution's Rust has no musl start files and no libunwind of its own to link; zig has both.
        flags.push("-Clink-self-contained=no".to_owned());
    }
    flags
}

/// The form of `CARGO_ENCODED_RUSTFLAGS`, in which a flag may hold spaces.
pub(crate) fn encode(flags: &[String]) -> String {
    flags.join("\x1f")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folders() -> Folders<'static> {
        Folders {
            workspace: Path::new("/home/me/my work"),
            target_dir: Path::new("/home/me/my work/target"),
            cargo_home: Path::new("/home/me/.cargo"),
            rust_sources: Path::new("/usr/lib/rustlib/src/rust"),
            rust_commit: "abc",
        }
    }

    #[test]
    fn the_narrowest_folder_comes_last() {
        let flags = rustflags(&folders(), StdKind::Prebuilt, &UnstableFlags::default());
        let remapped = flags.iter().rfind(|flag| flag.starts_with("--remap")).unwrap();
        assert_eq!(remapped, "--remap-path-prefix=/home/me/my work/target=/build/target");
        assert!(!flags.iter().any(|flag| flag.starts_with("-Z")));
        assert!(flags.contains(&"--remap-path-prefix=/usr/lib/rustlib/src/rust=/rustc/abc".to_owned()));
    }

    #[test]
    fn a_space_in_a_path_does_not_split_a_flag() {
        let smaller = UnstableFlags { flags: vec!["-Zsmaller=yes"], std_for_size: true };
        let flags = rustflags(&folders(), StdKind::Source, &smaller);
        assert!(flags.contains(&"-Zsmaller=yes".to_owned()));
        assert_eq!(encode(&flags).split('\x1f').count(), flags.len());
        assert!(encode(&flags).ends_with("\x1f-Clink-self-contained=no"));
    }
}
