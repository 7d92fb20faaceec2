//! What the fuzz targets in `publisher/fuzz` do with an input. The tests below do the same with the inputs that are
//! kept in its corpora, so that a regression is seen without a fuzzer. The program itself does not contain this module.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::missing_panics_doc, unreachable_pub)]

use crate::{
    artifacts::{layers_manifest, safe_zip, zip_contents},
    model::arch::Arch,
    publish::journal,
};

pub fn journal(data: &[u8]) {
    journal::fuzzing::journal(data);
}

pub fn layers_manifest(data: &[u8]) {
    layers_manifest::fuzzing::layers_manifest(data);
}

/// Bytes that are a layer are one for one architecture, and can be unpacked.
pub fn zip_contents(data: &[u8]) {
    let _ = safe_zip::check(data);
    let fits = Arch::ALL.iter().filter(|arch| zip_contents::check(data, **arch).is_ok()).count();
    assert!(fits <= 1, "a layer for both architectures");
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    /// The fuzz crate includes the publisher's files, so it does not build unless it has all modules and dependencies.
    /// Nobody would see that before somebody fuzzes.
    #[test]
    fn the_fuzz_crate_has_all_modules_and_dependencies() {
        let read = |file| std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(file)).unwrap();
        let (manifest, of_fuzz) = (read("Cargo.toml"), read("fuzz/Cargo.toml"));
        let dependencies =
            manifest.split("\n[").find_map(|part| part.strip_prefix("dependencies]\n")).unwrap();
        let (main, lib) = (read("src/main.rs"), read("fuzz/src/lib.rs"));
        let modules = main.lines().filter(|line| line.starts_with("mod ")).map(|module| (module, &lib));
        let is_dependency = |line: &&str| !line.is_empty() && !line.starts_with('#');
        let all = dependencies.lines().filter(is_dependency).map(|one| (one, &of_fuzz)).chain(modules);
        let (mut count, mut missing) = (0, Vec::new());
        for (line, text) in all {
            count += 1;
            if !text.lines().any(|other| other.trim_start_matches("pub ") == line) {
                missing.push(line);
            }
        }
        assert!(missing.is_empty(), "not in publisher/fuzz: {missing:#?}");
        assert!(count > 50, "{count} modules and dependencies were found");
    }

    fn replay(target: &str, body: fn(&[u8])) {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(target);
        let mut inputs = 0;
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let input = std::fs::read(&path).unwrap();
            let cut = &input[..input.len() / 2];
            for input in [&input, cut] {
                let outcome = std::panic::catch_unwind(|| body(input));
                assert!(outcome.is_ok(), "{target} fails with {}", path.display());
            }
            inputs += 1;
        }
        assert!(inputs > 2, "the corpus of {target} is empty");
        for short in [&b""[..], b"\0", b"\xff", b"\n", b"{}", b"[]", b"PK\x05\x06"] {
            body(short);
        }
    }

    #[test]
    fn journal() {
        replay("journal", super::journal);
    }

    #[test]
    fn layers_manifest() {
        replay("layers_manifest", super::layers_manifest);
    }

    #[test]
    fn zip_contents() {
        replay("zip_contents", super::zip_contents);
    }
}
