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
