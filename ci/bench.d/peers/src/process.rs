//! A process that is measured. Its environment contains only the given variables, and it is killed when the value is
//! dropped.

use crate::envelope::GATEWAY;
use crate::outcome::{Outcome, fail};
use nix::sys::signal::{Signal, kill};
use nix::time::clock_getcpuclockid;
use nix::unistd::Pid;
use std::collections::BTreeMap;
use std::net::{SocketAddr, TcpListener};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A running process and the time at which it was started.
pub(crate) struct Process {
    child: Child,
    pid: Pid,
    pub(crate) started: Instant,
}

/// Resident memory in bytes: now, and the largest value so far.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Memory {
    pub(crate) now: u64,
    pub(crate) most: u64,
}

impl Process {
    /// Starts a command. Its output is discarded, so that the cost of writing it is measured and its content is not
    /// shown.
    pub(crate) fn start(command: &[String], env: &BTreeMap<String, String>) -> Outcome<Self> {
        Self::start_with_output(command, env, Stdio::null())
    }

    fn start_with_output(command: &[String], env: &BTreeMap<String, String>, stdout: Stdio) -> Outcome<Self> {
        let (program, arguments) = command.split_first().ok_or_else(|| fail("an empty command"))?;
        let started = Instant::now();
        let child = Command::new(program)
            .args(arguments)
            .env_clear()
            .envs(env)
            .stdin(Stdio::null())
            .stdout(stdout)
            .stderr(Stdio::null())
            .spawn()
            .map_err(|error| fail(format!("{program}: {error}")))?;
        let pid = Pid::from_raw(i32::try_from(child.id())?);
        Ok(Self { child, pid, started })
    }

    /// Starts an extension as Lambda does. It is an error if another process has the extension's port, because the
    /// experiment would measure that process.
    pub(crate) fn extension(
        command: &[String],
        env: &BTreeMap<String, String>,
        api: SocketAddr,
    ) -> Outcome<Self> {
        Self::extension_with_log(command, env, api, Stdio::null())
    }

    /// Does the same, and writes its log there.
    pub(crate) fn extension_with_log(
        command: &[String],
        env: &BTreeMap<String, String>,
        api: SocketAddr,
        log: Stdio,
    ) -> Outcome<Self> {
        let asked = Instant::now();
        while let Err(error) = TcpListener::bind(GATEWAY) {
            // An extension that was killed just before may not have ended yet.
            if asked.elapsed() > Duration::from_secs(5) {
                return Err(fail(format!("{GATEWAY}: {error}")));
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        let mut env = env.clone();
        env.insert("AWS_LAMBDA_RUNTIME_API".to_owned(), api.to_string());
        Self::start_with_output(command, &env, log)
    }

    /// Returns the user and system time of all threads.
    pub(crate) fn cpu(&self) -> Outcome<Duration> {
        Ok(Duration::from(clock_getcpuclockid(self.pid)?.now()?))
    }

    pub(crate) fn memory(&self) -> Outcome<Memory> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid))?;
        let field = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            let kib = line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<u64>().ok());
            kib.map(|kib| kib * 1024).ok_or_else(|| fail(format!("no {name} in the status of {}", self.pid)))
        };
        Ok(Memory { now: field("VmRSS:")?, most: field("VmHWM:")? })
    }

    /// Stops the process as Lambda does between invocations, and lets it go on after this time.
    pub(crate) fn freeze(&self, time: Duration) -> Outcome<()> {
        kill(self.pid, Signal::SIGSTOP)?;
        std::thread::sleep(time);
        Ok(kill(self.pid, Signal::SIGCONT)?)
    }

    /// Waits until the process has ended by itself.
    pub(crate) fn wait(mut self, within: Duration) -> Outcome<()> {
        let begun = Instant::now();
        while self.child.try_wait()?.is_none() {
            if begun.elapsed() > within {
                return Err(fail("the extension did not end after SHUTDOWN"));
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        Ok(())
    }

    /// Ends the process by a signal, so that tools such as valgrind write their results. The extension blocks all
    /// others.
    pub(crate) fn end(mut self) -> Outcome<()> {
        kill(self.pid, Signal::SIGABRT)?;
        let asked = Instant::now();
        while self.child.try_wait()?.is_none() {
            if asked.elapsed() > Duration::from_secs(5) {
                self.child.kill()?;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        Ok(())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // The process may have ended already, so errors are ignored.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
