//! Makes a `dist/` folder as `publisher build` would leave it, with small but valid zips.

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
/// The version of Relay that the layers with Relay contain.
pub const RELAY: &str = "26.9.0";
pub const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

/// The default name of a plain layer.
pub fn layer_name(arch: &str) -> String {
    format!("SentryLambdaExtension-{arch}")
}

/// A folder with two zips. It is removed when it is dropped.
pub struct Dist {
    folder: TempDir,
    seed: String,
}

impl Dist {
    /// Zips whose content depends on the architecture and on `seed`.
    pub fn new(seed: &str) -> Self {
        Self::of(seed, |arch| format!("{seed} for {arch}").into_bytes())
    }

    /// Zips of about `bytes` bytes, which do not compress.
    pub fn large(bytes: usize) -> Self {
        Self::of("noise", |arch| {
            let mut content = noise(bytes);
            content.extend_from_slice(arch.as_bytes());
            content
        })
    }

    fn of(seed: &str, content: impl Fn(&str) -> Vec<u8>) -> Self {
        let dist = Self { folder: tempfile::tempdir().unwrap(), seed: seed.to_owned() };
        let mut artifacts = Vec::new();
        let mut sums = Vec::new();
        for arch in ARCHES {
            let file = format!("sentry-lambda-extension-{arch}.zip");
            let zip = zip(&elf(arch, content(arch).as_slice()), 0o755);
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

    /// Adds layers with Relay for these runtimes. Relay has about `bytes` bytes, which do not compress.
    #[must_use]
    pub fn with_relay(self, bytes: usize, runtimes: &[&str]) -> Self {
        let relay = noise(bytes);
        let mut sums = fs::read(self.path().join("SHA256SUMS")).unwrap();
        for arch in ARCHES {
            let plain = fs::read(self.zip(arch)).unwrap();
            // The content of the plain zip tells the releases of the tests apart.
            let zip = zip_of(&[
                ("extensions/sentry-lambda-extension", 0o755, &elf(arch, &plain)),
                ("relay/relay", 0o755, &elf(arch, &relay)),
                ("relay/config.yml", 0o644, b"relay:\n  mode: proxy\n"),
            ]);
            let file = format!("sentry-lambda-extension-relay-{arch}.zip");
            fs::write(self.path().join(&file), &zip).unwrap();
            writeln!(sums, "{}  {file}", hex(&zip)).unwrap();
            self.edit_build(|build| {
                let artifacts = build["artifacts"].as_array_mut().unwrap();
                let plain = artifacts.iter().position(|artifact| artifact["arch"] == arch).unwrap();
                let mut artifact = artifacts[plain].clone();
                artifact["file"] = json!(file);
                artifact["sha256"] = json!(hex(&zip));
                artifact["size"] = json!(zip.len());
                artifact["relay"] = json!({
                    "version": RELAY, "sha256": hex(&relay), "size": relay.len(),
                    "source_sha256": hex(&relay), "glibc": "2.28", "runtimes": runtimes
                });
                artifacts.insert(plain + 1, artifact);
            });
        }
        fs::write(self.path().join("SHA256SUMS"), sums).unwrap();
        self
    }

    /// The path of the zip with Relay.
    pub fn relay_zip(&self, arch: &str) -> PathBuf {
        self.path().join(format!("sentry-lambda-extension-relay-{arch}.zip"))
    }

    /// The `CodeSha256` of the zip with Relay.
    pub fn relay_code_sha256(&self, arch: &str) -> String {
        STANDARD.encode(Sha256::digest(fs::read(self.relay_zip(arch)).unwrap()))
    }

    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// The text that makes the zips different from those of other tests.
    pub fn seed(&self) -> &str {
        &self.seed
    }

    pub fn zip(&self, arch: &str) -> PathBuf {
        self.path().join(format!("sentry-lambda-extension-{arch}.zip"))
    }

    /// The `CodeSha256` of a plain zip, in base64 as Lambda writes it.
    pub fn code_sha256(&self, arch: &str) -> String {
        STANDARD.encode(Sha256::digest(fs::read(self.zip(arch)).unwrap()))
    }

    /// Converts a `CodeSha256` to hex digits.
    pub fn hex_of_base64(code_sha256: &str) -> String {
        STANDARD
            .decode(code_sha256)
            .unwrap()
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect::<Vec<_>>()
            .concat()
    }

    /// The content of `layers.json`, or null if there is none.
    pub fn layers(&self) -> Value {
        let text = fs::read(self.path().join("layers.json")).unwrap_or_default();
        serde_json::from_slice(&text).unwrap_or_default()
    }

    pub fn edit_build(&self, edit: impl FnOnce(&mut Value)) {
        let path = self.path().join("build.json");
        let mut build = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        edit(&mut build);
        fs::write(path, build.to_string()).unwrap();
    }

    /// Puts another binary into a zip, and changes the manifests as if it had been built like this.
    pub fn repack(&self, arch: &str, binary: &[u8], mode: u32) {
        self.replace(arch, &zip(binary, mode));
    }

    /// Makes the wrapper in a zip a symlink with this name and target, or a plain file if there is no target.
    pub fn replace_wrapper(&self, arch: &str, name: &str, target: Option<&str>) {
        self.replace(
            arch,
            &layer(&[("extensions/sentry-lambda-extension", 0o755, &elf(arch, b""))], (name, target)),
        );
    }

    fn replace(&self, arch: &str, zip: &[u8]) {
        let before = hex(&fs::read(self.zip(arch)).unwrap());
        fs::write(self.zip(arch), zip).unwrap();
        let sums = fs::read_to_string(self.path().join("SHA256SUMS")).unwrap();
        fs::write(self.path().join("SHA256SUMS"), sums.replace(&before, &hex(zip))).unwrap();
        self.edit_build(|build| {
            for artifact in build["artifacts"].as_array_mut().unwrap() {
                if artifact["arch"] == arch {
                    artifact["sha256"] = json!(hex(zip));
                    artifact["size"] = json!(zip.len());
                }
            }
        });
    }

    /// The entries of the journal.
    pub fn journal(&self) -> Vec<Value> {
        let Some(path) = self.journal_file() else { return Vec::new() };
        let text = fs::read_to_string(path).unwrap();
        text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
    }

    pub fn journal_file(&self) -> Option<PathBuf> {
        let name = self.files().into_iter().find(|name| name.ends_with(".journal"))?;
        Some(self.path().join(name))
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

/// The smallest ELF header that names the architecture, followed by `content`.
pub fn elf(arch: &str, content: &[u8]) -> Vec<u8> {
    let mut elf = vec![0; 64];
    elf[..7].copy_from_slice(&[0x7f, b'E', b'L', b'F', 2, 1, 1]);
    elf[16] = 2;
    elf[18] = if arch == "arm64" { 0xb7 } else { 0x3e };
    elf[20] = 1;
    elf.extend_from_slice(content);
    elf
}

/// A zip that is no layer of the publisher's.
pub fn other_zip(content: &str) -> Vec<u8> {
    zip(content.as_bytes(), 0o644)
}

fn zip(binary: &[u8], mode: u32) -> Vec<u8> {
    zip_of(&[("extensions/sentry-lambda-extension", mode, binary)])
}

fn zip_of(files: &[(&str, u32, &[u8])]) -> Vec<u8> {
    layer(files, ("sentry-exec-wrapper", Some("extensions/sentry-lambda-extension")))
}

fn layer(files: &[(&str, u32, &[u8])], wrapper: (&str, Option<&str>)) -> Vec<u8> {
    let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
    // The files are stored without compression, so that the test decides the size of the zip.
    let options = SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
    for (name, mode, content) in files {
        zip.start_file(*name, options.unix_permissions(*mode)).unwrap();
        zip.write_all(content).unwrap();
    }
    match wrapper {
        (name, Some(target)) => zip.add_symlink(name, target, options).unwrap(),
        (name, None) => zip.start_file(name, options.unix_permissions(0o755)).unwrap(),
    }
    zip.finish().unwrap().into_inner()
}

/// Bytes that do not compress.
fn noise(bytes: usize) -> Vec<u8> {
    let mut state = bytes as u64;
    let mut content = Vec::with_capacity(bytes);
    while content.len() < bytes {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        content.extend_from_slice(&state.to_le_bytes());
    }
    content
}

fn hex(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().concat()
}
