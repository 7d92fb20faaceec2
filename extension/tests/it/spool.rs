//! Tests faults that were not delivered in time: one process of an environment spools them, and the next one sends
//! them.

use crate::support::{
    HANG,
    extension::{BINARY, Extension, SPOOL},
    function::Function,
    lambda_api::{LambdaApi, Subscription},
    netns::isolated,
    rie::Rie,
    sdk::KEY,
    sentry::{Gate, Received, Reply, Sentry, Transport},
    tools::Arch,
};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};
use tempfile::TempDir;

const SECOND: Duration = Duration::from_secs(1);
const ID: &str = "9ec79c33ec9942ab8353589fcb2e04dc";
/// The time of the fault. Sentry has to show this time, no matter when the fault arrives.
const TIMESTAMP: f64 = 1_795_600_803.421;

/// An environment. Its folder for spooled faults outlives the processes in it.
struct Environment {
    sentry: Sentry,
    around: TempDir,
}

impl Environment {
    async fn new(transport: Transport) -> Self {
        Self { sentry: Sentry::start(transport).await, around: tempfile::tempdir().unwrap() }
    }

    fn folder(&self) -> PathBuf {
        self.around.path().join("spool")
    }

    /// Writes a spooled fault as an earlier process would have done.
    fn spool(&self, id: &str, since: &str) -> PathBuf {
        let folder = self.folder();
        fs::create_dir_all(&folder).unwrap();
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o700)).unwrap();
        let event = json!({ "event_id": id, "timestamp": TIMESTAMP, "level": "fatal" }).to_string();
        let body = format!(
            "{{\"event_id\":\"{id}\",\"sent_at\":\"{since}\"}}\n{{\"type\":\"event\",\"length\":{}}}\n{event}\n",
            event.len()
        );
        let upstream = self.sentry.url();
        let length = body.len();
        let head =
            format!("sentry-lambda-extension spool 1\t{since}\t{id}\t{upstream}\t42\t{KEY}\t{length}\n");
        let file = folder.join(format!("{id}.fault"));
        fs::write(&file, head + &body).unwrap();
        file
    }

    fn spooled(&self) -> Vec<String> {
        let listed = fs::read_dir(self.folder()).into_iter().flatten();
        listed.map(|listed| listed.unwrap().file_name().into_string().unwrap()).collect()
    }

    /// Waits until nothing is spooled. A fault is removed after Sentry's response has arrived, and no event tells when.
    async fn emptied(&self) {
        let emptied = async {
            while !self.spooled().is_empty() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(HANG, emptied).await.expect("a fault that has left stays spooled");
    }

    /// Starts the next process of the environment, and waits until it asks for its first event.
    async fn process(&self, settings: &[(&str, &str)]) -> (LambdaApi, Extension) {
        let api = LambdaApi::start().await;
        let extension = self.start(&api, settings);
        api.asked(1).await;
        (api, extension)
    }

    fn start(&self, api: &LambdaApi, settings: &[(&str, &str)]) -> Extension {
        let (dsn, folder) = (self.sentry.dsn(KEY, "42"), self.folder());
        let env = [("SENTRY_DSN", &*dsn), (SPOOL, folder.to_str().unwrap())];
        Extension::in_lambda(api, &[&env, settings].concat())
    }

    async fn fault(&self) -> Arc<Received> {
        self.sentry.wait_for("fault", |one| id_of(one) == ID && one.status == Some(200)).await
    }
}

fn id_of(received: &Received) -> String {
    received.envelope.header["event_id"].as_str().unwrap_or_default().to_owned()
}

fn now() -> String {
    minutes_ago(0)
}

/// Returns a time in the past as RFC 3339. The program `date` writes it, so the test shares no code with the extension.
fn minutes_ago(minutes: u32) -> String {
    let mut date = std::process::Command::new("date");
    let date = date.args(["-u", "+%Y-%m-%dT%H:%M:%S.000Z", "-d", &format!("{minutes} minutes ago")]);
    String::from_utf8(date.output().unwrap().stdout).unwrap().trim().to_owned()
}

/// Waits for the end, and returns the last line of the log. Its counts must balance.
async fn final_counts(extension: Extension) -> Value {
    let (status, log) = extension.ended().await;
    assert!(status.success(), "{status}:\n{}", log.text());
    let counts: Value = serde_json::from_str(&log.wait_for("\"message\":\"envelopes\"").await).unwrap();
    let count = |name: &str| counts[name].as_u64().unwrap();
    let accounted = count("delivered") + count("rejected") + count("spooled") + count("dropped");
    assert_eq!(count("accepted"), accounted, "{counts}");
    counts
}

#[test]
fn a_spooled_fault_is_sent_once_with_its_own_time() {
    isolated(|| async {
        let environment = Environment::new(Transport::Plain).await;
        environment.spool(ID, &minutes_ago(180));
        let (api, extension) = environment.process(&[]).await;
        let fault = environment.fault().await;
        let event = fault.envelope.item("event").unwrap().json();
        assert_eq!(event["timestamp"].as_f64(), Some(TIMESTAMP));
        let sent_at = fault.envelope.header["sent_at"].as_str().unwrap();
        assert!(sent_at > &*minutes_ago(2), "Sentry would shift the fault's time: {sent_at}");
        assert_eq!((&*fault.key, &*fault.project), (KEY, "42"));
        environment.emptied().await;
        extension.log.wait_for(ID).await;
        api.shutdown("spindown", 2 * SECOND);
        let counts = final_counts(extension).await;
        assert_eq!((&counts["accepted"], &counts["delivered"]), (&json!(1), &json!(1)));

        let (api, extension) = environment.process(&[]).await;
        api.shutdown("spindown", 2 * SECOND);
        assert_eq!(final_counts(extension).await["accepted"], 0);
        assert_eq!(environment.sentry.received().len(), 1);
        assert_eq!(environment.sentry.violations(), Vec::<String>::new());
    });
}

#[test]
fn nothing_is_sent_before_the_first_next() {
    isolated(|| async {
        let environment = Environment::new(Transport::Plain).await;
        environment.spool(ID, &now());
        let sent = Arc::new(OnceLock::new());
        environment.sentry.respond_with({
            let sent = Arc::clone(&sent);
            move |_| {
                sent.get_or_init(Instant::now);
                Reply::ok()
            }
        });
        let api = LambdaApi::start().await;
        // Init lasts for as long as the extension waits for Lambda's response to the subscription.
        api.telemetry(Subscription::Silence);
        let extension = environment.start(&api, &[]);
        let asked = api.asked(1).await;
        environment.fault().await;
        assert!(sent.get().is_some_and(|sent| *sent > asked), "{}", extension.log.text());
    });
}

#[test]
fn what_cannot_leave_by_the_deadline_is_spooled_until_a_process_delivers_it() {
    for transport in [Transport::Plain, Transport::Tls] {
        isolated(move || async move {
            let environment = Environment::new(transport).await;
            let ca = match transport {
                Transport::Tls => environment.sentry.ca_file().to_str().unwrap().to_owned(),
                Transport::Plain => String::new(),
            };
            let settings = [("SENTRY_EXTENSION_CA_BUNDLE", &*ca)];
            environment.sentry.respond_with(|_| Reply::status(503));
            let since = minutes_ago(90);
            environment.spool(ID, &since);
            for _ in 0..2 {
                let (api, extension) = environment.process(&settings).await;
                extension.log.wait_for("an earlier process has spooled").await;
                api.shutdown("spindown", SECOND);
                let log = extension.log.clone();
                let counts = final_counts(extension).await;
                assert_eq!((&counts["spooled"], &counts["dropped"]), (&json!(1), &json!(0)), "{counts}");
                let line = log.wait_for("spooled for the next process").await;
                assert!(line.contains(ID), "{line}");
                assert_eq!(environment.spooled(), [format!("{ID}.fault")]);
                let file = fs::read_to_string(environment.folder().join(format!("{ID}.fault"))).unwrap();
                assert!(file.contains(&since[..19]), "it does not get younger: {file}");
            }
            environment.sentry.respond_with(|_| Reply::ok());
            let (api, extension) = environment.process(&settings).await;
            environment.fault().await;
            api.shutdown("spindown", 2 * SECOND);
            assert_eq!(final_counts(extension).await["delivered"], 1);
            assert!(environment.spooled().is_empty());
            let taken = environment.sentry.received().iter().filter(|one| one.status == Some(200)).count();
            assert_eq!(taken, 1);
        });
    }
}

/// Tests the whole way: the function times out, upstream is down, and the next process delivers the fault.
#[test]
fn a_time_out_while_sentry_is_down_reaches_it_from_the_next_process() {
    isolated(|| async {
        let environment = Environment::new(Transport::Plain).await;
        environment.sentry.respond_with(|_| Reply::close());
        let (api, extension) = environment.process(&[]).await;
        api.invoke_as("r-1", SECOND);
        api.asked(2).await;
        api.shutdown("timeout", SECOND);
        let log = extension.log.clone();
        let counts = final_counts(extension).await;
        assert_eq!((&counts["accepted"], &counts["spooled"]), (&json!(1), &json!(1)), "{}", log.text());
        let line: Value = serde_json::from_str(&log.wait_for("spooled for the next").await).unwrap();
        let [file] = &environment.spooled()[..] else { panic!("{:?}", environment.spooled()) };
        assert_eq!(*file, format!("{}.fault", line["event_id"].as_str().unwrap()));

        environment.sentry.respond_with(|_| Reply::ok());
        let since = environment.sentry.received().len();
        let (api, extension) = environment.process(&[]).await;
        let is_taken = |one: &Received| one.status == Some(200);
        let fault = environment.sentry.wait_for("the fault", is_taken).await;
        let event = fault.envelope.item("event").unwrap().json();
        assert_eq!(event["exception"]["values"][0]["type"], "Lambda.Timeout");
        assert_eq!(event["event_id"], line["event_id"]);
        let happened = event["timestamp"].as_f64().unwrap();
        assert!(happened < line["ts"].as_f64().unwrap(), "{event}");
        api.shutdown("spindown", 2 * SECOND);
        assert_eq!(final_counts(extension).await["delivered"], 1);
        assert_eq!(environment.sentry.received().len(), since + 1, "once");
        assert!(environment.spooled().is_empty());
    });
}

/// Tests the same under AWS's emulator, which ends the processes of an environment and starts others in it.
#[test]
fn an_emulated_environment_sends_it_from_its_next_process() {
    isolated(|| async {
        let sentry = Sentry::start(Transport::Tls).await;
        sentry.respond_with(|_| Reply::status(503));
        let function = Function::python("python-faults", "test").env("AWS_LAMBDA_FUNCTION_TIMEOUT", "5");
        let mut rie = Rie::start(Arch::NATIVE, function.reports_to(&sentry, KEY, "42")).await;
        rie.invoke_unchecked(&json!({ "end": "timeout" })).await;
        let line = rie.log.wait_for("spooled for the next process").await;
        let ended = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
        sentry.respond_with(|_| Reply::ok());
        rie.invoke_unchecked(&json!({ "end": "none" })).await;
        let is_taken = |one: &Received| one.status == Some(200);
        let fault = sentry.wait_for("the fault", is_taken).await;
        assert!(line.contains(&id_of(&fault)), "{line}");
        let event = fault.envelope.item("event").unwrap().json();
        assert_eq!(event["exception"]["values"][0]["type"], "Lambda.Timeout");
        assert!(event["timestamp"].as_f64().unwrap() < ended.as_secs_f64());
        rie.terminate();
        rie.ended().await;
        assert_eq!(sentry.received().iter().filter(|one| is_taken(one)).count(), 1, "once");
    });
}

#[test]
fn without_faults_the_spool_is_neither_read_nor_written() {
    isolated(|| async {
        let environment = Environment::new(Transport::Plain).await;
        let file = environment.spool(ID, &now());
        environment.sentry.respond_with(|_| Reply::status(503));
        let (api, extension) = environment.process(&[("SENTRY_EXTENSION_FAULTS", "false")]).await;
        api.invoke_as("r-1", SECOND);
        api.asked(2).await;
        api.shutdown("timeout", SECOND);
        assert_eq!(final_counts(extension).await["accepted"], 0);
        assert!(file.exists() && environment.spooled().len() == 1);
        assert!(environment.sentry.received().is_empty());
    });
}

#[test]
fn a_fault_older_than_a_day_is_not_sent() {
    isolated(|| async {
        let environment = Environment::new(Transport::Plain).await;
        environment.spool(ID, &minutes_ago(24 * 60 + 1));
        let (api, extension) = environment.process(&[]).await;
        extension.log.wait_for("too old").await;
        api.shutdown("spindown", 2 * SECOND);
        assert_eq!(final_counts(extension).await["accepted"], 0);
        assert!(environment.spooled().is_empty() && environment.sentry.received().is_empty());
    });
}

#[test]
fn two_extensions_at_once_send_each_fault_once() {
    isolated(|| async {
        let environment = Environment::new(Transport::Plain).await;
        let ids: Vec<String> = (1..=50).map(|at| format!("{at:032x}")).collect();
        for id in &ids {
            environment.spool(id, &now());
        }
        let processes = [environment.process(&[]).await, environment.process(&[]).await];
        let mut accepted = 0;
        for (api, extension) in processes {
            api.shutdown("spindown", 2 * SECOND);
            accepted += final_counts(extension).await["accepted"].as_u64().unwrap();
        }
        let mut arrived: Vec<String> = environment.sentry.received().iter().map(|one| id_of(one)).collect();
        arrived.sort();
        assert_eq!((arrived, accepted), (ids, 50));
    });
}

#[test]
fn an_upstream_that_the_settings_do_not_allow_gets_nothing() {
    isolated(|| async {
        let environment = Environment::new(Transport::Plain).await;
        environment.spool(ID, &now());
        let elsewhere = format!("https://{KEY}@sentry.example.invalid/42");
        let (api, extension) = environment.process(&[("SENTRY_DSN", &elsewhere)]).await;
        extension.log.wait_for("not allowed").await;
        api.shutdown("spindown", 2 * SECOND);
        assert_eq!(final_counts(extension).await["accepted"], 0);
        assert!(environment.sentry.received().is_empty());
    });
}

#[test]
fn a_process_that_is_killed_while_it_sends_loses_nothing() {
    isolated(|| async {
        let environment = Environment::new(Transport::Plain).await;
        let gate = Gate::closed();
        environment.sentry.respond_with({
            let gate = gate.clone();
            move |_| Reply::ok().held_by(&gate)
        });
        environment.spool(ID, &minutes_ago(90));
        for _ in 0..2 {
            let (_api, extension) = environment.process(&[]).await;
            extension.log.wait_for("an earlier process has spooled").await;
            kill(Pid::from_raw(extension.pid().cast_signed()), Signal::SIGKILL).unwrap();
            assert_eq!(extension.ended().await.0.signal(), Some(Signal::SIGKILL as i32));
            assert_eq!(environment.spooled(), [format!("{ID}.fault")]);
        }
        environment.sentry.respond_with(|_| Reply::ok());
        let (api, extension) = environment.process(&[]).await;
        environment.fault().await;
        api.shutdown("spindown", 2 * SECOND);
        assert_eq!(final_counts(extension).await["delivered"], 1);
        assert!(environment.spooled().is_empty());
    });
}

/// Tests what ends a fault without a delivery. The next process must not send it again.
#[test]
fn a_fault_that_sentry_refuses_or_limits_leaves_the_spool() {
    for status in [400, 429] {
        isolated(move || async move {
            let environment = Environment::new(Transport::Plain).await;
            environment.sentry.respond_with(move |_| {
                let limits = if status == 429 { "60:error:key" } else { "" };
                Reply::status(status).header("x-sentry-rate-limits", limits)
            });
            environment.spool(ID, &now());
            let (api, extension) = environment.process(&[]).await;
            environment.sentry.wait_for("the fault", |one| id_of(one) == ID).await;
            api.shutdown("spindown", 2 * SECOND);
            let counts = final_counts(extension).await;
            assert_eq!((&counts["accepted"], &counts["spooled"]), (&json!(1), &json!(0)), "{counts}");
            assert!(environment.spooled().is_empty(), "{status}");
        });
    }
}

/// Tests a full `/tmp` and a read-only one. A fault that cannot be written is counted as dropped, and nothing else
/// happens. What a read-only one contains is not sent, because each process would send it again.
#[test]
fn a_tmp_that_takes_nothing_costs_the_fault_alone() {
    for options in ["size=8k", "ro"] {
        isolated(move || async move {
            let environment = Environment::new(Transport::Plain).await;
            environment.sentry.respond_with(|_| Reply::status(503));
            environment.spool(ID, &now());
            let log = in_small_tmp(&environment, options).await;
            assert!(log.contains("cannot be spooled"), "{options}: {log}");
            assert!(log.contains("\"spooled\":0,\"dropped\":1"), "{options}: {log}");
            assert!(!environment.sentry.received().iter().any(|one| id_of(one) == ID), "{options}");
        });
    }
}

/// Runs a process whose function times out, and that can write nothing to its spool.
async fn in_small_tmp(environment: &Environment, options: &str) -> String {
    let api = LambdaApi::start().await;
    let script = r#"
        cp -p "$SPOOL"/*.fault "$AROUND"
        mount -t tmpfs -o mode=700,size=8k tmpfs "$SPOOL"
        if [ "$OPTIONS" = ro ]; then
          mv "$AROUND"/*.fault "$SPOOL"
          mount -o remount,ro "$SPOOL"
        else
          dd if=/dev/zero of="$SPOOL/filling" bs=4k count=2 status=none || true
        fi
        exec "$BINARY""#;
    let (dsn, folder, api_address) = (environment.sentry.dsn(KEY, "42"), environment.folder(), api.address());
    let env = [
        ("SENTRY_DSN", &*dsn),
        (SPOOL, folder.to_str().unwrap()),
        ("AWS_LAMBDA_RUNTIME_API", &api_address),
        ("SPOOL", folder.to_str().unwrap()),
        ("AROUND", environment.around.path().to_str().unwrap()),
        ("BINARY", BINARY),
        ("OPTIONS", options),
        ("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"),
    ];
    let args = ["--mount", "--propagation", "private", "sh", "-c", script];
    let process = Extension::start(Path::new("/usr/bin/unshare"), &args, &env);
    api.asked(1).await;
    api.invoke_as("r-1", SECOND);
    api.asked(2).await;
    api.shutdown("timeout", SECOND);
    let (status, log) = process.ended().await;
    assert!(status.success(), "{status}: {}", log.text());
    log.text()
}
