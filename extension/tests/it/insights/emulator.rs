//! Tests faults of real functions under AWS's emulator, with the built layer. The emulator has no telemetry, so the
//! only evidence is the reason of SHUTDOWN and the kernel's count of kills.

use super::{faults, kind, names_time_out};
use crate::support::{
    function::Function,
    log::Log,
    netns::isolated,
    rie::Rie,
    sdk::KEY,
    sentry::{Sentry, Transport},
    tools::Arch,
};
use serde_json::{Value, json};
use std::time::Duration;

const MIB: u64 = 1 << 20;

/// A deployed function with its environment, and a stand-in for Sentry.
struct Deployment {
    rie: Rie,
    sentry: Sentry,
}

impl Deployment {
    async fn of(function: Function) -> Self {
        let sentry = Sentry::start(Transport::Tls).await;
        let function = function.reports_to(&sentry, KEY, "42");
        Self { rie: Rie::start(Arch::NATIVE, function).await, sentry }
    }

    /// Lets the function end in this way, and waits until this number of faults has arrived in total.
    async fn end_function(&mut self, end: &str, faults_in_all: usize) {
        self.rie.invoke_unchecked(&json!({ "end": end })).await;
        if faults_in_all > 0 {
            let what = format!("{faults_in_all} faults after {end}");
            let sentry = &self.sentry;
            // Only the total number counts, so the envelope itself is not looked at.
            let enough = |_: &_| faults(&sentry.received()).len() >= faults_in_all;
            sentry.wait_for(&what, enough).await;
        }
    }

    /// Lets the function's process end in this way, until that is reported as a fault of an invocation.
    ///
    /// The emulator ends the environment as soon as the process is gone, and may do so before the extension has read
    /// INVOKE. Then nothing tells of an invocation, and the fault is one of the init.
    async fn end_process(&mut self, end: &str) {
        for _ in 0..10 {
            let before = faults(&self.sentry.received()).len();
            self.end_function(end, before + 1).await;
            if !is_before_invoke(faults(&self.sentry.received()).last().unwrap()) {
                return;
            }
        }
        panic!("the extension has read no INVOKE in ten invocations that {end}");
    }

    /// Ends the environment, and returns the faults that Sentry has received.
    async fn reported_faults(self) -> Vec<Value> {
        self.ended().await.0
    }

    async fn ended(self) -> (Vec<Value>, Log) {
        self.rie.terminate();
        let log = self.rie.ended().await;
        assert!(!log.contains("panicked"), "{}", log.text());
        assert!(self.sentry.violations().is_empty(), "{:?}", self.sentry.violations());
        (faults(&self.sentry.received()), log)
    }
}

fn is_before_invoke(fault: &Value) -> bool {
    kind(fault) == "init" && fault["tags"]["aws_request_id"].is_null()
}

fn kinds(faults: &[Value]) -> Vec<&str> {
    faults.iter().map(kind).collect()
}

async fn check_every_end(function: impl Fn() -> Function) {
    // Long enough for every start of the runtime on a busy machine.
    let limit = Duration::from_secs(5);
    let function = function().env("AWS_LAMBDA_FUNCTION_TIMEOUT", limit.as_secs().to_string());
    let mut deployment = Deployment::of(function).await;
    // Two time-outs in a row. Each ends a process of its own.
    deployment.end_function("timeout", 1).await;
    deployment.end_function("timeout", 2).await;
    deployment.end_process("kill").await;
    deployment.end_process("exit").await;
    // The runtime catches this error, so it is not a fault.
    deployment.end_function("raise", 0).await;
    deployment.end_function("none", 0).await;
    let mut told = deployment.reported_faults().await;
    told.retain(|fault| !is_before_invoke(fault));
    assert_eq!(kinds(&told), ["timeout", "timeout", "exit", "exit"]);
    let requests: std::collections::HashSet<_> =
        told.iter().map(|fault| fault["tags"]["aws_request_id"].to_string()).collect();
    assert_eq!(requests.len(), 4, "{told:#?}");
    let text = told[0]["exception"]["values"][0]["value"].as_str().unwrap();
    assert!(names_time_out(text, limit), "{text}");
    assert_eq!(told[0]["tags"]["aws_region"], "eu-central-1");
}

/// After a failed init, the emulator ends the environment as if it were not needed any more, and without telemetry
/// there is no other evidence. The tests in `faults` cover failed inits by means of records.
async fn fails_at_import(function: Function) {
    let mut deployment = Deployment::of(function.env("FAULT", "import")).await;
    deployment.rie.invoke_unchecked(&json!({})).await;
    let (told, log) = deployment.ended().await;
    assert!(log.contains("Init failed"), "{}", log.text());
    assert!(log.contains(r#""message":"shutting down","reason":"spindown""#), "{}", log.text());
    assert_eq!(kinds(&told), [""; 0], "{told:#?}");
}

/// The kernel kills the function, because its control group has only as much memory as the function is configured for.
async fn runs_out_of_memory(function: Function) {
    let mut deployment = Deployment::of(function).await;
    let limit = deployment.rie.limit_memory(256 * MIB);
    deployment.end_function("memory", 1).await;
    let told = deployment.reported_faults().await;
    drop(limit);
    assert_eq!(kinds(&told), ["oom"], "{told:#?}");
    let evidence = told[0]["exception"]["values"][0]["mechanism"]["data"]["evidence"].as_str().unwrap();
    assert!(evidence.contains("kernel=oom_kill"), "{evidence}");
    let used = told[0]["contexts"]["aws.lambda"]["memory_used_mb"].as_u64().unwrap();
    assert!(used > 128, "the samples saw {used} MB at most");
}

#[test]
fn python() {
    isolated(|| check_every_end(|| Function::python("python-faults", "test")));
}

#[test]
fn node() {
    isolated(|| check_every_end(|| Function::node("node-faults")));
}

#[test]
fn python_that_cannot_be_imported() {
    isolated(|| fails_at_import(Function::python("python-faults", "test")));
}

#[test]
fn node_that_cannot_be_imported() {
    isolated(|| fails_at_import(Function::node("node-faults")));
}

#[test]
fn python_out_of_memory() {
    isolated(|| runs_out_of_memory(Function::python("python-faults", "test")));
}

#[test]
fn node_out_of_memory() {
    isolated(|| {
        runs_out_of_memory(Function::node("node-faults").env("NODE_OPTIONS", "--max-old-space-size=4096"))
    });
}
