//! Tests signals that other processes of the environment may send. In Lambda none of them ends the extension. In
//! standalone mode some of them make it drain and end.

use crate::support::{
    HANG,
    extension::{BINARY, Extension},
    lambda_api::LambdaApi,
    layer::Layer,
    netns::isolated,
    scripted_upstream::ScriptedUpstream,
    sdk::{KEY, TUNNEL, report},
    tools,
};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use std::{
    fs,
    path::Path,
    time::{Duration, Instant},
};

const SECOND: Duration = Duration::from_secs(1);

const ENDING: [Signal; 17] = [
    Signal::SIGTERM,
    Signal::SIGINT,
    Signal::SIGHUP,
    Signal::SIGUSR1,
    Signal::SIGUSR2,
    Signal::SIGALRM,
    Signal::SIGQUIT,
    Signal::SIGVTALRM,
    Signal::SIGPROF,
    Signal::SIGIO,
    Signal::SIGPWR,
    Signal::SIGSTKFLT,
    Signal::SIGXCPU,
    Signal::SIGXFSZ,
    Signal::SIGPIPE,
    Signal::SIGTSTP,
    Signal::SIGTTIN,
];

fn send_all(to: u32) {
    for signal in ENDING {
        kill(Pid::from_raw(i32::try_from(to).unwrap()), signal).unwrap();
    }
}

#[test]
fn in_lambda_no_signal_ends_it() {
    isolated(|| async {
        let api = LambdaApi::start().await;
        let upstream = ScriptedUpstream::start(false).await;
        let dsn = upstream.dsn("127.0.0.1", KEY);
        let mut extension = Extension::in_lambda(&api, &[("SENTRY_DSN", &dsn)]);
        api.registration(1).await;
        send_all(extension.pid());
        api.asked(1).await;
        send_all(extension.pid());
        api.invoke();
        assert_eq!(report(TUNNEL, "signalled").await, 200);
        upstream.wait_until_taken(&["signalled".to_owned()]).await;
        api.asked(2).await;
        assert!(!extension.has_ended());
        api.shutdown("spindown", 2 * SECOND);
        assert_eq!(extension.final_counts().await, [1, 1, 0, 0]);
    });
}

#[test]
fn nor_where_it_cannot_even_start() {
    isolated(|| async {
        let api = LambdaApi::start().await;
        let address = api.address();
        let env = [("AWS_LAMBDA_RUNTIME_API", &*address), ("PATH", "/usr/bin:/bin")];
        // There are enough file descriptors for a socket, but not for the async runtime.
        let script = "ulimit -n 5; exec \"$0\"";
        let extension = Extension::start(tools::program("bash"), &["-c", script, BINARY], &env);
        api.asked(1).await;
        send_all(extension.pid());
        api.shutdown("spindown", 2 * SECOND);
        let (status, log) = extension.ended().await;
        assert!(status.success(), "{status}: {}", log.text());
    });
}

/// A program in the place of Sentry's Relay. It only writes which signals it was started with.
const WRITES_SIGNALS: &str = "#!/bin/sh
grep '^Sig[BI]' /proc/self/status >/tmp/FILE.part
mv /tmp/FILE.part /tmp/FILE
exec sleep 60
";

#[test]
fn sentrys_relay_gets_all_signals_as_they_are_by_default() {
    isolated(|| async {
        let file = format!("signals-of-relay-{}", std::process::id());
        let _layer = Layer::with(WRITES_SIGNALS.replace("FILE", &file).as_bytes(), 0o755);
        let file = Path::new("/tmp").join(file);
        let _ = fs::remove_file(&file);
        let api = LambdaApi::start().await;
        let dsn = format!("http://{KEY}@127.0.0.1:9/42");
        let extension = Extension::in_lambda(&api, &[("SENTRY_DSN", &dsn)]);
        api.asked(1).await;
        send_all(extension.pid());
        // Sentry's Relay starts with the first event that follows the init.
        api.invoke();
        let deadline = Instant::now() + HANG;
        while !file.exists() {
            assert!(Instant::now() < deadline, "Sentry's Relay was not started: {}", extension.log.text());
            tokio::time::sleep(SECOND / 100).await;
        }
        let signals = fs::read_to_string(&file).unwrap();
        fs::remove_file(&file).unwrap();
        // A shell lets its background jobs ignore SIGINT and SIGQUIT, and the tests may be such a job.
        let own = fs::read_to_string("/proc/self/status").unwrap();
        let ignored = own.lines().find_map(|line| line.strip_prefix("SigIgn:")).unwrap().trim();
        let inherited = u64::from_str_radix(ignored, 16).unwrap() & 0b110;
        for line in signals.lines() {
            let signals = u64::from_str_radix(line.split_whitespace().last().unwrap(), 16).unwrap();
            // The C library uses 32 and 33 itself. If a parent ignores them, its children inherit that.
            assert_eq!(signals & !(0b11 << 31) & !inherited, 0, "{line}");
        }
        assert_eq!(signals.lines().count(), 2, "{signals}");
        api.shutdown("spindown", 2 * SECOND);
        extension.final_counts().await;
    });
}

#[tokio::test]
async fn standalone_drains_at_sigterm_sigint_and_sighup() {
    for signal in [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP] {
        let upstream = ScriptedUpstream::start(false).await;
        let (extension, address) = Extension::standalone(&upstream.dsn("127.0.0.1", KEY), &[]).await;
        assert_eq!(report(address, "drained").await, 200);
        kill(Pid::from_raw(i32::try_from(extension.pid()).unwrap()), signal).unwrap();
        assert_eq!(extension.final_counts().await, [1, 1, 0, 0], "{signal}");
    }
}

#[tokio::test]
async fn under_nohup_it_stays_when_the_terminal_is_gone() {
    let script = "trap '' HUP; exec \"$0\" --standalone --listen 127.0.0.1:0";
    let extension = Extension::start(tools::program("bash"), &["-c", script, BINARY], &[]);
    extension.log.wait_for("\"listening\"").await;
    let pid = Pid::from_raw(i32::try_from(extension.pid()).unwrap());
    kill(pid, Signal::SIGHUP).unwrap();
    // If a signal had ended the process, the log would say so.
    extension.terminate();
    let (status, log) = extension.ended().await;
    assert!(status.success(), "{status}: {}", log.text());
}
