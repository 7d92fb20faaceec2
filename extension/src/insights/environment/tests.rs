mod scenarios;

use super::*;
use crate::config::FaultKind;
use crate::telemetry::{PhaseEnd, PlatformEvent, Record};
use proptest::prelude::*;
use scenarios::{done, report, scenarios};
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
            faults.extend(environment.add_records(vec![record], now()));
        }
        faults.extend(events.get(at).map(|event| take(&mut environment, event)).into_iter().flatten());
    }
    faults.extend(environment.closed(now()));
    // What comes after the end, or again, changes nothing.
    for record in records {
        faults.extend(environment.add_records(vec![Record { time: None, event: record.clone() }], now()));
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
            environment.add_records(vec![record], now());
        }
        assert_eq!(environment.invocations.len(), most);
    }
}

#[test]
fn an_envelope_that_comes_before_invoke_counts() {
    let events = [Event::Unhandled("r"), Event::Invoke("r"), Event::Shutdown(ShutdownReason::Failure)];
    assert_eq!(described(&run(&events, &[], &[])), []);
    let events = [Event::Unhandled("q"), Event::Invoke("r"), Event::Shutdown(ShutdownReason::Failure)];
    assert_eq!(run(&events, &[], &[]).len(), 1);
}

#[test]
fn ten_faults_a_minute_and_not_more() {
    let mut environment = Environment::new(FaultKinds::ALL, SpanMode::Auto, true, 128 * MIB);
    let reported = |environment: &mut Environment, prefix: &str, at: SystemTime| {
        let report = |n| Record { time: None, event: report(&format!("{prefix}{n}"), "timeout", "", 1.0) };
        (0..30).map(|n| environment.add_records(vec![report(n)], at).len()).sum::<usize>()
    };
    assert_eq!(reported(&mut environment, "a", now()), 10);
    assert_eq!(reported(&mut environment, "b", now() + Duration::from_secs(30)), 0);
    assert_eq!(reported(&mut environment, "c", now() + Duration::from_mins(1)), 10);
}

#[test]
fn what_the_rate_leaves_out_is_counted() {
    let mut environment = Environment::new(FaultKinds::ALL, SpanMode::Auto, true, 128 * MIB);
    for n in 0..30 {
        let report = Record { time: None, event: report(&n.to_string(), "timeout", "", 1.0) };
        environment.add_records(vec![report], now());
    }
    assert_eq!((environment.take_left_out(), environment.take_left_out()), (20, 0));
}

#[test]
fn a_fault_is_not_reported_again_after_its_request_was_forgotten() {
    let mut environment = Environment::new(FaultKinds::ALL, SpanMode::Auto, true, 128 * MIB);
    let mut reported = |id: &str, status: &str| {
        let report = Record { time: None, event: report(id, status, "", 1.0) };
        environment.add_records(vec![report], now()).len()
    };
    assert_eq!(reported("r", "timeout"), 1);
    for n in 0..MAX_MANAGED {
        assert_eq!(reported(&n.to_string(), "success"), 0);
    }
    assert_eq!(reported("r", "timeout"), 0);
}

#[test]
fn a_request_that_runs_is_not_forgotten_for_those_that_are_over() {
    let mut environment = Environment::new(FaultKinds::ALL, SpanMode::Auto, true, 128 * MIB);
    let mut told = |event| environment.add_records(vec![Record { time: Some(now()), event }], now());
    told(scenarios::start("long"));
    for n in 0..2 * MAX_MANAGED {
        told(scenarios::start(&n.to_string()));
        told(report(&n.to_string(), "success", "", 1.0));
    }
    let faults = told(report("long", "timeout", "", 1.0));
    assert_eq!(faults[0].invocation().unwrap().started, Some(now()));
}

#[test]
fn records_are_waited_for_that_may_name_the_fault() {
    let environment = |managed| Environment::new(FaultKinds::ALL, SpanMode::Auto, managed, 128 * MIB);
    let is_open = |mut environment: Environment, reason| {
        environment.shutting_down(reason, now());
        environment.is_open()
    };
    for reason in [ShutdownReason::Timeout, ShutdownReason::Failure, ShutdownReason::Other] {
        assert!(is_open(environment(false), reason), "nothing is known of init");
        assert!(is_open(environment(true), reason), "reports of requests are on their way");
    }
    let phase = |status: &str, error_type: Option<&str>| PhaseEnd {
        status: Some(status.to_owned()),
        error_type: error_type.map(str::to_owned),
        ..PhaseEnd::default()
    };
    let after = |events: Vec<PlatformEvent>| {
        let mut environment = environment(false);
        let records = events.into_iter().map(|event| Record { time: Some(now()), event });
        environment.add_records(records.collect(), now());
        environment
    };
    let initialized = || PlatformEvent::InitRuntimeDone(phase("success", None));
    assert!(!is_open(after(vec![initialized()]), ShutdownReason::Other));
    assert!(is_open(after(vec![initialized()]), ShutdownReason::Failure), "something else has failed");
    let restoring = || vec![initialized(), PlatformEvent::RestoreStart];
    assert!(is_open(after(restoring()), ShutdownReason::Other));
    let failed = PlatformEvent::RestoreRuntimeDone(phase("error", Some("Runtime.AfterRestoreError")));
    let restored = || restoring().into_iter().chain([failed.clone()]).collect();
    assert!(!is_open(after(restored()), ShutdownReason::Other));
    assert!(!is_open(after(restored()), ShutdownReason::Failure));
}
