//! Signals. Whatever another process in the environment sends, the extension must not end before SHUTDOWN, because
//! Lambda counts an early exit as a failure of the function. Outside of Lambda, some signals make it drain and end.
//!
//! The async runtime's own support for signals is not used: it would prepare for all 64 signals in each cold start.

use nix::sys::signal::{SigHandler, SigSet, Signal, signal};
use std::io;
use std::sync::Arc;
use std::thread;
use tokio::sync::Notify;

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

/// The stack of the thread that waits for signals, in bytes.
const STACK: usize = 64 * 1024;

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

/// Blocks the signals that ask the process to end, and returns what a thread notifies of each of them. Must run while
/// the process has one thread, because another one would receive a signal that is not blocked there.
pub fn notify_of_end() -> io::Result<Arc<Notify>> {
    let mut signals = SigSet::from_iter([Signal::SIGTERM, Signal::SIGINT]);
    // `nohup` starts a program with SIGHUP ignored, and the program is to stay so.
    if !is_ignored(Signal::SIGHUP) {
        signals.add(Signal::SIGHUP);
    }
    signals.thread_block()?;
    let notify = Arc::new(Notify::new());
    let notified = Arc::clone(&notify);
    let wait = move || {
        while signals.wait().is_ok() {
            notify.notify_one();
        }
    };
    thread::Builder::new().stack_size(STACK).spawn(wait)?;
    Ok(notified)
}

/// Gives all signals their default meaning again, for a program that this process is about to become. The program
/// would inherit blocked and ignored signals.
pub fn restore() -> io::Result<()> {
    SigSet::empty().thread_set_mask()?;
    // std ignores SIGPIPE from the start.
    // SAFETY: this installs no handler, so no code of ours can run at a moment when it must not.
    #[expect(unsafe_code)]
    let restored = unsafe { signal(Signal::SIGPIPE, SigHandler::SigDfl) };
    Ok(restored.map(drop)?)
}

/// Whether the process was started with this signal ignored, as `nohup` does with SIGHUP.
fn is_ignored(signal: Signal) -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let ignored = ignored.and_then(|digits| u64::from_str_radix(digits.trim(), 16).ok()).unwrap_or_default();
    ignored >> (signal as u32 - 1) & 1 == 1
}
