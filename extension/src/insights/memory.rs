//! Measures how much memory the environment uses, because the platform's report of an invocation that was killed never
//! comes.
//!
//! There are two sources. The kernel counts the processes that it has killed because the memory was full: that count is
//! read at the first invocation, and again when the environment ends by a failure. And the memory in use is sampled, in
//! case the platform itself kills the runtime. Samples are taken only while an invocation runs: seldom at first, and
//! often once the memory is nearly full. An invocation that is shorter than the first pause is never sampled.

use super::Shared;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// The most processes that are looked at. An environment of Lambda has a handful. A machine with more is not Lambda.
const MOST_PROCESSES: usize = 64;
/// The size of a memory page in bytes. Linux uses this size on the processors of both architectures in Lambda.
const PAGE: u64 = 4096;

/// Takes samples while invocations run, as long as the process lives.
pub(super) async fn watch(shared: Arc<Shared>) {
    loop {
        shared.begun.notified().await;
        let mut peak = 0;
        loop {
            tokio::time::sleep(pause(peak, shared.memory_size)).await;
            if !shared.environment().is_running(SystemTime::now()) {
                break;
            }
            let Some(used) = used(Path::new("/proc")) else { break };
            // If much more is in use than the function has, then processes that are not of this environment were
            // counted.
            if used > shared.memory_size.saturating_mul(3) / 2 {
                break;
            }
            shared.environment().sampled(used);
            peak = used;
        }
    }
}

/// Returns the time until the next sample.
fn pause(used: u64, size: u64) -> Duration {
    Duration::from_millis(match used.saturating_mul(100) / size.max(1) {
        0..50 => 500,
        50..80 => 100,
        _ => 20,
    })
}

/// Returns the resident memory of all processes, in bytes, or `None` if it cannot be read.
fn used(proc: &Path) -> Option<u64> {
    let mut processes = 0;
    let mut pages = 0;
    for entry in fs::read_dir(proc).ok()?.flatten() {
        let name = entry.file_name();
        if !name.as_encoded_bytes().first()?.is_ascii_digit() {
            continue;
        }
        processes += 1;
        if processes > MOST_PROCESSES {
            return None;
        }
        // A process that has just ended uses no memory.
        let statm = fs::read_to_string(entry.path().join("statm")).unwrap_or_default();
        let resident = statm.split(' ').nth(1).and_then(|pages| pages.parse::<u64>().ok());
        pages += resident.unwrap_or_default();
    }
    Some(pages * PAGE)
}

/// Returns how many processes the kernel has killed because the memory was full, since the kernel was started. In
/// Lambda each sandbox has a kernel of its own.
pub(super) fn oom_kills() -> Option<u64> {
    counted(&fs::read_to_string("/proc/vmstat").ok()?)
}

fn counted(vmstat: &str) -> Option<u64> {
    vmstat.lines().find_map(|line| line.strip_prefix("oom_kill "))?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resident_memory_is_added_up() {
        let proc = tempfile::tempdir().unwrap();
        for (process, statm) in
            [("1", "900 100 7 1 0 2 0\n"), ("17", "900 50 7 1 0 2 0\n"), ("self", "9 9 9")]
        {
            fs::create_dir(proc.path().join(process)).unwrap();
            fs::write(proc.path().join(process).join("statm"), statm).unwrap();
        }
        // The process has just ended.
        fs::create_dir(proc.path().join("18")).unwrap();
        assert_eq!(used(proc.path()), Some(150 * PAGE));
        for process in 100..200 {
            fs::create_dir(proc.path().join(process.to_string())).unwrap();
        }
        assert_eq!(used(proc.path()), None);
        assert_eq!(used(Path::new("/nonexistent")), None);
    }

    #[test]
    fn the_kernels_own_count() {
        assert_eq!(counted("numa_foreign 0\noom_kill 3\noom_kill_x 4\n"), Some(3));
        assert_eq!(counted("oom_kill many"), None);
        assert_eq!(counted(""), None);
    }

    #[test]
    fn the_fuller_the_oftener() {
        let pauses = [0, 49, 50, 79, 80, 100, 300].map(|used| pause(used, 100).as_millis());
        assert_eq!(pauses, [500, 500, 100, 100, 20, 20, 20]);
    }
}
