//! Signals. Whatever another process in the environment sends, the extension must not end before SHUTDOWN, because
//! Lambda counts an early exit as a failure of the function.

use nix::sys::signal::{SigSet, Signal};
use std::io;
use tokio::runtime;
use tokio::signal::unix::{SignalKind, signal};

/// The signals that stay as they are. Most report a fault of this process. SIGCHLD reports the end of Sentry's Relay,
/// and SIGPIPE is ignored by std already.
const NOT_BLOCKED: [Signal; 10] = [
    Signal::SIGABRT,
    Signal::SIGBUS,
    Signal::SIGCHLD,
    Signal::SIGCONT,
    Signal::SIGFPE,
    Signal::SIGILL,
    Signal::SIGPIPE,
    Signal::SIGSEGV,
    Signal::SIGSYS,
    Signal::SIGTRAP,
];

/// Blocks every signal that would end or stop the process for no reason of its own. Must run while the process has one
/// thread, because further threads inherit what is blocked. A handler could not be used: it needs the async runtime,
/// and the extension also lives on where that cannot be started.
pub fn block() {
    let mut signals = SigSet::all();
    for signal in NOT_BLOCKED {
        signals.remove(signal);
    }
    // This fails only for arguments that the kernel does not know.
    let _ = signals.thread_block();
}

/// Gives all signals their default meaning again, for a program that this process is about to become. The program
/// would inherit blocked and ignored signals.
pub fn restore() -> io::Result<()> {
    SigSet::empty().thread_set_mask()?;
    // The kernel resets a signal that has a handler, but keeps one that is ignored. So SIGPIPE gets a handler.
    let runtime = runtime::Builder::new_current_thread().enable_io().build()?;
    let _entered = runtime.enter();
    signal(SignalKind::pipe()).map(drop)
}

/// Whether the process was started with this signal ignored, as `nohup` does with SIGHUP.
pub fn is_ignored(signal: Signal) -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let ignored = ignored.and_then(|digits| u64::from_str_radix(digits.trim(), 16).ok()).unwrap_or_default();
    ignored >> (signal as u32 - 1) & 1 == 1
}
