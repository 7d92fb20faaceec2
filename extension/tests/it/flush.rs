//! When `/next` waits, seen from Lambda: what is delivered by then, and what it costs.

use crate::support::{
    extension::{BINARY, Extension},
    http,
    lambda_api::{LambdaApi, Subscription},
    netns::isolated,
    sentry::{Gate, Received, Reply, Sentry, Transport},
};
use hyper::Method;
use serde_json::json;
use std::{
    net::{Ipv4Addr, SocketAddr},
    path::Path,
    time::{Duration, Instant},
};

const KEY: &str = "5b0ff8a1e2c94d7fb7a3c1d2e4f60718";
const SECOND: Duration = Duration::from_secs(1);
const TUNNEL: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 9000);
/// What a prompt answer may take on a busy machine.
const PROMPT: Duration = Duration::from_millis(100);
/// Long enough to tell a hold from slowness.
const HELD: Duration = Duration::from_millis(300);

/// The function's environment: Lambda, Sentry and the extension.
struct Environment {
    api: LambdaApi,
    sentry: Sentry,
    extension: Extension,
    invocations: usize,
    deadline: Duration,
}

impl Environment {
    async fn start(flush: &str, telemetry: Subscription) -> Self {
        Self::start_with(flush, telemetry, &[]).await
    }

    async fn start_with(flush: &str, telemetry: Subscription, settings: &[(&str, &str)]) -> Self {
        let api = LambdaApi::start().await;
        api.telemetry(telemetry);
        let sentry = Sentry::start(Transport::Plain).await;
        let dsn = sentry.dsn(KEY, "42");
        let env =
            [("SENTRY_DSN", &*dsn), ("SENTRY_EXTENSION_FLUSH", flush), ("SENTRY_EXTENSION_LOG", "debug")];
        let extension = Extension::in_lambda(&api, &[&env, settings].concat());
        api.asked(1).await;
        Self { api, sentry, extension, invocations: 0, deadline: Duration::from_secs(3) }
    }

    /// Begins an invocation.
    fn invoke(&mut self) -> String {
        self.invocations += 1;
        let request = format!("request-{}", self.invocations);
        self.api.invoke_as(&request, self.deadline);
        request
    }

    /// Begins an invocation, of which Lambda tells.
    async fn run(&mut self) -> String {
        let request = self.invoke();
        self.api.started(&request).await;
        request
    }

    /// When the extension was through with the latest invocation.
    async fn released(&self) -> Instant {
        self.api.asked(self.invocations + 1).await
    }

    fn is_held(&self) -> bool {
        self.api.asked_so_far() <= self.invocations
    }

    async fn stays_held(&self) {
        tokio::time::sleep(HELD).await;
        assert!(self.is_held(), "not held:\n{}", self.extension.log.text());
    }

    async fn finish(self, books: [u64; 4]) {
        self.api.shutdown("spindown", 2 * SECOND);
        let log = self.extension.log.clone();
        assert_eq!(self.extension.books(3 * SECOND).await, books, "{}", log.text());
        assert!(self.api.violations().is_empty(), "{:?}", self.api.violations());
    }
}

async fn report(message: &str) {
    let event = json!({ "message": message }).to_string();
    let body = format!("{{}}\n{{\"type\":\"event\",\"length\":{}}}\n{event}\n", event.len());
    let auth = [("x-sentry-auth", &*format!("Sentry sentry_key={KEY}, sentry_version=7"))];
    let (status, _) = http::request(TUNNEL, Method::POST, "/api/42/envelope/", &auth, body).await.unwrap();
    assert_eq!(status, 200);
}

fn says(message: &str) -> impl Fn(&Received) -> bool + '_ {
    move |one| one.envelope.item("event").is_some_and(|event| event.json()["message"] == message)
}

#[test]
fn the_subscription_is_lambdas_own_affair_and_comes_before_next() {
    isolated(|| async {
        let environment = Environment::start("auto", Subscription::Accepted).await;
        let subscribed = environment.api.subscribed().await;
        assert_eq!(subscribed["schemaVersion"], "2022-12-13");
        assert_eq!(subscribed["types"], json!(["platform"]));
        assert_eq!(
            subscribed["buffering"],
            json!({ "timeoutMs": 25, "maxItems": 1000, "maxBytes": 262_144 })
        );
        assert_eq!(subscribed["destination"]["protocol"], "HTTP");
        environment.finish([0; 4]).await;
    });
}

#[test]
fn end_holds_until_the_function_is_done_and_all_is_delivered() {
    isolated(|| async {
        for mode in ["end", "auto"] {
            let mut environment = Environment::start(mode, Subscription::Accepted).await;
            let gate = Gate::closed();
            let held = gate.clone();
            environment.sentry.respond_with(move |_| Reply::ok().held_by(&held));
            let request = environment.run().await;
            environment.stays_held().await;
            report("at the end").await;
            environment.api.done(&request).await;
            environment.stays_held().await;
            gate.open();
            let delivered = environment.sentry.wait_for("the event", SECOND, says("at the end")).await;
            assert_eq!(delivered.status, Some(200));
            let opened = Instant::now();
            assert!(environment.released().await.saturating_duration_since(opened) < PROMPT);
            environment.finish([1, 1, 0, 0]).await;
        }
    });
}

#[test]
fn with_nothing_to_deliver_next_follows_the_functions_end_at_once() {
    isolated(|| async {
        let mut environment = Environment::start("end", Subscription::Accepted).await;
        let mut waits = Vec::new();
        for _ in 0..20 {
            let request = environment.run().await;
            let done = Instant::now();
            environment.api.done(&request).await;
            waits.push(environment.released().await.saturating_duration_since(done));
        }
        waits.sort();
        println!(
            "figure: runtimeDone → /next, end, nothing to deliver: median {:?}, worst {:?}",
            waits[10], waits[19]
        );
        assert!(waits[10] < PROMPT, "{waits:?}");
        environment.finish([0; 4]).await;
    });
}

#[test]
fn continuous_holds_nothing() {
    isolated(|| async {
        let mut environment = Environment::start("continuous", Subscription::Accepted).await;
        let gate = Gate::closed();
        let held = gate.clone();
        environment.sentry.respond_with(move |_| Reply::ok().held_by(&held));
        report("left over").await;
        let mut waits = Vec::new();
        for _ in 0..20 {
            let invoked = Instant::now();
            environment.invoke();
            waits.push(environment.released().await.saturating_duration_since(invoked));
        }
        waits.sort();
        println!("figure: INVOKE → /next, continuous: median {:?}, worst {:?}", waits[10], waits[19]);
        assert!(waits[10] < PROMPT, "{waits:?}");
        gate.open();
        environment.sentry.wait_for("the event", 5 * SECOND, says("left over")).await;
        environment.finish([1, 1, 0, 0]).await;
    });
}

#[test]
fn auto_lets_dense_traffic_go_and_holds_it_for_what_is_old() {
    isolated(|| async {
        let slow = [("SENTRY_EXTENSION_TIMEOUT", "30s")];
        let mut environment = Environment::start_with("auto", Subscription::Accepted, &slow).await;
        // The first invocations could be the only ones.
        for _ in 0..8 {
            let request = environment.run().await;
            assert!(environment.is_held());
            environment.api.done(&request).await;
            environment.released().await;
        }
        let mut waits = Vec::new();
        for _ in 0..20 {
            let invoked = Instant::now();
            environment.invoke();
            waits.push(environment.released().await.saturating_duration_since(invoked));
        }
        waits.sort();
        println!("figure: INVOKE → /next, auto, dense: median {:?}, worst {:?}", waits[10], waits[19]);
        let gate = Gate::closed();
        let held = gate.clone();
        environment.sentry.respond_with(move |_| Reply::ok().held_by(&held));
        report("slow").await;
        environment.invoke();
        environment.released().await;
        // What waits becomes as old as the bound says.
        tokio::time::sleep(Duration::from_millis(1050)).await;
        environment.invoke();
        environment.stays_held().await;
        gate.open();
        environment.released().await;
        environment.invoke();
        assert!(environment.released().await.elapsed() < PROMPT);
        environment.finish([1, 1, 0, 0]).await;
    });
}

#[test]
fn no_hold_goes_past_the_budget() {
    isolated(|| async {
        // Sentry takes for ever, and the function nearly so.
        let mut environment = Environment::start("end", Subscription::Accepted).await;
        environment.sentry.respond_with(|_| Reply::ok().held_by(&Gate::closed()));
        environment.deadline = Duration::from_millis(800);
        let invoked = Instant::now();
        let request = environment.run().await;
        report("never").await;
        environment.api.done(&request).await;
        let waited = environment.released().await.saturating_duration_since(invoked);
        assert!((500..800).contains(&waited.as_millis()), "{waited:?}");
        println!("figure: hold with a hanging upstream, deadline 800 ms: {waited:?}");

        // The function itself runs into its time-out.
        let invoked = Instant::now();
        environment.run().await;
        let waited = environment.released().await.saturating_duration_since(invoked);
        assert!((500..800).contains(&waited.as_millis()), "{waited:?}");

        // No time at all.
        environment.deadline = Duration::ZERO;
        let invoked = Instant::now();
        environment.run().await;
        assert!(environment.released().await.saturating_duration_since(invoked) < PROMPT);
        environment.api.shutdown("spindown", SECOND);
        assert_eq!(environment.extension.books(2 * SECOND).await, [1, 0, 0, 1]);
    });
}

#[test]
fn an_outage_holds_one_invocation_and_no_other() {
    isolated(|| async {
        let mut environment = Environment::start("end", Subscription::Accepted).await;
        let gate = Gate::closed();
        let held = gate.clone();
        environment.deadline = 10 * SECOND;
        environment.sentry.respond_with(move |_| Reply::status(503).held_by(&held));
        let request = environment.run().await;
        report("during the outage").await;
        environment.api.done(&request).await;
        environment.stays_held().await;
        gate.open();
        environment.released().await;
        let mut waits = Vec::new();
        for _ in 0..20 {
            let invoked = Instant::now();
            environment.invoke();
            report("during the outage").await;
            waits.push(environment.released().await.saturating_duration_since(invoked));
        }
        waits.sort();
        println!("figure: INVOKE → /next in an outage: median {:?}, worst {:?}", waits[10], waits[19]);
        // Each of them: telemetry that is waited for once would hide in the median.
        assert!(waits[19] < 2 * PROMPT, "{waits:?}");
        environment.sentry.respond_with(|_| Reply::ok());
        environment.sentry.wait_for("the end of the outage", 8 * SECOND, |one| one.status == Some(200)).await;
        environment.finish([21, 21, 0, 0]).await;
    });
}

#[test]
fn where_telemetry_is_not_supported_nothing_waits_for_it() {
    isolated(|| async {
        for status in [202, 400, 403, 404, 500] {
            for mode in ["auto", "end"] {
                let mut environment = Environment::start(mode, Subscription::Status(status)).await;
                let invoked = Instant::now();
                environment.invoke();
                let waited = environment.released().await.saturating_duration_since(invoked);
                assert!(waited < PROMPT, "{status}, {mode}: {waited:?}");
                environment.extension.log.wait_for("no telemetry", SECOND).await;
                let nobody = environment.api.destination().await;
                assert!(tokio::net::TcpStream::connect(nobody).await.is_err(), "{status}: still listening");
                environment.finish([0; 4]).await;
            }
        }
    });
}

#[test]
fn without_telemetry_leftovers_hold_shortly() {
    isolated(|| async {
        let mut environment = Environment::start("end", Subscription::Status(202)).await;
        environment.sentry.respond_with(|_| Reply::ok().held_by(&Gate::closed()));
        report("left over").await;
        let invoked = Instant::now();
        environment.invoke();
        let waited = environment.released().await.saturating_duration_since(invoked);
        assert!((400..800).contains(&waited.as_millis()), "{waited:?}");
        environment.api.shutdown("spindown", SECOND);
        assert_eq!(environment.extension.books(2 * SECOND).await, [1, 0, 0, 1]);
    });
}

#[test]
fn a_subscription_that_nobody_answers_costs_no_more_than_its_bound() {
    isolated(|| async {
        let started = Instant::now();
        let mut environment = Environment::start("end", Subscription::Silence).await;
        let took = started.elapsed();
        assert!((150..600).contains(&took.as_millis()), "{took:?}");
        let invoked = Instant::now();
        environment.invoke();
        assert!(environment.released().await.saturating_duration_since(invoked) < PROMPT);
        // It had arrived after all.
        environment.api.done("request-1").await;
        let request = environment.run().await;
        environment.stays_held().await;
        environment.api.done(&request).await;
        environment.released().await;
        environment.finish([0; 4]).await;
    });
}

#[test]
fn telemetry_that_falls_silent_is_waited_for_once() {
    isolated(|| async {
        let mut environment = Environment::start("end", Subscription::Accepted).await;
        environment.deadline = 60 * SECOND;
        let wait = async |environment: &mut Environment| {
            let invoked = Instant::now();
            environment.invoke();
            environment.released().await.saturating_duration_since(invoked)
        };
        let first = wait(&mut environment).await;
        assert!((200..500).contains(&first.as_millis()), "{first:?}");
        for _ in 0..5 {
            let later = wait(&mut environment).await;
            assert!(later < PROMPT, "{later:?}");
        }
        // It speaks again.
        environment.api.done("request-6").await;
        let request = environment.run().await;
        environment.stays_held().await;
        environment.api.done(&request).await;
        environment.released().await;
        environment.finish([0; 4]).await;
    });
}

#[test]
fn odd_telemetry_does_no_harm() {
    isolated(|| async {
        let mut environment = Environment::start("end", Subscription::Accepted).await;
        let to = environment.api.destination().await;
        let request = environment.run().await;
        for body in ["", "[", "{}", "[7]", r#"[{"type":"platform.runtimeDone"}]"#, "\u{fffd}"] {
            let (status, _) = http::request(to, Method::POST, "/", &[], body).await.unwrap();
            assert_eq!(status, 200);
        }
        let (status, _) = http::request(to, Method::GET, "/elsewhere", &[], "").await.unwrap();
        assert_eq!(status, 200);
        // Too large: it may break the connection, and nothing else.
        let _ = http::request(to, Method::POST, "/", &[], vec![b'['; 3 << 20]).await;
        environment.api.done("of another request").await;
        environment.stays_held().await;
        // A start that comes behind its end changes nothing.
        environment.api.done(&request).await;
        environment.api.started(&request).await;
        environment.released().await;
        // The end may come before the event, and in one batch with others.
        environment.api.done("request-2").await;
        environment.invoke();
        environment.released().await;
        // What was dropped may have been the end.
        environment.run().await;
        environment.api.tell(&json!([{ "type": "platform.logsDropped", "record": {} }])).await;
        environment.released().await;
        environment.finish([0; 4]).await;
    });
}

/// What `cargo test` builds next to the binary.
#[tokio::test]
async fn the_tables_in_the_docs_are_the_simulations() {
    let simulation = Path::new(BINARY).with_file_name("examples").join("flush-simulation");
    let output = tokio::process::Command::new(&simulation).output().await;
    let output = output.unwrap_or_else(|error| panic!("{}: {error}; run ci/test", simulation.display()));
    assert!(output.status.success());
    let docs = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/flush.md")).unwrap();
    let tables = String::from_utf8(output.stdout).unwrap();
    assert!(docs.contains(tables.trim()), "docs/flush.md is stale; its tables should be:\n{tables}");
}
