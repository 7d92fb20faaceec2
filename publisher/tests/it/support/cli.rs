//! Runs the publisher's binary in an environment that the test controls.

use super::dist::Dist;
use serde_json::Value;
use std::{
    ffi::OsStr,
    io::Read,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};
use tempfile::TempDir;

/// Adds `--execute`, unless the arguments contain `--dry-run`.
pub fn acting<'a>(args: &[&'a str]) -> Vec<&'a str> {
    let more: &[&str] = if args.contains(&"--dry-run") { &[] } else { &["--execute"] };
    [args, more].concat()
}

/// The result of a run.
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

/// Runs the publisher with only the environment variables that the test sets.
pub struct Publisher {
    home: TempDir,
    env: Vec<(String, String)>,
}

impl Publisher {
    /// A publisher without credentials and without an endpoint.
    pub fn new() -> Self {
        let env = vec![("AWS_EC2_METADATA_DISABLED".to_owned(), "true".to_owned())];
        Self { home: tempfile::tempdir().unwrap(), env }
    }

    /// A publisher with the credentials of an account, for this endpoint.
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

    /// The path of a file below the home folder.
    pub fn home_path(&self, name: &str) -> std::path::PathBuf {
        self.home.path().join(name)
    }

    /// Reads a file below the home folder.
    pub fn read_home_file(&self, name: &str) -> String {
        std::fs::read_to_string(self.home.path().join(name)).unwrap()
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
        self.spawn_bare(args).wait()
    }

    /// Starts a command on a `dist/`.
    pub fn spawn(&self, dist: &Dist, args: &[&str]) -> Running {
        let (command, rest) = args.split_first().unwrap();
        let mut all = vec![*command, "--dist", dist.path().to_str().unwrap()];
        all.extend(rest);
        self.spawn_bare(&all)
    }

    /// Starts a command.
    pub fn spawn_bare(&self, args: &[&str]) -> Running {
        let child = self.command(OsStr::new(env!("CARGO_BIN_EXE_publisher"))).args(args).spawn().unwrap();
        Running { child, started: Instant::now() }
    }

    /// A command for any program in this environment. Its output is captured.
    pub fn command(&self, program: &OsStr) -> Command {
        let mut command = Command::new(program);
        command
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", self.home.path())
            .envs(self.env.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }
}

/// A command that is running.
pub struct Running {
    child: Child,
    started: Instant,
}

impl Running {
    pub fn wait(self) -> Run {
        let output = self.child.wait_with_output().unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        let (stdout, stderr) = (text(output.stdout), text(output.stderr));
        assert!(!stdout.contains(SECRET) && !stderr.contains(SECRET), "the secret key was printed");
        Run { code: output.status.code(), stdout, stderr, took: self.started.elapsed() }
    }

    /// Waits until the command has written this text to stderr. The next call reads on from there.
    #[track_caller]
    pub fn says(&mut self, text: &str) {
        let stderr = self.child.stderr.as_mut().unwrap();
        let mut line = Vec::new();
        let mut byte = [0];
        while stderr.read(&mut byte).unwrap() == 1 {
            line.push(byte[0]);
            if line.ends_with(text.as_bytes()) {
                return;
            }
        }
        panic!("it ended without saying {text:?}: {}", String::from_utf8_lossy(&line));
    }

    /// Whether it has ended, without waiting.
    pub fn has_ended(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }

    /// Kills the process with SIGKILL, so that it cannot clean up.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Sends SIGINT, as Ctrl-C does.
    pub fn interrupt(&self) {
        let done = Command::new("kill").args(["-INT", &self.child.id().to_string()]).status().unwrap();
        assert!(done.success());
    }

    /// The peak of the process's memory so far, in bytes. The kernel adds it up from counters that lag behind, so that
    /// a later value can be a little smaller.
    pub fn peak_memory(&self) -> Option<u64> {
        self.memory("VmHWM:")
    }

    /// The memory that the process has allocated and uses now, in bytes. The program itself, of which a debug build is
    /// larger than all that it works with, is not in it.
    pub fn allocated_memory(&self) -> Option<u64> {
        self.memory("RssAnon:")
    }

    fn memory(&self, kind: &str) -> Option<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix(kind))?;
        Some(line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024)
    }
}

/// The secret key of all test accounts. It must never be in any output.
pub const SECRET: &str = "a-secret-that-nobody-may-see";
