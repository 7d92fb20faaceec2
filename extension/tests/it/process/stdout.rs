//! Tests a stdout that nobody reads. Deliveries, responses and Lambda's events must go on, and the log must say later
//! how many lines were lost.

use crate::support::{
    extension::BINARY,
    lambda_api::LambdaApi,
    netns::isolated,
    scripted_upstream::ScriptedUpstream,
    sdk::{KEY, SdkConnection, TUNNEL, error_of},
    tools,
};
use serde_json::Value;
use std::{
    fs,
    io::{BufRead, BufReader, Read},
    net::TcpListener,
    os::unix::fs::PermissionsExt,
    process::{Child, Command, Stdio},
    time::Duration,
};

const SECOND: Duration = Duration::from_secs(1);
/// The number of events. At `debug` each writes some 150 bytes. A pipe takes 64 KiB, and the extension keeps at most
/// 256 KiB more.
const EVENTS: usize = 4000;

/// Kills the extension when it is dropped, so that a failed test leaves no process.
struct KilledOnDrop(Child);

impl Drop for KilledOnDrop {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Starts the extension in Lambda with a stdout that is a pipe, which the test reads when it wants to.
fn start(api: &LambdaApi, dsn: &str) -> KilledOnDrop {
    let env =
        [("AWS_LAMBDA_RUNTIME_API", &*api.address()), ("SENTRY_DSN", dsn), ("SENTRY_EXTENSION_LOG", "debug")];
    let mut command = Command::new(BINARY);
    command.env_clear().envs(env).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    KilledOnDrop(command.spawn().unwrap())
}

/// Reports more errors than the log can take, and waits until they are delivered.
async fn report_more_than_the_log_takes(api: &LambdaApi, upstream: &ScriptedUpstream) {
    api.asked(1).await;
    api.invoke_as("flood", 60 * SECOND);
    let markers: Vec<String> = (0..EVENTS).map(|n| format!("flood {n}.")).collect();
    let mut sdk = SdkConnection::open(TUNNEL).await;
    for marker in &markers {
        let posted = tokio::time::timeout(10 * SECOND, sdk.post(error_of(marker, 100))).await;
        assert_eq!(posted.expect("no response: the log blocks"), 200);
    }
    upstream.wait_until_taken(&markers).await;
    api.asked(2).await;
}

async fn ended(mut running: KilledOnDrop) {
    let waited = tokio::task::spawn_blocking(move || running.0.wait().unwrap());
    let status = tokio::time::timeout(3 * SECOND, waited).await.expect("the log blocks the end").unwrap();
    assert!(status.success(), "{status}");
}

#[test]
fn that_is_never_read_stops_nothing() {
    isolated(|| async {
        let api = LambdaApi::start().await;
        let upstream = ScriptedUpstream::start(false).await;
        let mut running = start(&api, &upstream.dsn("127.0.0.1", KEY));
        let _unread = running.0.stdout.take().unwrap();
        report_more_than_the_log_takes(&api, &upstream).await;
        api.shutdown("spindown", 2 * SECOND);
        ended(running).await;
    });
}

#[test]
fn that_is_read_late_tells_how_many_lines_were_lost() {
    isolated(|| async {
        let api = LambdaApi::start().await;
        let upstream = ScriptedUpstream::start(false).await;
        let mut running = start(&api, &upstream.dsn("127.0.0.1", KEY));
        let stdout = running.0.stdout.take().unwrap();
        report_more_than_the_log_takes(&api, &upstream).await;
        let lines = tokio::task::spawn_blocking(move || {
            let lines = BufReader::new(stdout).lines().map(|line| line.unwrap());
            lines.map(|line| serde_json::from_str::<Value>(&line).expect(&line)).collect::<Vec<_>>()
        });
        api.shutdown("spindown", 2 * SECOND);
        ended(running).await;
        let lines = lines.await.unwrap();
        let lost = |line: &&Value| line["message"].as_str().unwrap().starts_with("log lines were lost");
        let lost: Vec<_> = lines.iter().filter(lost).collect();
        assert!(lost.iter().all(|line| line["level"] == "warn"), "{lost:?}");
        let lost: u64 = lost.iter().map(|line| line["lines"].as_u64().unwrap()).sum();
        let delivered = lines.iter().filter(|line| line["message"] == "delivered").count() as u64;
        assert!(lost > 0 && delivered > 0 && delivered < EVENTS as u64, "{lost} lost, {delivered} lines");
        assert!(lost + lines.len() as u64 > EVENTS as u64, "{lost} lost, {} lines", lines.len());
        // Lines of `debug` must leave room for the last line with the counts.
        assert!(lines.iter().any(|line| line["message"] == "envelopes"));
    });
}

#[test]
fn that_another_process_has_set_to_non_blocking_gets_whole_lines() {
    isolated(|| async {
        // The shell gives its stdout to a program that sets it to non-blocking, as Node does, and to the extension.
        let script = "import os, sys; os.set_blocking(1, False); os.execv(sys.argv[1], sys.argv[1:])";
        let api = LambdaApi::start().await;
        let upstream = ScriptedUpstream::start(false).await;
        let env = [
            ("AWS_LAMBDA_RUNTIME_API", &*api.address()),
            ("SENTRY_DSN", &*upstream.dsn("127.0.0.1", KEY)),
            ("SENTRY_EXTENSION_LOG", "debug"),
        ];
        let mut command = Command::new("/usr/bin/python3");
        command.args(["-c", script, BINARY]).env_clear().envs(env);
        let mut running = KilledOnDrop(command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap());
        let mut stdout = running.0.stdout.take().unwrap();
        report_more_than_the_log_takes(&api, &upstream).await;
        let text = tokio::task::spawn_blocking(move || {
            let mut text = String::new();
            stdout.read_to_string(&mut text).unwrap();
            text
        });
        api.shutdown("spindown", 2 * SECOND);
        ended(running).await;
        for line in text.await.unwrap().lines() {
            assert!(serde_json::from_str::<Value>(line).is_ok(), "a part of a line: {line}");
        }
    });
}

/// The thread that waits for signals is the second one. The limit is that of a user, and does not count for root.
#[test]
fn where_no_thread_can_be_started_the_last_lines_are_written() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let folder = tempfile::tempdir().unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let binary = folder.path().join("extension");
    fs::copy(BINARY, &binary).unwrap();
    // A user of its own, because another run of this test would count in the limit, too.
    let user = 100_000 + std::process::id();
    let output = Command::new(tools::program("prlimit"))
        .arg("--nproc=2")
        .arg(tools::program("setpriv"))
        .args([format!("--reuid={user}"), format!("--regid={user}"), "--clear-groups".to_owned()])
        .arg(binary)
        .args(["--standalone", "--listen", &address])
        .env_clear()
        .output()
        .unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(said.contains(&address), "{said}{}", String::from_utf8_lossy(&output.stderr));
}
