//! Tests what `--tail` prints: the real binary, with a pipe or a terminal as its stdout.

use crate::gateway::{auth, send};
use crate::support::{
    HANG,
    extension::{BINARY, SPOOL},
    log::Log,
    sdk::{error_of, item, post, report},
    sentry::{Reply, Sentry, Transport},
};
use hyper::Method;
use nix::{
    pty::openpty,
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde_json::{Value, json};
use std::{
    fs::File,
    io::Read,
    net::SocketAddr,
    process::{Child, Command, Output, Stdio},
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};
use tokio::{net::unix::pipe, task::JoinHandle};

/// The id in every envelope of the tests' SDK.
const ID: &str = "9ec79c33ec9942ab8353589fcb2e04dc";

/// A standalone extension, whose stdout the test has made. It is killed when it is dropped.
struct Tail {
    child: Child,
    address: SocketAddr,
    /// What it has logged.
    log: Log,
    stderr: JoinHandle<()>,
    _spool: tempfile::TempDir,
}

impl Drop for Tail {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Tail {
    async fn start(stdout: Stdio, upstream: &str, args: &[&str], env: &[(&str, &str)]) -> Self {
        let spool = tempfile::tempdir().unwrap();
        let (reader, writer) = std::io::pipe().unwrap();
        let child = Command::new(BINARY)
            .args(["--standalone", "--listen", "127.0.0.1:0", "--upstream", upstream, "--tail"])
            .args(args)
            .env_clear()
            .env(SPOOL, spool.path().join("spool"))
            .envs(env.iter().copied())
            .stdin(Stdio::null())
            .stdout(stdout)
            .stderr(writer)
            .spawn()
            .unwrap();
        let log = Log::new();
        let stderr = log.collect(pipe::Receiver::from_owned_fd(reader.into()).unwrap());
        let line: Value = serde_json::from_str(&log.wait_for("\"listening\"").await).unwrap();
        let address = line["addr"].as_str().unwrap().parse().unwrap();
        Self { child, address, log, stderr, _spool: spool }
    }

    /// Starts it with a pipe as its stdout, and collects the lines.
    async fn piped(upstream: &str, args: &[&str], env: &[(&str, &str)]) -> (Self, Log) {
        let (reader, writer) = std::io::pipe().unwrap();
        let lines = Log::new();
        lines.collect(pipe::Receiver::from_owned_fd(reader.into()).unwrap());
        (Self::start(writer.into(), upstream, args, env).await, lines)
    }

    /// Asks it to end, and waits until it has. Returns its last line of the log, with the counts.
    async fn end(mut self) -> Value {
        kill(Pid::from_raw(i32::try_from(self.child.id()).unwrap()), Signal::SIGTERM).unwrap();
        let ended = async {
            while self.child.try_wait().unwrap().is_none() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(HANG, ended).await.expect("it does not end");
        assert!(self.child.wait().unwrap().success());
        (&mut self.stderr).await.unwrap();
        serde_json::from_str(&self.log.wait_for("\"envelopes\"").await).unwrap()
    }
}

/// Answers the first requests with these, and all others with 200.
fn answers(sentry: &Sentry, replies: Vec<fn() -> Reply>) {
    let asked = AtomicUsize::new(0);
    sentry.respond_with(move |_| {
        replies.get(asked.fetch_add(1, Ordering::Relaxed)).map_or_else(Reply::ok, |reply| reply())
    });
}

fn forbidden() -> Reply {
    Reply::status(403).header("x-sentry-error", "bad key")
}

/// The columns of a line behind its time, with single spaces.
fn columns(line: &str) -> String {
    let (time, columns) = line.split_at(13);
    let digits = time.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect::<String>();
    assert_eq!(digits, "00:00:00.000 ", "{line}");
    columns.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[tokio::test]
async fn each_envelope_has_a_line_for_what_becomes_of_it() {
    let sentry = Sentry::start(Transport::Plain).await;
    answers(
        &sentry,
        vec![
            Reply::ok,
            || Reply::status(503),
            Reply::ok,
            || Reply::status(400).header("x-sentry-error", "no \"good\""),
            || Reply::status(429).header("x-sentry-rate-limits", "60:error:key"),
        ],
    );
    let (tail, lines) = Tail::piped(&sentry.url(), &[], &[]).await;
    let size = |body: &str| format!("{} B", body.len());
    // Each is sent when the fate of the one before is known, so that the order of the lines is known.
    let event = item("event", &json!({}));
    assert_eq!(post(tail.address, event.clone()).await, 200);
    lines.wait_for("delivered 200").await;
    let check_in = item("check_in", &json!({ "check_in_id": ID, "monitor_slug": "m", "status": "ok" }));
    assert_eq!(post(tail.address, check_in.clone()).await, 200);
    lines.wait_for_lines("delivered 200", 2).await;
    assert_eq!(post(tail.address, event.clone()).await, 200);
    lines.wait_for("rejected 400").await;
    assert_eq!(post(tail.address, event.clone()).await, 200);
    lines.wait_for("rejected 429").await;
    assert_eq!(post(tail.address, event.clone()).await, 429);
    assert_eq!(post(tail.address, "{}\nno\n".to_owned()).await, 400);
    let report = format!("{{}}\n{{\"type\":\"client_report\",\"length\":{}}}\n{{}}\n", 2);
    assert_eq!(post(tail.address, report.clone()).await, 200);
    lines.wait_for_lines("delivered 200", 3).await;
    let counts = tail.end().await;
    assert_eq!(counts["accepted"], 5);
    let said: Vec<String> = lines.text().lines().map(columns).collect();
    let said: Vec<&str> = said.iter().map(|line| line.split(" in ").next().unwrap()).collect();
    let of = |kind: &str, body: &str, end: &str| format!("{kind} 42 {} {ID} {end}", size(body));
    let expected = [
        of("event", &event, "accepted"),
        of("event", &event, "delivered 200"),
        of("check_in", &check_in, "accepted"),
        of("check_in", &check_in, "waits: 503"),
        of("check_in", &check_in, "delivered 200"),
        of("event", &event, "accepted"),
        of("event", &event, "rejected 400: no \"good\""),
        of("event", &event, "accepted"),
        of("event", &event, "rejected 429"),
        of("event", &event, "dropped: ratelimit_backoff"),
        "request - - - refused 400: invalid: invalid event envelope: invalid item header: expected ident at line 1 \
         column 2"
            .to_owned(),
        format!("client_report 42 {} - accepted", size(&report)),
        format!("client_report 42 {} - delivered 200", size(&report)),
    ];
    assert_eq!(said, expected);
    assert!(!lines.contains("\u{1b}"), "a pipe gets no colours");
}

#[tokio::test]
async fn what_is_lost_at_the_end_is_said_too() {
    let sentry = Sentry::start(Transport::Plain).await;
    sentry.respond_with(|_| Reply::status(503));
    // Two of them do not fit.
    let (tail, lines) = Tail::piped(&sentry.url(), &[], &[("SENTRY_EXTENSION_BUFFER", "256KiB")]).await;
    for marker in ["one", "two"] {
        assert_eq!(post(tail.address, error_of(marker, 150_000)).await, 200);
    }
    lines.wait_for("dropped: queue_overflow").await;
    lines.wait_for("waits: 503").await;
    let counts = tail.end().await;
    assert_eq!((&counts["accepted"], &counts["dropped"]), (&json!(2), &json!(2)));
    let last = lines.wait_for("dropped: upstream_error").await;
    assert!(last.contains("146.5 KiB"), "{last}");
}

#[tokio::test]
async fn json_has_the_same_in_fields_and_the_counts_of_the_log() {
    let sentry = Sentry::start(Transport::Plain).await;
    answers(&sentry, vec![Reply::ok, forbidden, || Reply::status(503)]);
    let (tail, lines) = Tail::piped(&sentry.url(), &["--json"], &[]).await;
    for (marker, fate) in [("one", "\"delivered\""), ("two", "\"rejected\""), ("three", "\"waits\"")] {
        assert_eq!(report(tail.address, marker).await, 200);
        lines.wait_for(fate).await;
    }
    lines.wait_for_lines("\"delivered\"", 2).await;
    let head = [("x-sentry-auth", &*auth())];
    send(tail.address, Method::POST, "/api/x/envelope/", &head, "{}").await;
    let counts = tail.end().await;
    let lines: Vec<Value> =
        lines.text().lines().map(|line| serde_json::from_str(line).expect(line)).collect();
    let with = |word: &str| lines.iter().filter(|line| line["message"] == word).collect::<Vec<_>>();
    for word in ["accepted", "delivered", "rejected", "dropped", "refused"] {
        assert_eq!(with(word).len() as u64, counts[word].as_u64().unwrap(), "{word}: {lines:#?}");
    }
    let mut delivered = with("delivered")[0].clone();
    let fields = delivered.as_object_mut().unwrap();
    assert!(fields.remove("ts").unwrap().is_f64() && fields.remove("ms").unwrap().is_u64());
    let bytes = error_of("one", 2000).len();
    let expected = json!({ "level": "info", "message": "delivered", "kind": "event", "project": 42, "bytes": bytes,
        "id": ID, "status": 200 });
    assert_eq!(delivered, expected);
    assert_eq!((&with("rejected")[0]["status"], &with("waits")[0]["why"]), (&json!(403), &json!("503")));
    assert_eq!(with("refused")[0]["reason"], "invalid");
}

/// Starts it with a terminal as its stdout, sends an envelope, and returns all that the terminal has shown.
async fn on_a_terminal(args: &[&str], env: &[(&str, &str)]) -> String {
    let sentry = Sentry::start(Transport::Plain).await;
    sentry.respond_with(|_| forbidden());
    let terminal = openpty(None, None).unwrap();
    let shown = tokio::task::spawn_blocking(move || {
        let (mut screen, mut bytes) = (File::from(terminal.master), Vec::new());
        // Linux ends a terminal whose programs have ended with an error.
        let _ = screen.read_to_end(&mut bytes);
        String::from_utf8(bytes).unwrap()
    });
    let tail = Tail::start(terminal.slave.into(), &sentry.url(), args, env).await;
    assert_eq!(report(tail.address, "one").await, 200);
    sentry.wait_for("the event", |one| one.envelope.item("event").is_some()).await;
    tail.end().await;
    shown.await.unwrap()
}

#[tokio::test]
async fn a_terminal_gets_colours_unless_they_are_not_wanted() {
    let shown = on_a_terminal(&[], &[("TERM", "xterm")]).await;
    assert!(shown.contains("\u{1b}[36maccepted\u{1b}[0m"), "{shown:?}");
    assert!(shown.contains("\u{1b}[31mrejected 403: bad key\u{1b}[0m"), "{shown:?}");
    assert!(!on_a_terminal(&[], &[("TERM", "xterm"), ("NO_COLOR", "1")]).await.contains('\u{1b}'));
    assert!(!on_a_terminal(&[], &[("TERM", "dumb")]).await.contains('\u{1b}'));
    let shown = on_a_terminal(&["--json"], &[("TERM", "xterm")]).await;
    assert!(shown.lines().all(|line| serde_json::from_str::<Value>(line).is_ok()), "{shown:?}");
}

/// The number of envelopes whose lines are more than the pipe and the buffers hold, 64 KiB and 256 KiB.
const FLOOD: usize = 3000;

async fn flood(tail: &Tail) {
    let mut sdk = crate::support::sdk::SdkConnection::open(tail.address).await;
    for number in 0..FLOOD {
        let posted = tokio::time::timeout(HANG, sdk.post(error_of(&format!("{number}."), 100))).await;
        assert_eq!(posted.expect("no response: stdout blocks"), 200);
    }
}

#[tokio::test]
async fn a_reader_that_stops_reading_stops_nothing_and_learns_what_it_missed() {
    let sentry = Sentry::start(Transport::Plain).await;
    let (reader, writer) = std::io::pipe().unwrap();
    let tail = Tail::start(writer.into(), &sentry.url(), &[], &[]).await;
    flood(&tail).await;
    let newest = format!("{}.", FLOOD - 1);
    sentry
        .wait_for("the newest", |one| {
            one.envelope.item("event").is_some_and(|event| event.json()["marker"] == newest)
        })
        .await;
    // Now it is read again.
    let lines = Log::new();
    let reading = lines.collect(pipe::Receiver::from_owned_fd(reader.into()).unwrap());
    lines.wait_for("lines were lost here").await;
    let counts = tail.end().await;
    reading.await.unwrap();
    assert_eq!((&counts["delivered"], &counts["dropped"]), (&json!(FLOOD), &json!(0)));
    let text = lines.text();
    let lost = text.lines().filter_map(|line| line.split_once(" lines were lost here"));
    let lost: usize = lost.map(|(count, _)| count.parse::<usize>().unwrap()).sum();
    let told = text.lines().filter(|line| line.contains(ID)).count();
    assert!(lost > 0 && told > 0, "{lost} lost, {told} told");
    assert_eq!(lost + told, 2 * FLOOD, "each line was told or counted");
}

#[tokio::test]
async fn a_reader_that_never_reads_or_is_gone_does_not_keep_it_from_ending() {
    let sentry = Sentry::start(Transport::Plain).await;
    for is_gone in [false, true] {
        let (reader, writer) = std::io::pipe().unwrap();
        let tail = Tail::start(writer.into(), &sentry.url(), &[], &[]).await;
        let kept = Some(reader).filter(|_| !is_gone);
        flood(&tail).await;
        assert_eq!(tail.end().await["delivered"], FLOOD);
        drop(kept);
    }
}

fn run(args: &[&str], env: &[(&str, &str)]) -> Output {
    Command::new(BINARY).env_clear().envs(env.iter().copied()).args(args).output().unwrap()
}

#[test]
fn what_does_not_belong_together_is_refused_in_clear_words() {
    let in_lambda = [("AWS_LAMBDA_RUNTIME_API", "127.0.0.1:1")];
    for (args, env, words) in [
        (&["--tail"][..], &[][..], "--tail needs --standalone"),
        (&["--tail"], &in_lambda, "SENTRY_EXTENSION_LOG=debug"),
        (&["--standalone", "--json"], &[], "--json needs --tail"),
        (&["--json"], &[], "--json needs --tail"),
        (&["--standalone", "--tail=yes"], &[], "unknown argument"),
    ] {
        let output = run(args, env);
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{args:?}: {said}");
        assert!(said.contains(words), "{args:?}: {said}");
    }
    let help = String::from_utf8(run(&["--help"], &[]).stdout).unwrap();
    assert!(help.contains("--tail ") && help.contains("--json "), "{help}");
}
