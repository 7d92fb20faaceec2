//! A network of each test's own.
//!
//! The extension's default ports (5333) and RIE's are fixed, and whoever runs the tests may use them. So a test runs
//! on a thread in a new network namespace: the stand-in for Sentry, RIE and the test's own requests share a loopback
//! interface that nobody else sees, nothing can get out, and tests run side by side.

use super::tools;
use nix::{sched, unistd::geteuid};
use std::{env, process::Command, thread};

/// Runs a test in a network namespace of its own. That takes root; without, the test runs itself again by `sudo`.
pub fn isolated<T: Future<Output = ()>>(test: impl FnOnce() -> T + Send + 'static) {
    if !geteuid().is_root() {
        return through_sudo();
    }
    let network = move || {
        sched::unshare(sched::CloneFlags::CLONE_NEWNET)
            .expect("no network namespace (CAP_SYS_ADMIN is missing)");
        // A child of this thread is in this thread's namespace, as is every thread of the runtime.
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
    // The test runner names the thread after the test, except where it has one thread only.
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
