//! Writes lines to stdout or stderr and never makes the caller wait. If nobody reads the stream, its pipe is full after
//! 64 KiB, and a write would block all deliveries and responses.
//!
//! A thread writes, because nothing else works with every kind of stream: setting it to non-blocking would change it
//! for all processes that share it, and a pipe that is ready may be full again before the write. The thread runs only
//! while there is something to write, because with a second thread each allocation costs more.

use nix::errno::Errno;
use nix::libc::PIPE_BUF;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::unistd::write as write_some;
use std::io;
use std::os::fd::AsFd as _;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

/// The most bytes that wait for the thread, and the most that it takes at once.
const MAX_WAITING: usize = 128 << 10;
/// The part of these bytes that `debug` lines may fill, so that there is room for more important lines.
const MAX_DETAILS: usize = MAX_WAITING / 2;
/// How long the thread waits for more lines before it ends.
const LINGER: Duration = Duration::from_secs(1);
/// The pause before the next try if stdout is set to non-blocking and is full.
const FULL_PAUSE: Duration = Duration::from_millis(10);
/// The stack of the thread, in bytes. It holds little more than one call of the system.
const STACK: usize = 64 << 10;

struct State {
    waiting: String,
    /// The number of lines that were lost because too much was waiting.
    lost: u64,
    thread_runs: bool,
    /// Whether the thread is writing what it has taken.
    is_writing: bool,
}

/// One of the streams, with the lines that wait for it.
pub(super) struct Output {
    is_stderr: bool,
    state: Mutex<State>,
    /// Wakes the thread when there are new lines, and `flush` when all lines are written.
    changed: Condvar,
}

pub(super) static STDOUT: Output = Output::new(false);
pub(super) static STDERR: Output = Output::new(true);

impl Output {
    const fn new(is_stderr: bool) -> Self {
        let state = State { waiting: String::new(), lost: 0, thread_runs: false, is_writing: false };
        Self { is_stderr, state: Mutex::new(state), changed: Condvar::new() }
    }

    /// Hands a line to the thread. The line is lost if too much is waiting. Once there is room, `lost_line` makes a
    /// line that tells how many were lost.
    pub(super) fn write(&'static self, line: &str, is_detail: bool, lost_line: fn(u64) -> String) {
        let mut state = self.lock();
        let most = if is_detail { MAX_DETAILS } else { MAX_WAITING };
        if state.waiting.len() + line.len() > most {
            state.lost += 1;
            return;
        }
        state.waiting.push_str(line);
        if !state.thread_runs {
            let thread = thread::Builder::new().stack_size(STACK).spawn(move || self.write_all(lost_line));
            // If no thread could be started, the line waits until the next line starts one.
            state.thread_runs = thread.is_ok();
        } else if !state.is_writing {
            drop(state);
            self.changed.notify_all();
        }
    }

    /// Waits until all lines are written, but not longer than `within`. What still waits then is written here if there
    /// is room: the thread could not be started, or has got no CPU time.
    pub(super) fn flush(&self, within: Duration) {
        let busy = |state: &mut State| state.thread_runs && (state.is_writing || !state.waiting.is_empty());
        let waited = self.changed.wait_timeout_while(self.lock(), within, busy);
        let mut state = waited.unwrap_or_else(PoisonError::into_inner).0;
        // A thread that is still writing waits for room.
        if !state.is_writing {
            for line in std::mem::take(&mut state.waiting).split_inclusive('\n') {
                self.write_if_ready(line, Duration::ZERO);
            }
        }
    }

    /// The work of the thread. It ends when there was nothing to write for a while.
    fn write_all(&self, lost_line: fn(u64) -> String) {
        let mut state = self.lock();
        loop {
            if state.waiting.is_empty() && state.lost == 0 {
                state.is_writing = false;
                self.changed.notify_all();
                let nothing = |state: &mut State| state.waiting.is_empty() && state.lost == 0;
                let waited = self.changed.wait_timeout_while(state, LINGER, nothing);
                state = waited.unwrap_or_else(PoisonError::into_inner).0;
                if state.waiting.is_empty() && state.lost == 0 {
                    state.thread_runs = false;
                    return;
                }
            }
            state.is_writing = true;
            let (mut lines, lost) = (std::mem::take(&mut state.waiting), std::mem::take(&mut state.lost));
            drop(state);
            if lost > 0 {
                lines.push_str(&lost_line(lost));
            }
            // Each line is one call, so that the lines of other processes do not get between its parts.
            lines.split_inclusive('\n').for_each(|line| self.write_line(line.as_bytes()));
            state = self.lock();
        }
    }

    fn write_line(&self, mut line: &[u8]) {
        while !line.is_empty() {
            let written =
                if self.is_stderr { write_some(io::stderr(), line) } else { write_some(io::stdout(), line) };
            match written {
                Ok(written) => line = line.get(written..).unwrap_or_default(),
                Err(Errno::EINTR) => {}
                Err(Errno::EAGAIN) => thread::sleep(FULL_PAUSE),
                // A closed stream must not harm the function, and it cannot be reported anywhere.
                Err(_) => return,
            }
        }
    }

    /// Writes a line in parts that fit into every pipe that is ready. It ends when there is no room after `within`.
    fn write_if_ready(&self, line: &str, within: Duration) {
        let (stdout, stderr) = (io::stdout(), io::stderr());
        let stream = if self.is_stderr { stderr.as_fd() } else { stdout.as_fd() };
        let within = PollTimeout::try_from(within).unwrap_or(PollTimeout::ZERO);
        for part in line.as_bytes().chunks(PIPE_BUF) {
            let mut ready = [PollFd::new(stream, PollFlags::POLLOUT)];
            if !poll(&mut ready, within).is_ok_and(|ready| ready > 0) {
                return;
            }
            self.write_line(part);
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // No code panics while it holds the lock.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Writes a line to stdout at once and without a thread. If stdout has no room after `within`, the line is lost.
pub(super) fn write_directly(line: &str, within: Duration) {
    STDOUT.write_if_ready(line, within);
}
