//! What a process takes of the function's memory.

use std::fs;

/// In bytes.
#[derive(Clone, Copy, Debug)]
pub struct Memory {
    /// Resident now.
    pub now: usize,
    /// Resident at most, so far.
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
