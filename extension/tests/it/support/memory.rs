//! Measures how much memory a process uses.

use std::fs;

/// The memory of a process, in bytes.
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
