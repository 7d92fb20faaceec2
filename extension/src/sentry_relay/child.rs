//! Starts, watches and ends the process of Sentry's Relay.
//!
//! The extension starts its own binary, which asks the kernel to kill it when the extension ends, and then executes
//! Sentry's Relay. To ask the kernel between `fork` and `exec` would need unsafe code.

use super::command::{BINARY, SentryRelayCommand};
use super::log_pipe;
use crate::signals;
use nix::errno::Errno;
use nix::sys::prctl;
use nix::sys::signal::{Signal, killpg};
use nix::sys::wait::{Id, WaitPidFlag, waitid, waitpid};
use nix::unistd::{Pid, execv, getppid};
use std::ffi::{CString, OsString};
use std::io::{self, Write as _};
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::process::{Command, ExitCode, ExitStatus, Stdio};
use std::sync::Arc;
use std::thread;
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::{Instant, timeout, timeout_at};

/// The first argument that makes this binary become Sentry's Relay.
const FLAG: &str = "--become-relay";
/// The exit code of a shell for a file that was found but could not be executed.
const CANNOT_EXECUTE: u8 = 126;
/// The stack of the thread that waits for the end of the process, in bytes.
const STACK: usize = 64 * 1024;
/// How long to wait for the end of the process after SIGKILL.
const KILL_TIMEOUT: Duration = Duration::from_millis(40);

/// Becomes Sentry's Relay if the first argument asks for it. It returns `None` if not, and an exit code if that fails.
/// The kernel kills the process when the extension ends, and kills it first when memory runs out.
pub fn become_sentry_relay(mut args: impl Iterator<Item = OsString>) -> Option<ExitCode> {
    if args.next()? != FLAG {
        return None;
    }
    let parent = args.next().and_then(|pid| pid.to_str()?.parse().ok()).map(Pid::from_raw);
    let bound = prctl::set_pdeathsig(Signal::SIGKILL);
    if bound.is_ok() && parent != Some(getppid()) {
        // The extension ended before the kernel was asked, so no signal will come.
        return Some(ExitCode::FAILURE);
    }
    // If this fails, Sentry's Relay still works, and SIGKILL still ends it.
    let _ = signals::restore();
    // If this file does not exist, the kernel chooses by itself which process to kill.
    let _ = std::fs::write("/proc/self/oom_score_adj", "1000");
    let words: Vec<CString> = std::iter::once(OsString::from(BINARY))
        .chain(args)
        // This drops nothing: an argument of a process cannot contain a zero byte.
        .filter_map(|word| CString::new(word.into_encoded_bytes()).ok())
        .collect();
    // The `exec` of std is not used, because with glibc it lets the shell run a file that is for another machine.
    if let Some(Err(error)) = words.first().map(|file| execv(file, &words)) {
        let _ = writeln!(io::stderr(), "cannot execute {BINARY}: {}", error.desc());
    }
    Some(ExitCode::from(CANNOT_EXECUTE))
}

/// Whether the status means that the file cannot be executed, so that another start is of no use.
pub(super) fn cannot_execute(status: ExitStatus) -> bool {
    status.code() == Some(CANNOT_EXECUTE.into())
}

/// Says how the process ended, for the log.
pub(super) fn describe(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("it exited with {code}"),
        (None, Some(signal)) => format!("it was ended by signal {signal}"),
        (None, None) => "it ended".to_owned(),
    }
}

/// A process of Sentry's Relay in a process group of its own. Dropping it kills the group, and no zombie is left.
#[derive(Debug)]
pub(super) struct Child {
    process: std::process::Child,
    /// Wakes the task that waits for the end of the process.
    exited: Arc<Notify>,
    reaped: bool,
}

impl Child {
    pub(super) fn start(command: &SentryRelayCommand) -> io::Result<Self> {
        let (pipe, output) = io::pipe()?;
        let process = Command::new("/proc/self/exe")
            .args([FLAG, &std::process::id().to_string()])
            .args(&command.arguments)
            .env_clear()
            .envs(command.environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(output)
            .process_group(0)
            .spawn()?;
        let child = Self { process, exited: Arc::default(), reaped: false };
        child.watch()?;
        log_pipe::follow(pipe)?;
        Ok(child)
    }

    /// Starts a thread that waits until the process has ended, and leaves it to be reaped.
    fn watch(&self) -> io::Result<()> {
        let process = Pid::from_raw(i32::try_from(self.process.id()).map_err(io::Error::other)?);
        let exited = Arc::clone(&self.exited);
        let wait = move || {
            // Any other error means that it was reaped already.
            while waitid(Id::Pid(process), WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT) == Err(Errno::EINTR) {
            }
            exited.notify_one();
        };
        thread::Builder::new().name("sentry_relay_end".to_owned()).stack_size(STACK).spawn(wait).map(drop)
    }

    pub(super) fn id(&self) -> u32 {
        self.process.id()
    }

    /// Waits until the process has ended, and then kills the rest of its group.
    pub(super) async fn ended(&mut self) -> io::Result<ExitStatus> {
        loop {
            if let Some(status) = self.process.try_wait()? {
                // This ends processes that Sentry's Relay may have started.
                self.signal(Signal::SIGKILL);
                self.reaped = true;
                return Ok(status);
            }
            self.exited.notified().await;
        }
    }

    /// Asks the process to end, and kills it if it has not ended at `deadline`. SIGINT ends Sentry's Relay in 8 ms.
    /// After SIGTERM it waits for its whole shutdown time-out, which is at least one second.
    pub(super) async fn end(mut self, deadline: Instant) {
        self.signal(Signal::SIGINT);
        if timeout_at(deadline, self.ended()).await.is_err() {
            self.kill().await;
        }
    }

    /// Kills the process, and waits for the short time in which the kernel usually ends it and frees its memory.
    pub(super) async fn kill(mut self) {
        self.signal(Signal::SIGKILL);
        let _ = timeout(KILL_TIMEOUT, self.ended()).await;
    }

    fn signal(&self, signal: Signal) {
        if let Ok(id) = i32::try_from(self.process.id()) {
            // An error means that the group has ended already.
            let _ = killpg(Pid::from_raw(id), signal);
        }
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        if !self.reaped {
            self.signal(Signal::SIGKILL);
            // The process may still be ending, and nothing can wait for that here: a panic may be unwinding. Unless
            // somebody waits, the process stays a zombie for as long as the extension lives.
            if let Ok(id) = i32::try_from(self.process.id()) {
                let _ = thread::Builder::new().spawn(move || waitpid(Pid::from_raw(id), None));
            }
        }
    }
}
