//! Tests every row of the table of faults, from the evidence that Lambda gives to the event that Sentry receives.

use super::{DEADLINE, Environment, SECOND, kind, names_time_out};
use crate::support::{
    extension::Extension,
    lambda_api::{LambdaApi, Subscription},
    memory_limit::MemoryLimit,
    netns::isolated,
    sdk::{self, TUNNEL},
    sentry::{Sentry, Transport},
};
use serde_json::{Value, json};
use std::io::Write as _;
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Command, Stdio};
use std::time::Duration;

/// Stands for the text of a time-out, whose seconds depend on the machine.
const TIMED_OUT: &str = "Task timed out after … seconds";

/// Returns the kind and the text of each fault that Sentry has received.
fn told(faults: &[Value]) -> Vec<(&str, &str)> {
    let value = |event: &Value| match event["exception"]["values"][0]["value"].as_str().unwrap() {
        text if names_time_out(text, DEADLINE) => TIMED_OUT.to_owned(),
        text => text.to_owned(),
    };
    faults.iter().map(|event| (kind(event), &*Box::leak(value(event).into_boxed_str()))).collect()
}

async fn with_telemetry() -> Environment {
    Environment::start(Subscription::Accepted, &[]).await
}

#[test]
fn a_time_out_in_every_order() {
    isolated(|| async {
        let expected = [("timeout", TIMED_OUT)];
        // The record comes first.
        let mut environment = with_telemetry().await;
        environment.invoke("r-1").await;
        environment.runtime_done("r-1", "timeout", None).await;
        assert_eq!(told(&environment.end("timeout").await), expected);
        // SHUTDOWN is the only evidence.
        let mut environment = with_telemetry().await;
        environment.invoke("r-1").await;
        assert_eq!(told(&environment.end("timeout").await), expected);
        // SHUTDOWN comes first.
        let mut environment = with_telemetry().await;
        environment.invoke("r-1").await;
        let done = json!({ "requestId": "r-1", "status": "timeout", "metrics": { "durationMs": 3000.4 } });
        assert_eq!(told(&environment.end_with("timeout", "platform.runtimeDone", &done).await), expected);
    });
}

#[test]
fn where_there_is_no_telemetry_shutdown_says_it() {
    isolated(|| async {
        for (reason, expected) in [
            ("Timeout", &[("timeout", TIMED_OUT)][..]),
            ("failure", &[("exit", "The runtime exited during the invocation")]),
            ("ReleaseFail", &[("exit", "The runtime exited during the invocation")]),
            ("SandboxTerminated", &[]),
            ("spindown", &[]),
        ] {
            let mut environment = Environment::start(Subscription::Status(202), &[]).await;
            environment.invoke("r-1").await;
            assert_eq!(told(&environment.end(reason).await), expected, "{reason}");
        }
    });
}

#[test]
fn what_the_platforms_records_say() {
    isolated(|| async {
        let done = |status: &str, error_type: &str| {
            let request = "r-1";
            json!({ "requestId": request, "status": status, "errorType": error_type })
        };
        let metrics = json!({ "memorySizeMB": 128, "maxMemoryUsedMB": 127 });
        let full = json!({ "requestId": "r-1", "status": "error", "metrics": metrics });
        let killed = "RequestId: r-1 Error: Runtime exited with error: signal: killed";
        let runtime_done = "platform.runtimeDone";
        for (records, expected) in [
            (
                vec![(runtime_done, done("error", "Runtime.ExitError"))],
                Some(("exit", "The runtime exited during the invocation (Runtime.ExitError)")),
            ),
            (
                vec![(runtime_done, done("error", "Runtime.ExitError")), ("platform.fault", killed.into())],
                Some(("exit", "Error: Runtime exited with error: signal: killed")),
            ),
            (vec![(runtime_done, done("error", "Runtime.OutOfMemory"))], Some(("oom", "Out of memory"))),
            (
                vec![(runtime_done, done("error", "Runtime.ExitError")), ("platform.report", full)],
                Some(("oom", "Out of memory: 127 of 128 MB used")),
            ),
            (
                vec![(runtime_done, done("failure", "Sandbox.Failure"))],
                Some(("sandbox", "Lambda could not run the function (Sandbox.Failure)")),
            ),
            (
                vec![(runtime_done, done("error", "Extension.Crash"))],
                Some(("sandbox", "Lambda could not run the function (Extension.Crash)")),
            ),
            (
                vec![(runtime_done, done("error", "Runtime.ImportModuleError"))],
                Some(("init", "Init failed (Runtime.ImportModuleError)")),
            ),
            // What happens after the response of the function is not a fault of the function.
            (vec![(runtime_done, done("success", ""))], None),
        ] {
            let mut environment = with_telemetry().await;
            environment.invoke("r-1").await;
            for (kind, body) in &records {
                environment.post_telemetry(kind, body).await;
            }
            let faults = environment.end("failure").await;
            assert_eq!(told(&faults), Vec::from_iter(expected), "{records:?}");
            assert!(faults.iter().all(|fault| fault["tags"]["aws_request_id"] == "r-1"));
        }
    });
}

#[test]
fn errors_that_end_nothing_are_no_faults() {
    isolated(|| async {
        let mut environment = with_telemetry().await;
        for (request, status, error_type) in [
            ("r-1", "success", None),
            ("r-2", "error", Some("Function.ResponseSizeTooLarge")),
            ("r-3", "error", None),
            ("r-4", "error", Some("Runtime.MarshalError")),
            ("r-5", "error", Some("Runtime.TruncatedResponse")),
        ] {
            environment.invoke(request).await;
            environment.runtime_done(request, status, error_type).await;
        }
        assert_eq!(told(&environment.end("spindown").await), []);
    });
}

#[test]
fn inits_that_fail() {
    isolated(|| async {
        let failed = |phase: &str, error_type: &str| {
            let kind = "on-demand";
            json!({ "initializationType": kind, "phase": phase, "status": "error", "errorType": error_type })
        };
        // Init fails before the first invocation. The report of the same init is no second fault.
        let environment = with_telemetry().await;
        environment
            .post_telemetry("platform.initRuntimeDone", &failed("init", "Runtime.ImportModuleError"))
            .await;
        environment.post_telemetry("platform.initReport", &failed("init", "Runtime.ImportModuleError")).await;
        // The emulator, which is AWS's own code, spells it like this.
        let faults = environment.end("spindown").await;
        assert_eq!(told(&faults), [("init", "Init failed (Runtime.ImportModuleError)")]);
        assert_eq!(faults[0]["tags"].get("aws_request_id"), None);

        // SHUTDOWN comes first.
        let environment = with_telemetry().await;
        let failed_ahead = failed("init", "Runtime.ImportModuleError");
        let faults = environment.end_with("spindown", "platform.initRuntimeDone", &failed_ahead).await;
        assert_eq!(told(&faults), [("init", "Init failed (Runtime.ImportModuleError)")]);

        // Init fails again inside an invocation. That is one fault, of that invocation.
        let mut environment = with_telemetry().await;
        let start = json!({ "initializationType": "on-demand", "phase": "invoke", "runtimeVersion": "python:3.13.v58",
            "instanceId": "2026/11/25/[$LATEST]0f3c" });
        environment.post_telemetry("platform.initStart", &start).await;
        environment
            .post_telemetry("platform.initRuntimeDone", &failed("invoke", "Runtime.UserCodeSyntaxError"))
            .await;
        environment.invoke("r-1").await;
        environment.runtime_done("r-1", "error", Some("Runtime.ExitError")).await;
        let faults = environment.end("failure").await;
        assert_eq!(told(&faults), [("init", "Init failed (Runtime.UserCodeSyntaxError)")]);
        assert_eq!(faults[0]["tags"]["aws_request_id"], "r-1");
        assert_eq!(faults[0]["tags"]["faas.coldstart"], "false");
        assert_eq!(
            faults[0]["contexts"]["runtime"],
            json!({ "type": "runtime", "name": "python", "version": "3.13" })
        );
        assert_eq!(faults[0]["contexts"]["aws.cloudwatch.logs"]["log_stream"], "2026/11/25/[$LATEST]0f3c");

        // A restore from a snapshot fails.
        let environment = with_telemetry().await;
        environment
            .post_telemetry("platform.restoreRuntimeDone", &failed("init", "Runtime.AfterRestoreError"))
            .await;
        let faults = environment.end("failure").await;
        assert_eq!(told(&faults), [("init", "Restore failed (Runtime.AfterRestoreError)")]);

        // SHUTDOWN is the only evidence.
        let environment = Environment::start(Subscription::Status(202), &[]).await;
        assert_eq!(told(&environment.end("failure").await), [("init", "Init failed")]);
    });
}

#[test]
fn what_the_sdk_has_reported_is_not_told_again() {
    isolated(|| async {
        let event = |handled: bool, request: &str| {
            let payload = json!({
                "exception": { "values": [{ "type": "E", "mechanism": { "type": "aws_lambda", "handled": handled } }] },
                "extra": { "lambda": { "aws_request_id": request } },
            });
            let payload = payload.to_string();
            let item = format!("{{\"type\":\"event\",\"length\":{}}}\n{payload}\n", payload.len());
            format!("{{\"event_id\":\"9ec79c33ec9942ab8353589fcb2e04dc\"}}\n{item}")
        };
        for (handled, request, reason, expected) in [
            (false, "r-1", "failure", None),
            (true, "r-1", "failure", Some("exit")),
            (false, "of another", "failure", Some("exit")),
            // What an SDK reports about these is only a forecast, so the fault is reported too.
            (false, "r-1", "timeout", Some("timeout")),
        ] {
            let mut environment = with_telemetry().await;
            environment.invoke("r-1").await;
            assert_eq!(sdk::post(TUNNEL, event(handled, request)).await, 200);
            let faults = environment.end(reason).await;
            assert_eq!(
                faults.iter().map(kind).collect::<Vec<_>>(),
                Vec::from_iter(expected),
                "{handled} {request} {reason}"
            );
        }
    });
}

#[test]
fn the_event_has_what_the_sdk_has_told() {
    isolated(|| async {
        let mut environment = with_telemetry().await;
        environment.invoke("r-1").await;
        let trace = json!({ "trace_id": "67d448e83ae320be0e2cdf2f53ccdaba", "release": "shop@1.4.2",
            "environment": "production", "sampled": "true" });
        let payload = json!({ "contexts": { "trace": { "trace_id": "67d448e83ae320be0e2cdf2f53ccdaba",
            "span_id": "35465b3a9e2f7c6a" }, "aws.lambda": { "aws_request_id": "r-1" } } })
        .to_string();
        let header = json!({ "event_id": "9ec79c33ec9942ab8353589fcb2e04dc", "trace": trace });
        let body = format!("{header}\n{{\"type\":\"event\",\"length\":{}}}\n{payload}\n", payload.len());
        assert_eq!(sdk::post(TUNNEL, body).await, 200);
        environment.runtime_done("r-1", "timeout", None).await;
        let faults = environment.end("timeout").await;
        let event = &faults[0];
        assert_eq!((&event["release"], &event["environment"]), (&json!("shop@1.4.2"), &json!("production")));
        assert_eq!(
            event["contexts"]["trace"],
            json!({ "type": "trace", "trace_id": "67d448e83ae320be0e2cdf2f53ccdaba", "span_id": "35465b3a9e2f7c6a",
                "op": "function.aws", "status": "deadline_exceeded" })
        );
        assert_eq!(event["contexts"]["cloud_resource"]["cloud.account.id"], "123456789012");
        assert_eq!(event["contexts"]["aws.lambda"]["execution_duration_in_millis"], 2999.5);
        assert_eq!(event["contexts"]["aws.lambda"]["memory_size_mb"], 256);
        assert_eq!(event["tags"]["faas.coldstart"], "true");
        assert_eq!(event["fingerprint"], json!(["aws.lambda.fault", "orders", "timeout"]));
        assert_eq!(event["level"], "fatal");
    });
}

#[test]
fn only_what_is_wanted_is_told() {
    isolated(|| async {
        for (setting, reason, expected) in [
            ("false", "timeout", None),
            ("exit,oom", "timeout", None),
            ("exit,oom", "failure", Some("exit")),
            ("true", "timeout", Some("timeout")),
            // An invalid value is replaced by the default, with a warning.
            ("sometimes", "timeout", Some("timeout")),
            (" , ", "timeout", Some("timeout")),
        ] {
            let settings = [("SENTRY_EXTENSION_FAULTS", setting)];
            let mut environment = Environment::start(Subscription::Accepted, &settings).await;
            environment.invoke("r-1").await;
            let log = environment.extension.log.clone();
            let faults = environment.end(reason).await;
            assert_eq!(faults.iter().map(kind).collect::<Vec<_>>(), Vec::from_iter(expected), "{setting}");
            let is_invalid = ["sometimes", " , "].contains(&setting);
            assert_eq!(log.contains("SENTRY_EXTENSION_FAULTS has"), is_invalid, "{}", log.text());
        }
    });
}

/// On Managed Instances requests overlap, and only the report tells their end.
#[test]
fn managed_instances_tell_by_their_reports() {
    isolated(|| async {
        let settings = [("AWS_LAMBDA_INITIALIZATION_TYPE", "lambda-managed-instances")];
        let environment = Environment::start(Subscription::Accepted, &settings).await;
        for request in ["r-1", "r-2", "r-3"] {
            environment.post_telemetry("platform.start", &json!({ "requestId": request })).await;
        }
        for (request, status, error_type) in [
            ("r-2", "timeout", "Sandbox.Timedout"),
            ("r-3", "error", "Runtime.ExitError"),
            ("r-1", "success", ""),
        ] {
            let metrics = json!({ "durationMs": 5 });
            let report = json!({ "requestId": request, "status": status, "errorType": error_type, "metrics": metrics });
            environment.post_telemetry("platform.report", &report).await;
            // A repeated record changes nothing.
            environment.post_telemetry("platform.report", &report).await;
        }
        let faults = environment.end("spindown").await;
        let requests: Vec<_> = faults
            .iter()
            .map(|fault| (kind(fault), fault["tags"]["aws_request_id"].as_str().unwrap()))
            .collect();
        assert_eq!(requests, [("timeout", "r-2"), ("exit", "r-3")]);
    });
}

/// The reports of the requests that end with the environment are on their way when SHUTDOWN comes.
#[test]
fn reports_of_managed_instances_may_come_after_shutdown() {
    isolated(|| async {
        let settings = [("AWS_LAMBDA_INITIALIZATION_TYPE", "lambda-managed-instances")];
        let environment = Environment::start(Subscription::Accepted, &settings).await;
        environment.post_telemetry("platform.start", &json!({ "requestId": "r-1" })).await;
        let report = json!({ "requestId": "r-1", "status": "error", "errorType": "Runtime.OutOfMemory" });
        let faults = environment.end_with("failure", "platform.report", &report).await;
        assert_eq!(faults.iter().map(kind).collect::<Vec<_>>(), ["oom"]);
    });
}

/// With SnapStart the records of init are those of the snapshot, so that of the restore is still to come.
#[test]
fn a_restore_that_fails_while_the_environment_ends() {
    isolated(|| async {
        let environment = with_telemetry().await;
        let init = json!({ "initializationType": "snap-start", "phase": "init", "status": "success" });
        for kind in ["platform.initStart", "platform.initRuntimeDone", "platform.initReport"] {
            environment.post_telemetry(kind, &init).await;
        }
        let failed = json!({ "status": "error", "errorType": "Runtime.RestoreHookUserError" });
        let faults = environment.end_with("failure", "platform.restoreRuntimeDone", &failed).await;
        assert_eq!(told(&faults), [("init", "Restore failed (Runtime.RestoreHookUserError)")]);
    });
}

/// A record of an invocation that nobody has announced belongs to the process before.
#[test]
fn records_of_the_process_before_are_none_of_this_one() {
    isolated(|| async {
        let old = json!({ "requestId": "r-0", "status": "timeout", "metrics": { "durationMs": 3000 } });
        // They come before the first invocation or during it, and are no fault.
        let mut environment = with_telemetry().await;
        environment.post_telemetry("platform.runtimeDone", &old).await;
        environment.invoke("r-1").await;
        environment.post_telemetry("platform.report", &old).await;
        environment.runtime_done("r-1", "success", None).await;
        assert_eq!(told(&environment.end("spindown").await), []);
        // They do not hide which invocation SHUTDOWN is about, nor that it is the first one.
        let mut environment = with_telemetry().await;
        environment.post_telemetry("platform.runtimeDone", &old).await;
        environment.invoke("r-1").await;
        environment.post_telemetry("platform.report", &old).await;
        let faults = environment.end("timeout").await;
        assert_eq!(told(&faults), [("timeout", TIMED_OUT)]);
        assert_eq!(faults[0]["tags"]["aws_request_id"], "r-1");
        assert_eq!(faults[0]["tags"]["faas.coldstart"], "true");
    });
}

#[test]
fn more_than_ten_a_minute_are_left_out_and_counted() {
    isolated(|| async {
        let settings = [("AWS_LAMBDA_INITIALIZATION_TYPE", "lambda-managed-instances")];
        let environment = Environment::start(Subscription::Accepted, &settings).await;
        for number in 0..12 {
            let report = json!({ "requestId": format!("r-{number}"), "status": "timeout" });
            environment.post_telemetry("platform.report", &report).await;
        }
        let log = environment.extension.log.clone();
        assert_eq!(environment.end("spindown").await.len(), 10);
        assert_eq!(log.wait_for_lines("more than ten in a minute", 2).await.len(), 2, "{}", log.text());
    });
}

/// The kernel kills a child of the function, which the function survives. What ends a later invocation is another
/// thing.
#[test]
fn a_kill_that_the_function_has_survived_is_not_the_next_fault() {
    isolated(|| async {
        let mut environment = with_telemetry().await;
        environment.invoke("r-1").await;
        // The extension looks at the memory of an invocation that takes so long.
        tokio::time::sleep(Duration::from_millis(700)).await;
        let mut child = Command::new("/usr/bin/python3")
            .args(["-c", "input(); bytearray(200 << 20)"])
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        let limit = MemoryLimit::of(i32::try_from(child.id()).unwrap(), 32 << 20);
        drop(child.stdin.take().map(|mut stdin| stdin.write_all(b"\n")));
        assert_eq!(child.wait().unwrap().signal(), Some(9));
        drop(limit);
        environment.runtime_done("r-1", "success", None).await;
        environment.invoke("r-2").await;
        environment.runtime_done("r-2", "error", Some("Runtime.ExitError")).await;
        let faults = environment.end("failure").await;
        assert_eq!(faults.iter().map(kind).collect::<Vec<_>>(), ["exit"], "{faults:#?}");
    });
}

/// Without a DSN there is no project to report a fault to.
#[test]
fn without_a_dsn_nothing_is_told() {
    isolated(|| async {
        let api = LambdaApi::start().await;
        let sentry = Sentry::start(Transport::Plain).await;
        let upstream = sentry.url();
        let extension = Extension::in_lambda(&api, &[("SENTRY_EXTENSION_UPSTREAM", &upstream)]);
        api.invoke_as("r-1", DEADLINE);
        api.asked(2).await;
        api.shutdown("timeout", 2 * SECOND);
        assert_eq!(extension.final_counts().await, [0; 4]);
        assert!(sentry.received().is_empty());
    });
}
