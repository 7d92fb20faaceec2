mod orders;

use super::*;
use crate::config::{FaultKinds, ProjectId, PublicKey, SpanMode, Upstream};
use crate::insights::environment::Invoked;
use crate::insights::spans::Root;
use crate::relay::ReportTarget;
use crate::telemetry::{
    InitPhase, InitStart, InvocationEnd, InvocationMetrics, InvocationStart, PhaseEnd, PlatformEvent, Record,
    RequestId,
};
use serde_json::Value;
use std::sync::Arc;
use std::time::UNIX_EPOCH;

const TRACE: &str = "67d448e83ae320be0e2cdf2f53ccdaba";
const XRAY: &str = "Root=1-67d448e8-3ae320be0e2cdf2f53ccdaba;Parent=35465b3a9e2f7c6a;Sampled=0";
const KEY: &str = "5b0ff8a1e2c94d7fb7a3c1d2e4f60718";

fn at(millis: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_hours(498_778) + Duration::from_millis(millis)
}

fn environment(spans: SpanMode) -> Environment {
    Environment::new(FaultKinds::ALL, spans, false, 128 << 20)
}

fn add(environment: &mut Environment, millis: u64, event: PlatformEvent) {
    environment.add_records(vec![Record { time: Some(at(millis)), event }], at(millis));
}

/// An init of 400 ms that has ended at `end`.
fn init(environment: &mut Environment, end: u64, kind: &str, phase: InitPhase) {
    let start = InitStart { initialization_type: kind.to_owned(), phase, ..InitStart::default() };
    add(environment, end - 400, PlatformEvent::InitStart(start));
    let done = PhaseEnd { phase, status: Some("success".to_owned()), ..PhaseEnd::default() };
    add(environment, end - 5, PlatformEvent::InitRuntimeDone(done.clone()));
    let report = PhaseEnd { duration_ms: Some(400.0), ..done };
    add(environment, end, PlatformEvent::InitReport(report));
}

fn begin(environment: &mut Environment, request: &str, millis: u64) {
    let request = RequestId::new(request);
    let invoked = Invoked { request: request.clone(), trace: Some(XRAY.to_owned()), ..Invoked::default() };
    environment.invoked(invoked, at(millis));
    add(environment, millis, PlatformEvent::Start(InvocationStart { request, trace: None }));
}

fn end(request: &str, status: &str, duration: f64) -> InvocationEnd {
    InvocationEnd {
        request: RequestId::new(request),
        status: status.to_owned(),
        metrics: InvocationMetrics { duration_ms: Some(duration), ..InvocationMetrics::default() },
        ..InvocationEnd::default()
    }
}

fn done(environment: &mut Environment, request: &str, millis: u64) {
    add(environment, millis, PlatformEvent::RuntimeDone(end(request, "success", 100.0)));
}

fn report(environment: &mut Environment, request: &str, millis: u64, overhead: f64) {
    add(environment, millis, PlatformEvent::Report(end(request, "success", 100.0 + overhead)));
}

fn root(request: Option<&str>, is_of_function: bool) -> Root {
    Root {
        trace_id: TRACE.to_owned(),
        span_id: if is_of_function { "35465b3a9e2f7c6a" } else { "1111111111111111" }.to_owned(),
        request: request.map(str::to_owned),
        is_of_function,
        trace: format!(r#"{{"trace_id":"{TRACE}","public_key":"{KEY}","sampled":"true"}}"#),
        target: ReportTarget {
            upstream: Arc::new(Upstream::parse("http://127.0.0.1:1").unwrap()),
            key: PublicKey::parse(KEY).unwrap(),
            project: ProjectId::parse("7").unwrap(),
        },
    }
}

fn function() -> Function {
    Function { name: "orders".to_owned(), ..Function::default() }
}

/// Returns operation, parent, and start and duration in milliseconds of each new span.
fn spans(environment: &mut Environment) -> Vec<(String, Option<String>, u64, u64)> {
    let sets = environment.take_spans(function, KEY);
    let read = |span: &Value| {
        let time = |name: &str| {
            let since = UNIX_EPOCH + Duration::from_secs_f64(span[name].as_f64().unwrap());
            u64::try_from((since.duration_since(at(0)).unwrap().as_micros() + 500) / 1000).unwrap()
        };
        let (start, end) = (time("start_timestamp"), time("end_timestamp"));
        assert_eq!(span["trace_id"], TRACE);
        let op = span["attributes"]["sentry.op"]["value"].as_str().unwrap();
        (op.to_owned(), span["parent_span_id"].as_str().map(str::to_owned), start, end - start)
    };
    sets.iter().flat_map(|set| set.spans.iter()).map(read).collect()
}

fn ops(environment: &mut Environment) -> Vec<String> {
    spans(environment).into_iter().map(|(op, ..)| op).collect()
}

#[test]
fn init_and_overhead_are_children_of_the_sdks_root() {
    let mut environment = environment(SpanMode::Auto);
    init(&mut environment, 1000, "on-demand", InitPhase::Init);
    begin(&mut environment, "r-1", 1010);
    environment.note_root(root(Some("r-1"), true), None);
    assert_eq!(ops(&mut environment), [""; 0], "the root of another invocation may still come");
    done(&mut environment, "r-1", 1110);
    let parent = Some("35465b3a9e2f7c6a".to_owned());
    assert_eq!(spans(&mut environment), [("function.aws.init".to_owned(), parent.clone(), 600, 400)]);
    report(&mut environment, "r-1", 1160, 50.0);
    assert_eq!(spans(&mut environment), [("function.aws.extensions".to_owned(), parent, 1110, 50)]);
    begin(&mut environment, "r-2", 2000);
    environment.note_root(root(Some("r-2"), true), None);
    done(&mut environment, "r-2", 2100);
    report(&mut environment, "r-2", 2101, 1.0);
    assert_eq!(ops(&mut environment), [""; 0], "one init for an environment, and no overhead worth a span");
}

#[test]
fn they_go_where_the_sdk_sends_its_trace() {
    let mut environment = environment(SpanMode::Rate(1.0));
    init(&mut environment, 1000, "on-demand", InitPhase::Init);
    begin(&mut environment, "r-1", 1010);
    environment.note_root(root(Some("r-1"), true), None);
    done(&mut environment, "r-1", 1110);
    let sets = environment.take_spans(function, "another key");
    assert_eq!(sets.len(), 1);
    assert_eq!(sets[0].target, Some(root(None, true).target));
    assert_eq!(sets[0].trace, root(None, true).trace);
    report(&mut environment, "r-1", 1111, 0.0);
    environment.closed(at(2000));
    assert!(
        environment.take_spans(function, "another key").is_empty(),
        "no trace of our own beside the SDK's"
    );
}

#[test]
fn the_root_may_come_late_and_that_of_the_function_is_the_best() {
    let mut environment = environment(SpanMode::Auto);
    init(&mut environment, 1000, "on-demand", InitPhase::Init);
    begin(&mut environment, "r-1", 1010);
    done(&mut environment, "r-1", 1110);
    assert_eq!(ops(&mut environment), [""; 0]);
    let during = RequestId::new("r-1");
    environment.note_root(root(None, false), Some(&during));
    environment.note_root(root(None, true), Some(&during));
    environment.note_root(root(None, false), Some(&during));
    let parents: Vec<_> = spans(&mut environment).into_iter().map(|(_, parent, ..)| parent).collect();
    assert_eq!(parents, [Some("35465b3a9e2f7c6a".to_owned())]);
}

#[test]
fn inits_that_nobody_waited_for_are_attributes() {
    for (kind, end, begins) in [
        ("provisioned-concurrency", 1000, 1010),
        ("lambda-managed-instances", 1000, 1010),
        ("on-demand", 1000, 11_001),
    ] {
        let mut environment = environment(SpanMode::Rate(1.0));
        init(&mut environment, end, kind, InitPhase::Init);
        begin(&mut environment, "r-1", begins);
        done(&mut environment, "r-1", begins + 100);
        report(&mut environment, "r-1", begins + 101, 0.0);
        let sets = environment.take_spans(function, KEY);
        assert_eq!((sets.len(), sets[0].spans.len()), (1, 1), "{kind}");
        let attributes = &sets[0].spans[0]["attributes"];
        assert_eq!(attributes["aws.lambda.initialization_type"]["value"], kind);
        assert_eq!(attributes["aws.lambda.init_duration"]["value"], 400.0, "{kind}");
        assert_eq!(attributes["faas.coldstart"]["value"], kind != "provisioned-concurrency", "{kind}");
    }
}

#[test]
fn a_restore_counts_and_the_init_of_its_snapshot_does_not() {
    let mut environment = environment(SpanMode::Auto);
    init(&mut environment, 1000, "snap-start", InitPhase::Init);
    add(&mut environment, 90_000, PlatformEvent::RestoreStart);
    let restored = PhaseEnd { duration_ms: Some(210.0), ..PhaseEnd::default() };
    add(&mut environment, 90_210, PlatformEvent::RestoreReport(restored));
    begin(&mut environment, "r-1", 90_220);
    environment.note_root(root(Some("r-1"), true), None);
    done(&mut environment, "r-1", 90_320);
    let parent = Some("35465b3a9e2f7c6a".to_owned());
    assert_eq!(spans(&mut environment), [("function.aws.restore".to_owned(), parent, 90_000, 210)]);
}

#[test]
fn an_init_inside_the_first_invocation_is_its_own() {
    let mut environment = environment(SpanMode::Auto);
    begin(&mut environment, "r-1", 1000);
    init(&mut environment, 1410, "on-demand", InitPhase::Invoke);
    environment.note_root(root(Some("r-1"), true), None);
    done(&mut environment, "r-1", 1500);
    let sets = environment.take_spans(function, KEY);
    assert_eq!(sets[0].spans[0]["attributes"]["faas.coldstart"]["value"], false);
    assert_eq!(sets[0].spans[0]["attributes"]["sentry.op"]["value"], "function.aws.init");
}

#[test]
fn an_invocation_without_an_sdk_has_a_trace_of_its_own() {
    let mut environment = environment(SpanMode::Rate(1.0));
    init(&mut environment, 1000, "on-demand", InitPhase::Init);
    begin(&mut environment, "r-1", 1010);
    done(&mut environment, "r-1", 1110);
    assert_eq!(ops(&mut environment), [""; 0], "the report may still come");
    report(&mut environment, "r-1", 1160, 50.0);
    let found = spans(&mut environment);
    let times: Vec<_> = found.iter().map(|(op, _, start, took)| (&**op, *start, *took)).collect();
    assert_eq!(
        times,
        [("function.aws", 1010, 100), ("function.aws.init", 600, 400), ("function.aws.extensions", 1110, 50)]
    );
    assert!(found[0].1.is_none() && found[1].1.is_some() && found[1].1 == found[2].1);
    // Of one that times out there is no report, and the environment ends.
    begin(&mut environment, "r-2", 2000);
    add(&mut environment, 5000, PlatformEvent::RuntimeDone(end("r-2", "timeout", 3000.0)));
    environment.closed(at(5010));
    let sets = environment.take_spans(function, KEY);
    assert_eq!((sets.len(), &sets[0].spans[0]["status"]), (1, &"error".into()));
    let trace: Value = serde_json::from_str(&sets[0].trace).unwrap();
    assert_eq!((&trace["trace_id"], &trace["public_key"]), (&TRACE.into(), &KEY.into()));
    assert_eq!((&trace["sampled"], &trace["sample_rate"]), (&"true".into(), &"1".into()));
}

#[test]
fn what_an_sdk_has_not_sampled_gets_no_trace() {
    let mut environment = environment(SpanMode::Rate(1.0));
    environment.spans.has_tracing_sdk = true;
    init(&mut environment, 1000, "on-demand", InitPhase::Init);
    begin(&mut environment, "r-1", 1010);
    done(&mut environment, "r-1", 1110);
    report(&mut environment, "r-1", 1160, 50.0);
    environment.closed(at(2000));
    assert_eq!(ops(&mut environment), [""; 0]);
}
