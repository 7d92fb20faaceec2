//! The publisher's binary, in an environment of the test's making.

use super::dist::Dist;
use serde_json::Value;
use std::{
    process::{Command, Stdio},
    time::{Duration, Instant},
};
use tempfile::TempDir;

/// What came of a run.
#[derive(Debug)]
pub struct Run {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
    pub took: Duration,
}

impl Run {
    #[track_caller]
    pub fn expect(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "\n--- stdout\n{}\n--- stderr\n{}", self.stdout, self.stderr);
        self
    }

    #[track_caller]
    pub fn says(self, text: &str) -> Self {
        let all = format!("{}\n{}", self.stdout, self.stderr);
        assert!(all.contains(text), "no {text:?} in\n{all}");
        self
    }

    #[track_caller]
    pub fn within(self, limit: Duration) -> Self {
        assert!(self.took < limit, "took {:?}, limit {limit:?}", self.took);
        self
    }

    pub fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

/// A user with nothing in the environment but what the test gives.
pub struct Publisher {
    home: TempDir,
    env: Vec<(String, String)>,
}

impl Publisher {
    /// No credentials, no endpoint.
    pub fn new() -> Self {
        let env = vec![("AWS_EC2_METADATA_DISABLED".to_owned(), "true".to_owned())];
        Self { home: tempfile::tempdir().unwrap(), env }
    }

    /// Credentials of an account at an endpoint.
    pub fn at(url: &str, key: &str) -> Self {
        Self::new()
            .env("AWS_ENDPOINT_URL", url)
            .env("AWS_ACCESS_KEY_ID", key)
            .env("AWS_SECRET_ACCESS_KEY", SECRET)
    }

    #[must_use]
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.env.retain(|(other, _)| other != name);
        self.env.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Writes a file below the home folder.
    pub fn home_file(&self, name: &str, content: &str) {
        let path = self.home.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }

    /// Runs a command on a `dist/`.
    pub fn run(&self, dist: &Dist, args: &[&str]) -> Run {
        let (command, rest) = args.split_first().unwrap();
        let mut all = vec![*command, "--dist", dist.path().to_str().unwrap()];
        all.extend(rest);
        self.run_bare(&all)
    }

    /// Runs a command.
    pub fn run_bare(&self, args: &[&str]) -> Run {
        let started = Instant::now();
        let output = Command::new(env!("CARGO_BIN_EXE_publisher"))
            .args(args)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", self.home.path())
            .envs(self.env.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        let (stdout, stderr) = (text(output.stdout), text(output.stderr));
        assert!(!stdout.contains(SECRET) && !stderr.contains(SECRET), "the secret key was printed");
        Run { code: output.status.code(), stdout, stderr, took: started.elapsed() }
    }
}

/// Must never be seen in any output.
pub const SECRET: &str = "a-secret-that-nobody-may-see";
