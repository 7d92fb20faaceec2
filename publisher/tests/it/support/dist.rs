//! A `dist/` as `publisher build` would leave it, small and real.

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::{
    fs,
    io::{Cursor, Write},
    path::{Path, PathBuf},
};
use tempfile::TempDir;
use zip::write::SimpleFileOptions;

pub const ARCHES: [&str; 2] = ["arm64", "x86_64"];
pub const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

/// A folder with two zips, gone when dropped.
pub struct Dist {
    folder: TempDir,
}

impl Dist {
    /// Zips that differ by architecture and by `seed`.
    pub fn new(seed: &str) -> Self {
        let dist = Self { folder: tempfile::tempdir().unwrap() };
        let mut artifacts = Vec::new();
        let mut sums = Vec::new();
        for arch in ARCHES {
            let file = format!("sentry-lambda-extension-{arch}.zip");
            let zip = zip(&format!("{seed} for {arch}"));
            let sha256 = hex(&zip);
            fs::write(dist.path().join(&file), &zip).unwrap();
            writeln!(sums, "{sha256}  {file}").unwrap();
            artifacts.push(json!({
                "arch": arch, "file": file, "sha256": sha256, "size": zip.len(),
                "binary_sha256": "0".repeat(64), "binary_size": 1
            }));
        }
        let toolchain = json!({"rustc": "rustc", "cargo_lambda": "cl", "zig": "z", "std": "prebuilt"});
        let build = json!({
            "schema": 1, "version": "1.2.3", "commit": COMMIT, "toolchain": toolchain, "artifacts": artifacts
        });
        fs::write(dist.path().join("build.json"), build.to_string()).unwrap();
        fs::write(dist.path().join("SHA256SUMS"), sums).unwrap();
        dist
    }

    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    pub fn zip(&self, arch: &str) -> PathBuf {
        self.path().join(format!("sentry-lambda-extension-{arch}.zip"))
    }

    /// `CodeSha256` of a zip as Lambda spells it.
    pub fn code_sha256(&self, arch: &str) -> String {
        STANDARD.encode(Sha256::digest(fs::read(self.zip(arch)).unwrap()))
    }

    /// `layers.json`, or null.
    pub fn layers(&self) -> Value {
        let text = fs::read(self.path().join("layers.json")).unwrap_or_default();
        serde_json::from_slice(&text).unwrap_or_default()
    }

    /// Changes `build.json`.
    pub fn edit_build(&self, edit: impl FnOnce(&mut Value)) {
        let path = self.path().join("build.json");
        let mut build = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        edit(&mut build);
        fs::write(path, build.to_string()).unwrap();
    }

    /// The names of all files, sorted.
    pub fn files(&self) -> Vec<String> {
        let names = fs::read_dir(self.path()).unwrap();
        let mut names: Vec<String> =
            names.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        names
    }
}

fn zip(content: &str) -> Vec<u8> {
    let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
    let options = SimpleFileOptions::default().unix_permissions(0o755);
    zip.start_file("extensions/sentry-lambda-extension", options).unwrap();
    zip.write_all(content.as_bytes()).unwrap();
    zip.finish().unwrap().into_inner()
}

fn hex(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().concat()
}
