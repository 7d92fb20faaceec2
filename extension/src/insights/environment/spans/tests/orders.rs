//! Events in any order and any number of times.

use super::{KEY, at, begin, done, environment, function, init, report, root};
use crate::config::SpanMode;
use crate::insights::environment::MAX_INVOCATIONS;
use crate::insights::invocation::Invocation;
use crate::protocol::EnvelopeNote;
use crate::telemetry::InitPhase;
use proptest::prelude::*;

/// What may happen to one of the invocations that are kept, in any order and any number of times.
#[derive(Clone, Copy, Debug)]
enum Event {
    Begin(usize),
    Done(usize),
    Report(usize),
    Root(usize),
    Note(usize),
    Init,
    Closed,
}

fn any_event() -> impl Strategy<Value = Event> {
    prop_oneof![
        (0..MAX_INVOCATIONS).prop_map(Event::Begin),
        (0..MAX_INVOCATIONS).prop_map(Event::Done),
        (0..MAX_INVOCATIONS).prop_map(Event::Report),
        (0..MAX_INVOCATIONS).prop_map(Event::Root),
        (0..MAX_INVOCATIONS).prop_map(Event::Note),
        Just(Event::Init),
        Just(Event::Closed),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_span_is_made_twice_and_none_in_a_trace_that_is_not_sampled(
        events in proptest::collection::vec(any_event(), 0..60),
        rate in prop_oneof![Just(SpanMode::Off), Just(SpanMode::Auto), Just(SpanMode::Rate(1.0))],
        is_unsampled in any::<bool>(),
    ) {
        let mut environment = environment(rate);
        environment.spans.has_tracing_sdk = is_unsampled;
        let mut seen = std::collections::HashSet::new();
        for (step, event) in events.into_iter().enumerate() {
            let now = 1000 + 500 * step as u64;
            let id = |number: usize| format!("r-{number}");
            match event {
                Event::Begin(number) => {
                    // What comes again with an id that is over, or that another one has followed, is another try.
                    let id = id(number);
                    let latest = environment.latest_at();
                    let mut known = environment.invocations.iter().enumerate();
                    let of_id = known.find(|(_, one)| one.request.is(&id) && one.invoked.is_some());
                    let is_over = |at, one: &Invocation| {
                        one.runtime_done.is_some() || one.report.is_some() || Some(at) < latest
                    };
                    if of_id.is_some_and(|(at, one)| is_over(at, one)) {
                        seen.retain(|(request, _)| *request != id);
                    }
                    begin(&mut environment, &id, now);
                }
                Event::Done(number) => done(&mut environment, &id(number), now),
                Event::Report(number) => report(&mut environment, &id(number), now, 50.0),
                Event::Root(_) if is_unsampled => {}
                Event::Root(number) => environment.note_root(root(Some(&id(number)), true), None),
                Event::Note(number) => {
                    let note = EnvelopeNote { request: Some(id(number)), ..EnvelopeNote::default() };
                    environment.note(note, None);
                }
                Event::Init => init(&mut environment, now, "on-demand", InitPhase::Init),
                Event::Closed => { environment.closed(at(now)); }
            }
            let sets = environment.take_spans(function, KEY);
            prop_assert!(rate != SpanMode::Off || sets.is_empty());
            prop_assert!(!is_unsampled || sets.is_empty());
            for span in sets.iter().flat_map(|set| &set.spans) {
                let of = |name: &str| span["attributes"][name]["value"].as_str().unwrap().to_owned();
                let (request, op) = (of("faas.invocation_id"), of("sentry.op"));
                prop_assert!(seen.insert((request, op)), "{span}");
            }
        }
    }
}
