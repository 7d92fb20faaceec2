//! Relay's process: born, watched and ended.
//!
//! It is started by way of this very binary, which first arranges its own death and then becomes Relay: between `fork` and
//! `exec` that would take unsafe code.

use super::command::{BINARY, SentryRelayCommand};
use super::log_pipe;
use nix::sys::prctl;
use nix::sys::signal::{Signal, killpg};
use nix::sys::wait::waitpid;
use nix::unistd::{Pid, execv, getppid};
use std::ffi::{CString, OsString};
use std::io::{self, Write as _};
use std::os::fd::OwnedFd;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::process::{Command, ExitCode, ExitStatus, Stdio};
use std::thread;
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::{Instant, timeout, timeout_at};

/// As whom this binary is called to become Relay.
const FLAG: &str = "--become-relay";
/// As a shell says it: found, and could not be executed.
const CANNOT_EXECUTE: u8 = 126;
/// What the kernel takes to end it.
const KILLED: Duration = Duration::from_millis(40);

/// Becomes Relay if that is what the arguments say, and gives back a code only where that fails.
/// The kernel kills it when the extension ends, and takes it before anyone else when memory runs out.
pub fn become_sentry_relay(mut args: impl Iterator<Item = OsString>) -> Option<ExitCode> {
    if args.next()? != FLAG {
        return None;
    }
    let parent = args.next().and_then(|pid| pid.to_str()?.parse().ok()).map(Pid::from_raw);
    let bound = prctl::set_pdeathsig(Signal::SIGKILL);
    if bound.is_ok() && parent != Some(getppid()) {
        // It has ended before it could be told of.
        return Some(ExitCode::FAILURE);
    }
    // Where there is no such file, the kernel chooses by itself.
    let _ = std::fs::write("/proc/self/oom_score_adj", "1000");
    let words: Vec<CString> = std::iter::once(OsString::from(BINARY))
        .chain(args)
        // A word with a zero byte cannot have come through an argument.
        .filter_map(|word| CString::new(word.into_encoded_bytes()).ok())
        .collect();
    // Not std's `exec`: with glibc it gives a file for another machine to the shell.
    if let Some(Err(error)) = words.first().map(|file| execv(file, &words)) {
        let _ = writeln!(io::stderr(), "cannot execute {BINARY}: {}", error.desc());
    }
    Some(ExitCode::from(CANNOT_EXECUTE))
}

/// Whether an end means that there is nothing to execute, now or ever.
pub(super) fn cannot_execute(status: ExitStatus) -> bool {
    status.code() == Some(CANNOT_EXECUTE.into())
}

/// How it ended, for the log.
pub(super) fn describe(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("it exited with {code}"),
        (None, Some(signal)) => format!("it was ended by signal {signal}"),
        (None, None) => "it ended".to_owned(),
    }
}

/// A Relay in a process group of its own. Dropping it kills the group, and sees to it that no zombie is left.
#[derive(Debug)]
pub(super) struct Child {
    process: std::process::Child,
    ends: tokio::signal::unix::Signal,
    reaped: bool,
}

impl Child {
    pub(super) fn start(plan: &SentryRelayCommand) -> io::Result<Self> {
        // Before the child, or its end could be missed.
        let ends = signal(SignalKind::child())?;
        let mut process = Command::new("/proc/self/exe")
            .args([FLAG, &std::process::id().to_string()])
            .args(&plan.arguments)
            .env_clear()
            .envs(plan.environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .spawn()?;
        let (out, err) = (process.stdout.take(), process.stderr.take());
        let child = Self { process, ends, reaped: false };
        for pipe in [out.map(OwnedFd::from), err.map(OwnedFd::from)].into_iter().flatten() {
            log_pipe::follow(pipe)?;
        }
        Ok(child)
    }

    pub(super) fn id(&self) -> u32 {
        self.process.id()
    }

    /// Waits for its end.
    pub(super) async fn ended(&mut self) -> io::Result<ExitStatus> {
        loop {
            if let Some(status) = self.process.try_wait()? {
                // Whatever it may have started itself.
                self.signal(Signal::SIGKILL);
                self.reaped = true;
                return Ok(status);
            }
            self.ends.recv().await;
        }
    }

    /// Asks it to end, and kills it where it has not by then.
    pub(super) async fn end(mut self, by: Instant) {
        self.signal(Signal::SIGTERM);
        if timeout_at(by, self.ended()).await.is_err() {
            self.kill().await;
        }
    }

    /// Kills it, and waits for the moment that the kernel usually takes to give back its memory.
    pub(super) async fn kill(mut self) {
        self.signal(Signal::SIGKILL);
        let _ = timeout(KILLED, self.ended()).await;
    }

    fn signal(&self, signal: Signal) {
        if let Ok(id) = i32::try_from(self.process.id()) {
            // It may have ended by itself.
            let _ = killpg(Pid::from_raw(id), signal);
        }
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        if !self.reaped {
            self.signal(Signal::SIGKILL);
            // The kernel may still be at it. Without anybody who waits for the end, a zombie would stay for as long as
            // the extension lives, and nothing here can wait: this may be a panic that unwinds.
            if let Ok(id) = i32::try_from(self.process.id()) {
                let _ = thread::Builder::new().spawn(move || waitpid(Pid::from_raw(id), None));
            }
        }
    }
}
