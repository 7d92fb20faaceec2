//! `sentry-exec-wrapper`, called as Lambda calls it.

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
    time::Duration,
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

    /// A call with nothing in its environment.
    pub fn command(&self) -> Command {
        let mut command = Command::new(self.path());
        command.env_clear();
        command
    }
}

/// The extension that the wrapper is to find. The test has to be in a network of its own.
pub async fn extension(settings: &[(&str, &str)]) -> Extension {
    let extension = Extension::start(BINARY, &["--standalone"], settings);
    extension.log.wait_for("\"listening\"", Duration::from_secs(10)).await;
    extension
}

/// The value of a variable among a program's entries.
pub fn value(entries: &[Vec<u8>], name: &str) -> Option<String> {
    let start = format!("{name}=");
    let entry = entries.iter().find(|entry| entry.starts_with(start.as_bytes()))?;
    Some(String::from_utf8(entry[start.len()..].to_vec()).unwrap())
}

/// A program's environment as the kernel gave it: entries, in their order.
pub const ENVIRONMENT: [&str; 2] = ["/bin/cat", "/proc/self/environ"];

/// The lines of the wrapper's, and what the program behind it wrote.
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

/// The environment of the program behind the wrapper, whose own is this; and what the wrapper says.
pub fn through(env: &[(&OsStr, &OsStr)]) -> (Vec<serde_json::Value>, Vec<Vec<u8>>) {
    let output = Wrapper::new().command().args(ENVIRONMENT).envs(env.iter().copied()).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let (lines, environment) = split(&output);
    (
        lines,
        environment.split(|byte| *byte == 0).filter(|entry| !entry.is_empty()).map(<[u8]>::to_vec).collect(),
    )
}
