use super::*;
use crate::config::FaultKind;
use crate::telemetry::{InitPhase, InitStart, InvocationEnd, InvocationStart, PhaseEnd, PlatformFault};
use proptest::prelude::*;
use std::time::UNIX_EPOCH;

const MIB: u64 = 1 << 20;

/// What Lambda or an SDK tells. Events come one after the other, and so does what happens between them.
#[derive(Clone, Debug)]
enum Event {
    Invoke(&'static str),
    Shutdown(ShutdownReason),
    Sample(u64),
    OomKill,
    Unhandled(&'static str),
}

fn now() -> SystemTime {
    UNIX_EPOCH + Duration::from_hours(498_778)
}

fn end(id: &str, status: &str, error_type: &str) -> InvocationEnd {
    InvocationEnd {
        request: RequestId::new(id),
        status: status.to_owned(),
        error_type: Some(error_type.to_owned()).filter(|text| !text.is_empty()),
        ..InvocationEnd::default()
    }
}

fn start(id: &str) -> PlatformEvent {
    PlatformEvent::Start(InvocationStart { request: RequestId::new(id), trace: None })
}

fn done(id: &str, status: &str, error_type: &str) -> PlatformEvent {
    PlatformEvent::RuntimeDone(end(id, status, error_type))
}

fn report(id: &str, status: &str, error_type: &str, used: f64) -> PlatformEvent {
    let mut end = end(id, status, error_type);
    end.metrics.memory_size_mb = Some(128.0);
    end.metrics.max_memory_used_mb = Some(used);
    PlatformEvent::Report(end)
}

fn init(phase: InitPhase, status: &str, error_type: &str) -> PhaseEnd {
    let error_type = Some(error_type.to_owned()).filter(|text| !text.is_empty());
    PhaseEnd { phase, status: Some(status.to_owned()), error_type, duration_ms: None }
}

fn init_start(phase: InitPhase) -> PlatformEvent {
    PlatformEvent::InitStart(InitStart { phase, ..InitStart::default() })
}

/// A kind of end: events in their order, records in any, and the fault that follows: its kind, its request, its text.
type Scenario = (Vec<Event>, Vec<PlatformEvent>, Option<(FaultKind, &'static str, &'static str)>);

#[expect(clippy::too_many_lines)]
fn scenarios() -> Vec<Scenario> {
    use Event::{Invoke, OomKill, Sample, Shutdown, Unhandled};
    use FaultKind::{InitError, OutOfMemory, RuntimeExit, SandboxFailure, Timeout};
    let failure = || Shutdown(ShutdownReason::Failure);
    let exit = || done("r", "error", "Runtime.ExitError");
    let again =
        || PlatformEvent::InitRuntimeDone(init(InitPhase::Invoke, "error", "Runtime.ImportModuleError"));
    let ahead =
        || PlatformEvent::InitRuntimeDone(init(InitPhase::Init, "error", "Runtime.ImportModuleError"));
    let exited = "The runtime exited during the invocation (Runtime.ExitError)";
    vec![
        (
            vec![Invoke("r"), Shutdown(ShutdownReason::Timeout)],
            vec![start("r"), done("r", "timeout", ""), report("r", "timeout", "", 128.0)],
            Some((Timeout, "r", "Task timed out after 3.00 seconds")),
        ),
        (
            // The function had answered, and an extension was late.
            vec![Invoke("r"), Shutdown(ShutdownReason::Timeout)],
            vec![start("r"), done("r", "success", "")],
            Some((Timeout, "r", "Task timed out after 3.00 seconds")),
        ),
        (vec![Invoke("r"), failure()], vec![start("r"), exit()], Some((RuntimeExit, "r", exited))),
        (
            vec![Invoke("r"), failure()],
            vec![
                start("r"),
                exit(),
                PlatformEvent::Fault(PlatformFault {
                    request: Some(RequestId::new("r")),
                    text: "Runtime exited with error: exit status 1".to_owned(),
                }),
            ],
            Some((RuntimeExit, "r", "Runtime exited with error: exit status 1")),
        ),
        (vec![Invoke("r"), Unhandled("r"), failure()], vec![start("r"), exit()], None),
        (
            vec![Invoke("r"), failure()],
            vec![start("r"), done("r", "error", "Runtime.OutOfMemory")],
            Some((OutOfMemory, "r", "Out of memory")),
        ),
        (
            vec![Invoke("r"), failure()],
            vec![start("r"), exit(), report("r", "error", "Runtime.ExitError", 127.0)],
            Some((OutOfMemory, "r", "Out of memory: 127 of 128 MB used")),
        ),
        (
            vec![Invoke("r"), failure()],
            vec![start("r"), exit(), report("r", "error", "Runtime.ExitError", 126.0)],
            Some((RuntimeExit, "r", exited)),
        ),
        (
            vec![
                Invoke("r"),
                Sample(90 * MIB),
                Sample(127 * MIB),
                Sample(3 * MIB),
                Unhandled("r"),
                failure(),
            ],
            vec![start("r"), exit()],
            Some((OutOfMemory, "r", "Out of memory: 127 of 128 MB used")),
        ),
        (
            vec![Invoke("r"), OomKill, failure()],
            vec![start("r"), exit()],
            Some((OutOfMemory, "r", "Out of memory")),
        ),
        (
            // Memory was full, and nothing was killed.
            vec![Invoke("r"), Sample(128 * MIB), Shutdown(ShutdownReason::Other)],
            vec![start("r"), done("r", "success", ""), report("r", "success", "", 128.0)],
            None,
        ),
        (
            vec![Invoke("r"), failure()],
            vec![start("r"), done("r", "failure", "Sandbox.Failure")],
            Some((SandboxFailure, "r", "Lambda could not run the function (Sandbox.Failure)")),
        ),
        (
            // It ends as if nobody needed it any more.
            vec![Shutdown(ShutdownReason::Other)],
            vec![
                init_start(InitPhase::Init),
                ahead(),
                PlatformEvent::InitReport(init(InitPhase::Init, "error", "")),
            ],
            Some((InitError, "", "Init failed (Runtime.ImportModuleError)")),
        ),
        (
            // Init is run again inside the first invocation, in the same process.
            vec![Invoke("r"), failure()],
            vec![ahead(), again(), start("r"), done("r", "error", "Runtime.ImportModuleError")],
            Some((InitError, "", "Init failed (Runtime.ImportModuleError)")),
        ),
        (
            // The same in a process of its own.
            vec![Invoke("r"), failure()],
            vec![init_start(InitPhase::Invoke), again(), start("r"), exit()],
            Some((InitError, "r", "Init failed (Runtime.ImportModuleError)")),
        ),
        (
            // A suppressed init: the second try works.
            vec![Invoke("r"), failure()],
            vec![PlatformEvent::InitRuntimeDone(init(InitPhase::Invoke, "success", "")), start("r"), exit()],
            Some((RuntimeExit, "r", exited)),
        ),
        (
            vec![failure()],
            vec![PlatformEvent::RestoreRuntimeDone(init(
                InitPhase::Init,
                "error",
                "Runtime.RestoreHookUserError",
            ))],
            Some((InitError, "", "Restore failed (Runtime.RestoreHookUserError)")),
        ),
        (
            // What a handler raises, the runtime catches.
            vec![Invoke("q"), Unhandled("q"), Invoke("r"), Shutdown(ShutdownReason::Other)],
            vec![
                start("q"),
                done("q", "success", ""),
                start("r"),
                done("r", "error", "Function.ResponseSizeTooLarge"),
            ],
            None,
        ),
        (vec![Shutdown(ShutdownReason::Other)], vec![init_start(InitPhase::Init)], None),
    ]
}

fn take(environment: &mut Environment, event: &Event) -> Vec<Fault> {
    match event {
        Event::Invoke(id) => {
            let deadline = Some(now() + Duration::from_secs(3));
            let request = RequestId::new(id);
            return environment.invoked(Invoked { request, deadline, ..Invoked::default() }, now());
        }
        Event::Shutdown(reason) => return environment.shutting_down(*reason, now()),
        Event::Sample(bytes) => environment.sampled(*bytes),
        Event::OomKill => environment.oom_killed(),
        Event::Unhandled(id) => {
            let note =
                EnvelopeNote { request: Some((*id).to_owned()), unhandled: true, ..EnvelopeNote::default() };
            environment.note(note, None);
        }
    }
    Vec::new()
}

/// Feeds events in their order and records in this order, `places` apart.
fn run(events: &[Event], records: &[PlatformEvent], places: &[usize]) -> Vec<Fault> {
    let mut environment = Environment::new(FaultKinds::ALL, SpanMode::Auto, false, 128 * MIB);
    let mut faults = Vec::new();
    for at in 0..=events.len() {
        for (record, _) in records.iter().zip(places).filter(|(_, place)| **place % (events.len() + 1) == at)
        {
            let record = Record { time: Some(now()), event: record.clone() };
            faults.extend(environment.heard(vec![record], now()));
        }
        faults.extend(events.get(at).map(|event| take(&mut environment, event)).into_iter().flatten());
    }
    faults.extend(environment.closed(now()));
    // What comes after the end, or again, changes nothing.
    for record in records {
        faults.extend(environment.heard(vec![Record { time: None, event: record.clone() }], now()));
    }
    faults.extend(environment.closed(now()));
    faults
}

fn described(faults: &[Fault]) -> Vec<(FaultKind, String, String)> {
    let request = |fault: &Fault| fault.invocation().map(|one| one.request.to_string()).unwrap_or_default();
    faults.iter().map(|fault| (fault.verdict.kind, request(fault), fault.verdict.text.clone())).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]

    #[test]
    fn the_same_evidence_is_the_same_fault_in_every_order(
        which in 0..scenarios().len(),
        order in Just((0..8).collect::<Vec<usize>>()).prop_shuffle(),
        places in prop::collection::vec(0..8usize, 8),
        repeated in any::<bool>(),
    ) {
        let (events, records, expected) = scenarios().swap_remove(which);
        let mut shuffled: Vec<_> = order.iter().filter_map(|at| records.get(*at).cloned()).collect();
        if repeated {
            shuffled.extend(records);
        }
        let faults = run(&events, &shuffled, &places);
        let expected = expected.map(|(kind, request, text)| (kind, request.to_owned(), text.to_owned()));
        prop_assert_eq!(described(&faults), Vec::from_iter(expected));
    }
}

#[test]
fn without_telemetry_shutdown_decides() {
    for (reason, expected) in [
        (ShutdownReason::Timeout, Some(FaultKind::Timeout)),
        (ShutdownReason::Failure, Some(FaultKind::RuntimeExit)),
        (ShutdownReason::Other, None),
    ] {
        let faults = run(&[Event::Invoke("q"), Event::Invoke("r"), Event::Shutdown(reason)], &[], &[]);
        assert_eq!(
            faults.iter().map(|fault| fault.verdict.kind).collect::<Vec<_>>(),
            Vec::from_iter(expected)
        );
        assert!(faults.iter().all(|fault| fault.invocation().unwrap().request == RequestId::new("r")));
    }
}

#[test]
fn memory_is_bounded() {
    for (managed, most) in [(false, MAX_INVOCATIONS), (true, MAX_MANAGED)] {
        let mut environment = Environment::new(FaultKinds::ALL, SpanMode::Auto, managed, 128 * MIB);
        for n in 0..1000 {
            let record = Record { time: None, event: done(&n.to_string(), "timeout", "") };
            environment.heard(vec![record], now());
        }
        assert_eq!(environment.invocations.len(), most);
    }
}

#[test]
fn an_sdk_that_is_faster_than_lambda_is_heard() {
    let events = [Event::Unhandled("r"), Event::Invoke("r"), Event::Shutdown(ShutdownReason::Failure)];
    assert_eq!(described(&run(&events, &[], &[])), []);
    let events = [Event::Unhandled("q"), Event::Invoke("r"), Event::Shutdown(ShutdownReason::Failure)];
    assert_eq!(run(&events, &[], &[]).len(), 1);
}

#[test]
fn ten_faults_a_minute_and_not_more() {
    let mut environment = Environment::new(FaultKinds::ALL, SpanMode::Auto, true, 128 * MIB);
    let told = |environment: &mut Environment, prefix: &str, at: SystemTime| {
        let report = |n| Record { time: None, event: report(&format!("{prefix}{n}"), "timeout", "", 1.0) };
        (0..30).map(|n| environment.heard(vec![report(n)], at).len()).sum::<usize>()
    };
    assert_eq!(told(&mut environment, "a", now()), 10);
    assert_eq!(told(&mut environment, "b", now() + Duration::from_secs(30)), 0);
    assert_eq!(told(&mut environment, "c", now() + Duration::from_mins(1)), 10);
}
