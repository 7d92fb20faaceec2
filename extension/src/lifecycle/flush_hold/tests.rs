//! Random invocations under clocks that jump back and forwards, or run too slowly or too fast. No hold passes the
//! budget: the time to the deadline that the clock showed when the invocation began, less 150 ms.

use super::*;
use crate::config::{Config, FlushMode, Overrides};
use crate::lifecycle::{ExtensionName, Lifecycle, RuntimeApi};
use crate::telemetry::{InvocationEnd, InvocationStart, PlatformEvent, Script};
use proptest::prelude::*;
use std::sync::Arc;
use std::time::SystemTime;

/// Timers have a resolution of a millisecond.
const RESOLUTION: Duration = Duration::from_millis(2);
/// The longest time that a delivery may take, by default.
const DELIVERY: Duration = Duration::from_secs(2);
/// How long telemetry may take to report that the function has started.
const START: Duration = Duration::from_millis(250);
const DAY: i64 = 24 * 3600 * 1000;

/// One invocation. All times are in milliseconds.
#[derive(Clone, Debug)]
struct Invocation {
    /// By how much the wall clock differs from the last invocation.
    clock: i64,
    /// The time to the deadline by this clock.
    left: Option<i64>,
    /// When telemetry reports start and end, from the beginning of the invocation.
    started: Option<u64>,
    done: Option<u64>,
    has_envelope: bool,
}

fn invocation() -> impl Strategy<Value = Invocation> {
    let clock = prop_oneof![6 => 0..3000_i64, 2 => -3000..0_i64, 1 => -DAY..DAY];
    let left = prop_oneof![6 => 0..10_000_i64, 1 => -DAY..DAY, 1 => Just(900_000)];
    let report = || prop::option::weighted(0.8, prop_oneof![3 => 0..200_u64, 1 => 200..20_000_u64]);
    (clock, prop::option::weighted(0.9, left), report(), report(), any::<bool>()).prop_map(
        |(clock, left, started, done, has_envelope)| Invocation { clock, left, started, done, has_envelope },
    )
}

fn moved(time: SystemTime, by: i64) -> SystemTime {
    let distance = Duration::from_millis(by.unsigned_abs());
    if by < 0 { time - distance } else { time + distance }
}

/// Runs the invocations in one environment, in which nothing is ever delivered. Returns how long each was held.
async fn holds(mode: FlushMode, has_telemetry: bool, invocations: &[Invocation]) -> Vec<Duration> {
    let (mut config, _) = Config::read(|_| None, Overrides::default());
    config.flush = mode;
    let relay = Relay::without_deliveries(&config);
    let api = RuntimeApi("127.0.0.1:9".to_owned());
    let lifecycle = Lifecycle::new(api, ExtensionName("test".to_owned()), &config, None);
    let (script, telemetry) = Script::subscribe();
    let script = Arc::new(script);
    let mut now = SystemTime::now();
    let mut holds = Vec::new();
    for (number, invocation) in invocations.iter().enumerate() {
        now = moved(now, invocation.clock);
        if invocation.has_envelope {
            relay.accept_sample();
        }
        let request = RequestId::new(&number.to_string());
        let start = PlatformEvent::Start(InvocationStart { request: request.clone(), trace: None });
        let end = InvocationEnd { request: request.clone(), ..InvocationEnd::default() };
        let reports = [(invocation.started, start), (invocation.done, PlatformEvent::RuntimeDone(end))];
        for (after, event) in reports {
            let script = Arc::clone(&script);
            tokio::spawn(async move {
                let Some(after) = after else { return };
                tokio::time::sleep(Duration::from_millis(after)).await;
                script.report(&event);
            });
        }
        let deadline = invocation.left.map(|left| moved(now, left));
        let begun = Instant::now();
        let subscription = has_telemetry.then_some(&telemetry);
        lifecycle.decide_hold(&relay, subscription, request, deadline, now).until_released(&relay).await;
        holds.push(begun.elapsed());
    }
    holds
}

/// Runs on a clock that only waiting moves, so that a busy machine makes no difference.
fn on_a_paused_clock<T>(work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    runtime.unwrap().block_on(work)
}

/// The bound of one hold, by what the function and the deadline allow.
fn bound(mode: FlushMode, has_telemetry: bool, invocation: &Invocation) -> Duration {
    if mode == FlushMode::Continuous {
        return Duration::ZERO;
    }
    let milliseconds = invocation.left.unwrap_or(0).saturating_sub(150).clamp(0, 15 * 60 * 1000);
    let budget = Duration::from_millis(milliseconds.unsigned_abs());
    let by_function = match invocation.done {
        _ if !has_telemetry => Duration::from_millis(500),
        Some(done) => Duration::from_millis(done).max(START) + DELIVERY,
        None if invocation.started.is_none() => START + DELIVERY,
        None => budget,
    };
    budget.min(by_function)
}

#[test]
fn a_hold_lasts_as_long_as_its_bound_if_nothing_is_delivered() {
    let invocation =
        Invocation { clock: 0, left: Some(3000), started: Some(1), done: Some(500), has_envelope: true };
    let late = Invocation { done: Some(1500), ..invocation.clone() };
    let all = [invocation, late];
    let holds = on_a_paused_clock(holds(FlushMode::End, true, &all));
    for (hold, milliseconds) in holds.into_iter().zip([2500, 2850]) {
        let expected = Duration::from_millis(milliseconds);
        assert!((expected..expected + RESOLUTION).contains(&hold), "{hold:?} instead of {expected:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_hold_passes_the_budget_under_any_clock(
        mode in prop::sample::select(vec![FlushMode::Auto, FlushMode::End, FlushMode::Continuous]),
        has_telemetry in any::<bool>(),
        invocations in prop::collection::vec(invocation(), 1..20),
    ) {
        let holds = on_a_paused_clock(holds(mode, has_telemetry, &invocations));
        for (hold, invocation) in holds.into_iter().zip(&invocations) {
            let bound = bound(mode, has_telemetry, invocation);
            prop_assert!(hold <= bound + RESOLUTION, "{:?} instead of {:?} for {:?}", hold, bound, invocation);
        }
    }
}
