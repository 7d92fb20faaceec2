//! Gives each test a network of its own.
//!
//! The extension's default port (5333) and RIE's ports are fixed, and other programs of this machine may use
//! them. So a test runs on a thread in a new network namespace. The stand-in for Sentry, RIE and the test's own
//! requests share its loopback interface. Nothing can leave the namespace, and tests can run concurrently.

use super::tools;
use nix::{sched, unistd::geteuid};
use std::{env, process::Command, thread};

/// Runs a test in a network namespace of its own. This needs root. Without it, the test starts itself again with
/// `sudo`.
pub fn isolated<T: Future<Output = ()>>(test: impl FnOnce() -> T + Send + 'static) {
    if !geteuid().is_root() {
        return through_sudo();
    }
    let network = move || {
        sched::unshare(sched::CloneFlags::CLONE_NEWNET)
            .expect("no network namespace (CAP_SYS_ADMIN is missing)");
        // The children of this thread and all threads of the runtime are in the namespace of this thread.
        let up = Command::new(tools::program("ip")).args(["link", "set", "lo", "up"]).status().unwrap();
        assert!(up.success(), "ip link set lo up: {up}");
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(test());
    };
    let name = thread::current().name().unwrap_or("isolated").to_owned();
    if let Err(panic) = thread::Builder::new().name(name).spawn(network).unwrap().join() {
        std::panic::resume_unwind(panic);
    }
}

fn through_sudo() {
    // The test runner names the thread after the test, unless it uses a single thread.
    let test = thread::current().name().filter(|name| *name != "main").map(str::to_owned);
    let test = test.expect("not root: run without --test-threads=1, or as root");
    let path = format!("PATH={}", env::var("PATH").unwrap_or_default());
    let again = Command::new("sudo")
        .args(["-n", "env", &path])
        .arg(env::current_exe().unwrap())
        .args(["--exact", &test, "--nocapture"])
        .output();
    match again {
        Ok(done) if done.status.success() => {}
        Ok(done) => panic!(
            "{test} by sudo: {}\n{}{}",
            done.status,
            String::from_utf8_lossy(&done.stdout),
            String::from_utf8_lossy(&done.stderr)
        ),
        Err(error) => panic!("namespaces take root, and there is no sudo ({error}): run ci/test as root"),
    }
}
