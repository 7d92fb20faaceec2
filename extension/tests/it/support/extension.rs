//! Starts the extension's process without a layer: in standalone mode, or against the scripted Lambda.

use super::{HANG, lambda_api::LambdaApi, log::Log};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde_json::Value;
use std::{
    net::SocketAddr,
    path::Path,
    process::{ExitStatus, Stdio},
};
use tempfile::TempDir;
use tokio::process::{Child, Command};
use tokio::task::JoinHandle;

/// The binary under test.
pub const BINARY: &str = env!("CARGO_BIN_EXE_sentry-lambda-extension");
/// The variable that names the folder of the spool.
pub const SPOOL: &str = "_SENTRY_EXTENSION_SPOOL";

/// A running extension. Dropping it kills the process.
pub struct Extension {
    child: Child,
    pub log: Log,
    readers: [JoinHandle<()>; 2],
    /// Its spool, unless the test names another: what one test spools is not for others.
    _spool: TempDir,
}

impl Drop for Extension {
    fn drop(&mut self) {
        // Whatever failed, the reason is in here.
        if std::thread::panicking() {
            eprintln!("---- log of the extension:\n{}\n----", self.log.text());
        }
    }
}

impl Extension {
    /// Starts it with only `env` as its environment.
    pub fn start(binary: impl AsRef<Path>, args: &[&str], env: &[(&str, &str)]) -> Self {
        let spool = tempfile::tempdir().unwrap();
        let mut child = Command::new(binary.as_ref().as_os_str())
            .args(args)
            .env_clear()
            .env(SPOOL, spool.path().join("spool"))
            .envs(env.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let log = Log::new();
        let readers = [log.collect(child.stdout.take().unwrap()), log.collect(child.stderr.take().unwrap())];
        Self { child, log, readers, _spool: spool }
    }

    /// Starts it as Lambda would, on the default ports. The test has to run in a network of its own.
    pub fn in_lambda(api: &LambdaApi, env: &[(&str, &str)]) -> Self {
        let address = api.address();
        let env = [env, &[("AWS_LAMBDA_RUNTIME_API", &*address)]].concat();
        Self::start(BINARY, &[], &env)
    }

    /// Starts it standalone on a free port, and returns where it listens.
    pub async fn standalone(upstream: &str, env: &[(&str, &str)]) -> (Self, SocketAddr) {
        Self::standalone_of(BINARY, upstream, env).await
    }

    /// Does the same with another binary.
    pub async fn standalone_of(
        binary: impl AsRef<Path>,
        upstream: &str,
        env: &[(&str, &str)],
    ) -> (Self, SocketAddr) {
        let args = ["--standalone", "--listen", "127.0.0.1:0", "--upstream", upstream];
        let extension = Self::start(binary, &args, env);
        let line = extension.log.wait_for("\"listening\"").await;
        let line: Value = serde_json::from_str(&line).unwrap();
        (extension, line["addr"].as_str().unwrap().parse().unwrap())
    }

    /// Returns the process id.
    pub fn pid(&self) -> u32 {
        self.child.id().expect("already ended")
    }

    /// Asks a standalone extension to drain and end.
    pub fn terminate(&self) {
        self.signal(Signal::SIGTERM);
    }

    /// Freezes it, as Lambda freezes an environment between invocations, and waits until it has stopped.
    pub fn freeze(&self) {
        self.signal(Signal::SIGSTOP);
        // The state follows the program name, which is in parentheses and may contain any character.
        let state = || {
            let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.pid())).unwrap();
            stat.rsplit(") ").next().unwrap().starts_with('T')
        };
        while !state() {
            std::thread::yield_now();
        }
    }

    /// Lets a frozen extension continue.
    pub fn thaw(&self) {
        self.signal(Signal::SIGCONT);
    }

    fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(i32::try_from(self.pid()).unwrap()), signal).unwrap();
    }

    pub fn has_ended(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }

    /// Waits for the end.
    pub async fn ended(mut self) -> (ExitStatus, Log) {
        let Ok(status) = tokio::time::timeout(HANG, self.child.wait()).await else {
            panic!("still running after {HANG:?}:\n{}", self.log.text())
        };
        for reader in &mut self.readers {
            reader.await.unwrap();
        }
        (status.unwrap(), self.log.clone())
    }

    /// Waits for a successful end, and returns the logged counts: accepted, delivered, rejected, dropped. They must
    /// balance.
    pub async fn final_counts(self) -> [u64; 4] {
        let (status, log) = self.ended().await;
        assert!(status.success(), "{status}:\n{}", log.text());
        let line = log.wait_for("\"message\":\"envelopes\"").await;
        let line: Value = serde_json::from_str(&line).unwrap();
        let count = |name: &str| line[name].as_u64().unwrap();
        let counts = ["accepted", "delivered", "rejected", "dropped"].map(count);
        assert_eq!(
            counts[0],
            counts[1] + counts[2] + counts[3] + count("spooled"),
            "the ledger does not balance: {line}"
        );
        assert!(!log.contains("\"panic\""), "{}", log.text());
        counts
    }
}
