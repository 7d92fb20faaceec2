//! What a release consists of, on disk: `dist/` and the files in it.

pub mod build_manifest;
