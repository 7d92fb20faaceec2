//! Measures how much memory the environment uses, because the platform's report of an invocation that was killed never
//! comes.
//!
//! There are two sources. The kernel counts the processes that it has killed because the memory was full: that
//! count is read at the first invocation, at those that follow one with samples, and when the environment ends by a
//! failure. And the memory in use is sampled, in case the platform itself kills the runtime. Samples are taken only
//! while an invocation runs: seldom at first, and often once the memory is nearly full. An invocation that is
//! shorter than the first pause is never sampled.

use super::Shared;
use memchr::memmem;
use std::fs::{self, File};
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// The most processes that are looked at. An environment of Lambda has a handful. A machine with more is not Lambda.
const MOST_PROCESSES: usize = 64;
/// The processes are listed anew after this time.
const LISTING: Duration = Duration::from_millis(100);
/// The size of a memory page in bytes. Linux uses this size on the processors of both architectures in Lambda.
const PAGE: u64 = 4096;

/// The most bytes of `/proc/vmstat` that are read. It has about 4 KB.
const VMSTAT: usize = 16 * 1024;

/// Takes samples while invocations run, as long as the process lives.
pub(super) async fn watch(shared: Arc<Shared>) {
    let mut processes = Processes::default();
    loop {
        shared.begun.notified().await;
        let mut used = 0;
        loop {
            tokio::time::sleep(pause(used, shared.memory_size)).await;
            if !shared.environment().watched(SystemTime::now()) {
                break;
            }
            if !processes.are_listed_lately(pause(used, shared.memory_size)) {
                processes.list(Path::new("/proc"));
            }
            let Some(bytes) = processes.used() else { break };
            // If much more is in use than the function has, then processes that are not of this environment were
            // counted.
            if bytes > shared.memory_size.saturating_mul(3) / 2 {
                break;
            }
            shared.environment().sampled(bytes);
            used = bytes;
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

/// The processes of the environment. Most of the cost of a sample is to list them, so they are not listed for each
/// sample when samples are frequent.
#[derive(Debug, Default)]
struct Processes {
    /// The file of each process that says how much memory it uses.
    files: Vec<PathBuf>,
    /// The time since they were listed, as the sum of the pauses.
    age: Duration,
}

impl Processes {
    /// Whether they were listed less than `LISTING` ago, if this pause has passed since the last sample.
    fn are_listed_lately(&mut self, pause: Duration) -> bool {
        self.age += pause;
        !self.files.is_empty() && self.age < LISTING
    }

    fn list(&mut self, proc: &Path) {
        let entries = fs::read_dir(proc).into_iter().flatten().flatten().map(|entry| entry.file_name());
        let processes =
            entries.filter(|name| name.as_encoded_bytes().first().is_some_and(u8::is_ascii_digit));
        // One more than allowed shows that there are too many.
        self.files = processes.take(MOST_PROCESSES + 1).map(|name| proc.join(name).join("statm")).collect();
        self.age = Duration::ZERO;
    }

    /// Returns their resident memory in bytes. `None` where it cannot be had.
    fn used(&self) -> Option<u64> {
        if self.files.is_empty() || self.files.len() > MOST_PROCESSES {
            return None;
        }
        // A process that has ended uses nothing.
        let pages: u64 = self.files.iter().map(|file| resident_pages(file).unwrap_or_default()).sum();
        Some(pages.saturating_mul(PAGE))
    }
}

/// Reads the second field of a file like `900 100 7 1 0 2 0`.
fn resident_pages(statm: &Path) -> Option<u64> {
    // The first two fields have at most 20 digits each.
    let mut text = [0; 64];
    let length = File::open(statm).ok()?.read(&mut text).ok()?;
    std::str::from_utf8(text.get(..length)?).ok()?.split(' ').nth(1)?.parse().ok()
}

/// Returns how many processes the kernel has killed because the memory was full, since the kernel was started. In
/// Lambda each sandbox has a kernel of its own.
pub(super) fn oom_kills() -> Option<u64> {
    // Such a file tells no length, so the buffer has room for all of it from the start.
    let mut text = Vec::with_capacity(VMSTAT);
    File::open("/proc/vmstat").ok()?.take(VMSTAT as u64).read_to_end(&mut text).ok()?;
    counted(&text)
}

/// Reads the line like `oom_kill 3`. The other two hundred lines are not looked at one by one, which would take more
/// instructions than a sample.
fn counted(vmstat: &[u8]) -> Option<u64> {
    const NAME: &[u8] = b"\noom_kill ";
    let rest = vmstat.get(memmem::find(vmstat, NAME)? + NAME.len()..)?;
    let count = rest.split(|b| *b == b'\n').next()?;
    std::str::from_utf8(count).ok()?.trim().parse().ok()
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
        let mut processes = Processes::default();
        assert_eq!(processes.used(), None);
        processes.list(proc.path());
        assert_eq!(processes.used(), Some(150 * PAGE));
        for process in 100..200 {
            fs::create_dir(proc.path().join(process.to_string())).unwrap();
        }
        processes.list(proc.path());
        assert_eq!(processes.used(), None);
        processes.list(Path::new("/nonexistent"));
        assert_eq!(processes.used(), None);
    }

    #[test]
    fn processes_are_listed_for_each_sample_unless_samples_are_frequent() {
        let proc = tempfile::tempdir().unwrap();
        fs::create_dir(proc.path().join("1")).unwrap();
        let mut processes = Processes::default();
        let slow = Duration::from_millis(100);
        let often = Duration::from_millis(20);
        let mut listed = |pause| {
            let is_needed = !processes.are_listed_lately(pause);
            if is_needed {
                processes.list(proc.path());
            }
            is_needed
        };
        assert_eq!([slow, slow, slow].map(&mut listed), [true; 3]);
        assert_eq!([often; 10].map(&mut listed).iter().filter(|is_needed| **is_needed).count(), 2);
    }

    #[test]
    fn the_kernels_own_count() {
        assert_eq!(counted(b"numa_foreign 0\noom_kill 3\noom_kill_x 4\n"), Some(3));
        assert_eq!(counted(b"x 0\noom_kill 17"), Some(17));
        for odd in [&b"x 0\noom_kill many\n"[..], b"x 0\nno_oom_kill 3\n", b"x 0\noom_kill", b""] {
            assert_eq!(counted(odd), None);
        }
        assert!(oom_kills().is_some());
    }

    #[test]
    fn the_fuller_the_oftener() {
        let pauses = [0, 49, 50, 79, 80, 100, 300].map(|used| pause(used, 100).as_millis());
        assert_eq!(pauses, [500, 500, 100, 100, 20, 20, 20]);
    }
}
