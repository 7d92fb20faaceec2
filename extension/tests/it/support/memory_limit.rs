//! A limit of memory for a process and its children, by a control group of either version.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// A control group, which is removed when this is dropped.
pub struct MemoryLimit(PathBuf);

impl MemoryLimit {
    /// Puts a process, and all that it starts from now on, under a limit in bytes.
    pub fn of(pid: i32, bytes: u64) -> Self {
        let root = Path::new("/sys/fs/cgroup");
        let name = format!("sentry-extension-test-{pid}");
        let (folder, limits) = if root.join("memory").is_dir() {
            (root.join("memory").join(name), ["memory.limit_in_bytes", "memory.memsw.limit_in_bytes"])
        } else {
            (root.join(name), ["memory.max", "memory.swap.max"])
        };
        fs::create_dir(&folder)
            .unwrap_or_else(|error| panic!("no control group at {}: {error}", folder.display()));
        let limit = Self(folder);
        limit.write(limits[0], bytes);
        let swap = if limits[1] == "memory.swap.max" { 0 } else { bytes };
        if limit.0.join(limits[1]).exists() {
            limit.write(limits[1], swap);
        }
        limit.write("cgroup.procs", u64::try_from(pid).unwrap());
        limit
    }

    fn write(&self, name: &str, value: u64) {
        fs::write(self.0.join(name), value.to_string()).unwrap_or_else(|error| panic!("{name}: {error}"));
    }
}

impl Drop for MemoryLimit {
    fn drop(&mut self) {
        // A group that still has processes cannot be removed. Nothing depends on that.
        let _ = fs::remove_dir(&self.0);
    }
}
