//! Tests `sentry-exec-wrapper`, called as Lambda calls it.

mod exec;
mod layer;
mod ports;
mod settings;

use crate::support::extension::{BINARY, Extension};
use std::{
    ffi::OsStr,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::{Command, Output},
};

pub const KEY: &str = "5b0ff8a1e2c94d7fb7a3c1d2e4f60718";

/// A folder with the wrapper in it.
pub struct Wrapper(tempfile::TempDir);

impl Wrapper {
    pub fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        symlink(BINARY, folder.path().join("sentry-exec-wrapper")).unwrap();
        Self(folder)
    }

    pub fn folder(&self) -> &Path {
        self.0.path()
    }

    pub fn path(&self) -> PathBuf {
        self.folder().join("sentry-exec-wrapper")
    }

    /// Returns a call of the wrapper with an empty environment.
    pub fn command(&self) -> Command {
        let mut command = Command::new(self.path());
        command.env_clear();
        command
    }
}

/// Starts an extension for the wrapper to find. The test has to run in a network of its own.
pub async fn extension(settings: &[(&str, &str)]) -> Extension {
    let extension = Extension::start(BINARY, &["--standalone"], settings);
    extension.log.wait_for("\"listening\"").await;
    extension
}

/// Returns the value of a variable among the entries of a program's environment.
pub fn value(entries: &[Vec<u8>], name: &str) -> Option<String> {
    let start = format!("{name}=");
    let entry = entries.iter().find(|entry| entry.starts_with(start.as_bytes()))?;
    Some(String::from_utf8(entry[start.len()..].to_vec()).unwrap())
}

/// A program that prints its environment as it got it from the kernel, with the entries in their order.
pub const ENVIRONMENT: [&str; 2] = ["/bin/cat", "/proc/self/environ"];

/// Splits the output into the log lines of the wrapper and the output of the program that it executed.
pub fn split(output: &Output) -> (Vec<serde_json::Value>, Vec<u8>) {
    let mut rest = &output.stdout[..];
    let mut lines = Vec::new();
    while rest.starts_with(b"{\"ts\"") {
        let end = rest.iter().position(|byte| *byte == b'\n').unwrap();
        lines.push(serde_json::from_slice(&rest[..end]).unwrap());
        rest = &rest[end + 1..];
    }
    (lines, rest.to_vec())
}

/// Runs the wrapper with this environment. Returns its log lines, and the environment of the program that it executed.
pub fn run_wrapper(env: &[(&OsStr, &OsStr)]) -> (Vec<serde_json::Value>, Vec<Vec<u8>>) {
    let output = Wrapper::new().command().args(ENVIRONMENT).envs(env.iter().copied()).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let (lines, environment) = split(&output);
    (
        lines,
        environment.split(|byte| *byte == 0).filter(|entry| !entry.is_empty()).map(<[u8]>::to_vec).collect(),
    )
}
