//! Measures how much memory and CPU time a process uses.

use std::{fs, time::Duration};

/// The memory of a process, in bytes. The kernel adds both values up from counters that lag behind, so that a later
/// peak can be a little smaller.
#[derive(Clone, Copy, Debug)]
pub struct Memory {
    /// The resident memory now.
    pub now: usize,
    /// The peak of the resident memory so far.
    pub most: usize,
}

impl Memory {
    pub fn of(pid: u32) -> Self {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
        let field = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
            let kib = line.trim().trim_end_matches(" kB").parse::<usize>().unwrap();
            kib * 1024
        };
        Self { now: field("VmRSS:"), most: field("VmHWM:") }
    }
}

/// The CPU time that a process has taken so far.
pub fn cpu_time(pid: u32) -> Duration {
    // The time of each thread, in nanoseconds, is the first number of its `schedstat`.
    let threads = fs::read_dir(format!("/proc/{pid}/task")).unwrap();
    let nanoseconds = threads.map(|thread| {
        let stat = fs::read_to_string(thread.unwrap().path().join("schedstat")).unwrap_or_default();
        stat.split(' ').next().and_then(|first| first.parse::<u64>().ok()).unwrap_or_default()
    });
    Duration::from_nanos(nanoseconds.sum())
}

/// The number of threads of a process.
pub fn threads(pid: u32) -> usize {
    fs::read_dir(format!("/proc/{pid}/task")).unwrap().count()
}
