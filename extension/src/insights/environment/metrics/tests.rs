use super::*;
use crate::config::{FaultKinds, Function, SpanMode};
use crate::insights::environment::Invoked;
use crate::insights::metrics::{MetricContext, Metrics};
use crate::telemetry::{InitPhase, InitStart, InvocationEnd, PlatformEvent, Record, RequestId};
use std::time::{Duration, UNIX_EPOCH};

fn at(seconds: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_hours(498_778) + Duration::from_secs(seconds)
}

fn environment() -> Environment {
    let context = MetricContext { function: Function::default(), is_arm: false, trace_id: "e".repeat(32) };
    let metrics = Some(Metrics::new(context));
    Environment::new(FaultKinds::NONE, SpanMode::Off, false, 128 << 20).with(metrics, None)
}

fn add(environment: &mut Environment, event: PlatformEvent) {
    environment.add_records(vec![Record { time: None, event }], at(0));
}

fn begin(environment: &mut Environment, request: &str) {
    environment.invoked(Invoked { request: RequestId::new(request), ..Invoked::default() }, at(0));
}

fn done(environment: &mut Environment, request: &str, status: &str, error_type: &str) {
    let end = InvocationEnd {
        request: RequestId::new(request),
        status: status.to_owned(),
        error_type: Some(error_type.to_owned()).filter(|text| !text.is_empty()),
        ..InvocationEnd::default()
    };
    add(environment, PlatformEvent::RuntimeDone(end));
}

/// The counters, when the environment has ended.
fn counts(mut environment: Environment) -> Vec<(String, u64)> {
    let mut all = environment.take_metrics(at(1));
    environment.closed(at(2));
    all.append(&mut environment.take_metrics(at(2)));
    let counters = all.iter().filter(|metric| metric["type"] == "counter");
    counters
        .map(|one| (one["name"].as_str().unwrap()[11..].to_owned(), one["value"].as_u64().unwrap()))
        .collect()
}

fn named(counts: &[(&str, u64)]) -> Vec<(String, u64)> {
    counts.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect()
}

#[test]
fn failures_count_by_what_they_are_also_where_faults_are_off() {
    let mut environment = environment();
    for (request, status, error_type) in [
        ("r-1", "success", ""),
        ("r-2", "error", "Runtime.OutOfMemory"),
        ("r-3", "error", "Runtime.ExitError"),
        ("r-4", "timeout", ""),
    ] {
        begin(&mut environment, request);
        done(&mut environment, request, status, error_type);
        assert!(environment.take_metrics(at(0)).is_empty(), "they wait for more");
    }
    let expected = [("errors", 3), ("timeouts", 1), ("out_of_memory", 1), ("cold_starts", 1)];
    let mut found = counts(environment);
    // Cold starts have counters of their own.
    let invocations: u64 =
        found.iter().filter(|(name, _)| name == "invocations").map(|(_, count)| count).sum();
    found.retain(|(name, _)| name != "invocations");
    assert_eq!((invocations, found), (4, named(&expected)));
}

#[test]
fn an_init_inside_an_invocation_or_ahead_of_time_is_no_cold_start() {
    for (kind, phase, is_cold) in [
        ("on-demand", InitPhase::Init, true),
        ("snap-start", InitPhase::Init, true),
        ("on-demand", InitPhase::Invoke, false),
        ("provisioned-concurrency", InitPhase::Init, false),
    ] {
        let mut environment = environment();
        begin(&mut environment, "r-1");
        // Lambda's records come a little later than INVOKE.
        assert!(environment.take_metrics(at(0)).is_empty());
        let start = InitStart { initialization_type: kind.to_owned(), phase, ..InitStart::default() };
        add(&mut environment, PlatformEvent::InitStart(start));
        done(&mut environment, "r-1", "success", "");
        let expected: &[_] =
            if is_cold { &[("invocations", 1), ("cold_starts", 1)] } else { &[("invocations", 1)] };
        assert_eq!(counts(environment), named(expected), "{kind} {phase:?}");
    }
}

#[test]
fn without_a_record_of_init_the_environment_says_whether_it_was_ahead_of_time() {
    for (is_provisioned, record, is_cold) in
        [(false, None, true), (true, None, false), (true, Some(""), false), (true, Some("on-demand"), true)]
    {
        let mut environment = environment().provisioned(is_provisioned);
        if let Some(kind) = record {
            let start = InitStart { initialization_type: kind.to_owned(), ..InitStart::default() };
            add(&mut environment, PlatformEvent::InitStart(start));
        }
        begin(&mut environment, "r-1");
        // A fault, a span and a metric of one invocation must not differ in this.
        assert_eq!(environment.is_cold_start(environment.known_of(&RequestId::new("r-1"))), is_cold);
        assert_eq!(environment.is_cold_start(None), is_cold, "an error in init");
        done(&mut environment, "r-1", "success", "");
        let is_counted = counts(environment).contains(&("cold_starts".to_owned(), 1));
        assert_eq!(is_counted, is_cold, "provisioned: {is_provisioned}, the record says {record:?}");
    }
}

#[test]
fn an_error_that_only_the_runtimes_log_shows_counts() {
    let mut environment = environment();
    begin(&mut environment, "r-1");
    environment.raised(None);
    done(&mut environment, "r-1", "success", "");
    assert!(counts(environment).contains(&("errors".to_owned(), 1)));
}
