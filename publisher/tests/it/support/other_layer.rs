//! Makes zips that are not the extension's, and the arguments to publish them.

use super::cli::{Publisher, Run};
use serde_json::Value;
use std::{
    fs,
    io::{Cursor, Write},
    path::{Path, PathBuf},
};
use tempfile::TempDir;
use zip::write::SimpleFileOptions;

/// The release that the arguments name.
pub const RELEASE: &str = "2.1.0";
pub const LICENSE: &str = "MIT AND \"what the team says\"";

/// A folder with a zip, and a folder for what the publisher writes.
pub struct OtherLayer {
    folder: TempDir,
}

impl OtherLayer {
    /// A layer with one file. The content depends on `seed`.
    pub fn new(seed: &str) -> Self {
        let layer = Self { folder: tempfile::tempdir().unwrap() };
        layer.write("layer.zip", &zip_of(&[("python/team/__init__.py", seed.as_bytes())]));
        layer
    }

    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Writes a file beside the zip.
    pub fn write(&self, name: &str, content: &[u8]) {
        fs::write(self.path().join(name), content).unwrap();
    }

    /// The path of a file beside the zip, as text.
    pub fn file(&self, name: &str) -> String {
        self.path().join(name).to_str().unwrap().to_owned()
    }

    /// The folder for `layers.json` and the journal.
    pub fn dist(&self) -> PathBuf {
        self.path().join("dist")
    }

    /// The arguments of `publish` for these zips, with this template.
    pub fn args(&self, zips: &[&str], template: &str, more: &[&str]) -> Vec<String> {
        let dist = self.dist();
        let mut args = vec!["publish", "--dist", dist.to_str().unwrap(), "--layer-name", template, "--zip"];
        args.extend(zips);
        args.extend(["--license", LICENSE]);
        if !more.contains(&"--release") {
            args.extend(["--release", RELEASE]);
        }
        args.extend(more);
        args.into_iter().map(str::to_owned).collect()
    }

    /// Publishes `layer.zip` for both architectures as `TeamSdk` in eu-west-1.
    pub fn publish(&self, publisher: &Publisher, more: &[&str]) -> Run {
        run(publisher, &self.args(&[&self.file("layer.zip")], "TeamSdk", &[&REGION, more].concat()))
    }

    /// Runs another command on the folder.
    pub fn run(&self, publisher: &Publisher, args: &[&str]) -> Run {
        let (command, rest) = args.split_first().unwrap();
        let dist = self.dist();
        publisher.run_bare(&[&[*command, "--dist", dist.to_str().unwrap()], rest].concat())
    }

    /// The content of `layers.json`, or null if there is none.
    pub fn layers(&self) -> Value {
        serde_json::from_slice(&fs::read(self.dist().join("layers.json")).unwrap_or_default())
            .unwrap_or_default()
    }
}

const REGION: [&str; 2] = ["--regions", "eu-west-1"];

/// Runs the publisher with owned arguments.
pub fn run(publisher: &Publisher, args: &[String]) -> Run {
    publisher.run_bare(&args.iter().map(String::as_str).collect::<Vec<_>>())
}

/// A zip with these files.
pub fn zip_of(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
    let options = SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
    for (name, content) in files {
        zip.start_file(*name, options.unix_permissions(0o644)).unwrap();
        zip.write_all(content).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

/// A zip with one symbolic link.
pub fn zip_with_link(name: &str, target: &str) -> Vec<u8> {
    let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
    zip.add_symlink(name, target, SimpleFileOptions::default()).unwrap();
    zip.finish().unwrap().into_inner()
}
