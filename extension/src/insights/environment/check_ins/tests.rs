use super::*;
use crate::config::{FaultKinds, MonitorSettings, Schedule, SpanMode};
use crate::insights::classify::ShutdownReason;
use crate::insights::environment::Invoked;
use crate::insights::monitor::Monitor;
use crate::protocol::EnvelopeNote;
use crate::telemetry::{InvocationEnd, PlatformEvent, Record, RequestId};
use serde_json::json;
use std::time::UNIX_EPOCH;

fn at(seconds: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_hours(498_778) + Duration::from_secs(seconds)
}

fn environment(schedule: Option<Schedule>) -> Environment {
    let settings = MonitorSettings { slug: "nightly".to_owned(), schedule };
    let monitor = Monitor { settings, environment: Some("production".to_owned()), release: None };
    let kinds = FaultKinds::NONE;
    Environment::new(kinds, SpanMode::Off, false, 128 << 20).with(None, Some(monitor))
}

fn begin(environment: &mut Environment, request: &str, seconds: u64) {
    let deadline = Some(at(seconds + 90));
    let invoked = Invoked { request: RequestId::new(request), deadline, ..Invoked::default() };
    environment.invoked(invoked, at(seconds));
}

fn done(environment: &mut Environment, request: &str, status: &str) {
    let end = InvocationEnd {
        request: RequestId::new(request),
        status: status.to_owned(),
        ..InvocationEnd::default()
    };
    environment.add_records(vec![Record { time: None, event: PlatformEvent::RuntimeDone(end) }], at(0));
}

/// Status and id of each part that is new.
fn parts(environment: &mut Environment, seconds: u64) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let read = |part: &Value| {
        assert_eq!((&part["monitor_slug"], &part["environment"]), (&json!("nightly"), &json!("production")));
        (text(&part["status"]), text(&part["check_in_id"]))
    };
    environment.take_check_ins(at(seconds)).iter().map(read).collect()
}

fn statuses(environment: &mut Environment) -> Vec<String> {
    parts(environment, 100).into_iter().map(|(status, _)| status).collect()
}

#[test]
fn a_check_in_has_two_parts_with_one_id() {
    let schedule = Schedule::Interval { value: 5, unit: "minute" };
    let mut environment = environment(Some(schedule));
    begin(&mut environment, "r-1", 0);
    let begun = environment.take_check_ins(at(0));
    let config = json!({ "schedule": { "type": "interval", "value": 5, "unit": "minute" }, "checkin_margin": 2,
        "max_runtime": 2, "timezone": "UTC" });
    assert_eq!((begun.len(), &begun[0]["monitor_config"]), (1, &config));
    assert!(environment.take_check_ins(at(1)).is_empty());
    done(&mut environment, "r-1", "success");
    let ended = environment.take_check_ins(at(3));
    assert_eq!((ended.len(), &ended[0]["status"], &ended[0]["duration"]), (1, &json!("ok"), &json!(3.0)));
    assert_eq!(ended[0]["check_in_id"], begun[0]["check_in_id"]);
    assert!(environment.take_check_ins(at(4)).is_empty());
}

#[test]
fn what_goes_wrong_is_an_error() {
    for status in ["error", "failure", "timeout"] {
        let mut environment = environment(None);
        begin(&mut environment, "r-1", 0);
        done(&mut environment, "r-1", status);
        assert_eq!(statuses(&mut environment), ["in_progress", "error"], "{status}");
    }
    let mut environment = environment(None);
    begin(&mut environment, "r-1", 0);
    environment.shutting_down(ShutdownReason::Timeout, at(3));
    environment.closed(at(3));
    assert_eq!(statuses(&mut environment), ["in_progress", "error"]);
}

#[test]
fn errors_that_the_platform_does_not_see_count() {
    let mut by_sdk = environment(None);
    begin(&mut by_sdk, "r-1", 0);
    let note = EnvelopeNote { unhandled: true, ..EnvelopeNote::default() };
    by_sdk.note(note, Some(&RequestId::new("r-1")));
    done(&mut by_sdk, "r-1", "success");
    assert_eq!(statuses(&mut by_sdk), ["in_progress", "error"]);
    let mut by_log = environment(None);
    begin(&mut by_log, "r-1", 0);
    by_log.raised(Some(&RequestId::new("r-1")));
    done(&mut by_log, "r-1", "success");
    assert_eq!(statuses(&mut by_log), ["in_progress", "error"]);
}

#[test]
fn without_telemetry_the_next_invocation_or_shutdown_ends_it() {
    let mut environment = environment(None);
    begin(&mut environment, "r-1", 0);
    let first = parts(&mut environment, 0);
    begin(&mut environment, "r-2", 10);
    let next = parts(&mut environment, 10);
    let statuses: Vec<&str> = first.iter().chain(&next).map(|(status, _)| &**status).collect();
    assert_eq!(statuses, ["in_progress", "ok", "in_progress"]);
    assert!(first[0].1 == next[0].1 && next[0].1 != next[1].1);
    environment.closed(at(20));
    assert_eq!(parts(&mut environment, 20), [("ok".to_owned(), next[1].1.clone())]);
}

#[test]
fn a_retry_with_the_same_id_is_another_check_in() {
    for report_is_late in [false, true] {
        let mut environment = environment(None);
        begin(&mut environment, "r-1", 0);
        environment.raised(None);
        done(&mut environment, "r-1", "success");
        assert_eq!(statuses(&mut environment), ["in_progress", "error"]);
        let report = InvocationEnd { request: RequestId::new("r-1"), ..InvocationEnd::default() };
        let report = || vec![Record { time: None, event: PlatformEvent::Report(report.clone()) }];
        if !report_is_late {
            environment.add_records(report(), at(60));
        }
        begin(&mut environment, "r-1", 60);
        if report_is_late {
            environment.add_records(report(), at(60));
        }
        assert_eq!(statuses(&mut environment), ["in_progress"], "{report_is_late}");
        done(&mut environment, "r-1", "success");
        assert_eq!(statuses(&mut environment), ["ok"], "{report_is_late}");
    }
}
