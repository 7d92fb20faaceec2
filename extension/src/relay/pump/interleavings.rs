//! Random interleavings of all that can happen to envelopes: they are accepted, tried, limited and given to Sentry's
//! Relay, tries end in every way, and meanwhile the environment is frozen, its clocks jump, and it ends. The clocks are
//! the test's own, and there is no network.

mod step;

use super::outcome;
use crate::config::{Config, Overrides, Upstream};
use crate::log;
use crate::protocol::{Encoding, Item, ItemKind};
use crate::relay::client::active_timeout::TimeoutKind;
use crate::relay::client::{Reply, SendError, SendResult};
use crate::relay::client_reports::ClientReport;
use crate::relay::core::Core;
use crate::relay::envelope::{Envelope, sample};
use crate::relay::fault_keeper::{FaultKeeper, OptionalKeeper};
use crate::relay::pending::Pending;
use crate::relay::queue::{FAULT_RESERVE, GROWTH_RESERVE};
use crate::relay::state::{CustodyNumber, State};
use crate::relay::verdict::judge;
use proptest::prelude::*;
use std::collections::{HashMap, HashSet};
use std::io::Write as _;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime};
use step::{Answer, Step, step};

/// The bound of the queue. It is small, so that most sequences fill it.
const BUFFER: usize = 24 * 1024;
/// Longer than every pause and every rate limit of these tests.
const LONG: Duration = Duration::from_hours(1);
const SENT_AT: &str = r#"{"sent_at":"2026-01-01T00:00:00.000Z"}"#;

/// Knows of which faults the relay has said what becomes of them.
#[derive(Clone, Debug, Default)]
struct Keeper(Arc<Mutex<HashSet<String>>>);

impl Keeper {
    fn note(&self, fault: &Envelope) {
        self.0.lock().unwrap().insert(fault.path.clone());
    }
}

impl FaultKeeper for Keeper {
    fn keep(&self, fault: &Envelope) -> bool {
        self.note(fault);
        fault.body.len().is_multiple_of(2)
    }

    fn ended(&self, fault: &Envelope) {
        self.note(fault);
    }
}

/// The environment that the steps happen to.
struct Environment {
    core: Core,
    keeper: Keeper,
    /// The paths of the faults that were accepted.
    faults: HashSet<String>,
    /// The tries that are under way.
    tries: Vec<Pending>,
    reports: Vec<ClientReport>,
    /// What Sentry's Relay has.
    custody: Vec<CustodyNumber>,
    /// The number of the last envelope, which its path contains.
    last: usize,
    /// By what belongs together, the number of what was delivered last.
    delivered: HashMap<u64, usize>,
    monotonic: Duration,
    forward: Duration,
    back: Duration,
}

impl Environment {
    fn new(is_filtering: bool) -> Self {
        let (mut config, _) = Config::read(|_| None, Overrides::default());
        (config.buffer, config.max_body) = (BUFFER, 64 * 1024);
        let (core, keeper) = (Core::new(&config, is_filtering), Keeper::default());
        core.state().set_fault_keeper(OptionalKeeper::new(keeper.clone()));
        Self {
            core,
            keeper,
            faults: HashSet::new(),
            tries: Vec::new(),
            reports: Vec::new(),
            custody: Vec::new(),
            last: 0,
            delivered: HashMap::new(),
            monotonic: Duration::ZERO,
            forward: Duration::ZERO,
            back: Duration::ZERO,
        }
    }

    fn clock(&self) -> Instant {
        Instant::now() + self.monotonic
    }

    fn wall(&self) -> SystemTime {
        SystemTime::now() + self.forward - self.back
    }

    /// Makes an envelope with an item of this kind, and with a file if it is compressed. It grows when that is removed.
    fn envelope(&mut self, kind: ItemKind, length: usize, compressed: bool) -> Envelope {
        self.last += 1;
        let payload = match kind {
            ItemKind::Session => format!(r#"{{"sid":"{}","x":"{}"}}"#, length % 2, "x".repeat(length)),
            ItemKind::CheckIn => {
                format!(r#"{{"monitor_slug":"{}","x":"{}"}}"#, length % 2, "x".repeat(length))
            }
            _ => "x".repeat(length),
        };
        let mut body = format!("{SENT_AT}\n{{\"length\":{}}}\n{payload}\n", payload.len()).into_bytes();
        let mut items = vec![Item { kind, count: 1, bytes: payload.len() }];
        let mut encoding = Encoding::Identity;
        if compressed {
            body.extend(b"{\"length\":1}\nx\n");
            items.push(Item { kind: ItemKind::Attachment, count: 1, bytes: 1 });
            let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            gzip.write_all(&body).unwrap();
            (body, encoding) = (gzip.finish().unwrap(), Encoding::Gzip);
        }
        let path = format!("/api/{}/envelope/", self.last);
        Envelope { path, items: items.into(), body: body.into(), encoding, ..sample(kind, 0) }
    }

    fn take(&mut self, step: &Step) {
        let (clock, wall) = (self.clock(), self.wall());
        match *step {
            Step::Accept { kind, length, compressed, upstream, is_background } => {
                let upstream = Arc::new(Upstream::parse(&format!("http://127.0.0.1:{upstream}")).unwrap());
                let envelope = Envelope { upstream, ..self.envelope(kind, length, compressed) };
                let envelope = if is_background { envelope.in_background() } else { envelope };
                let mut state = self.core.state();
                if let (Some(admitted), _) = state.admit(envelope, wall) {
                    if kind == ItemKind::Fault {
                        self.faults.insert(admitted.path.clone());
                    }
                    state.accept(admitted, wall);
                }
            }
            Step::CheckOut { held } => {
                let next = self.core.state().check_out(clock, wall, held);
                if let Some(next) = next {
                    let is_apart = |other: &Pending| next.keys.iter().all(|key| !other.keys.contains(key));
                    assert!(self.tries.iter().all(is_apart), "what belongs together is on its way twice");
                    self.tries.push(next);
                }
            }
            Step::End { nth, answer } => {
                if let Some(at) = nth.checked_rem(self.tries.len()) {
                    let pending = self.tries.swap_remove(at);
                    self.end(pending, answer);
                }
            }
            Step::Panic => {
                self.tries.clear();
                self.core.state().reclaim_in_flight();
            }
            Step::ReportLeaves => {
                let report = self.core.state().check_out_report(wall, |_| true);
                self.reports.extend(report);
            }
            Step::ReportEnds { arrived } => {
                if let Some(report) = self.reports.pop() {
                    self.core.state().check_in_report(report, arrived);
                }
            }
            Step::Wait(time) => {
                self.monotonic += time;
                self.forward += time;
            }
            Step::Freeze(time) => {
                self.forward += time;
                let wall = self.wall();
                self.core.state().catch_up(wall);
            }
            Step::SetBack(time) => self.back += time,
            Step::Shutdown if self.core.state().draining() => {
                self.core.state().close();
            }
            Step::Shutdown => self.core.state().start_draining(clock + Duration::from_secs(2)),
            _ => self.filter(step, clock, wall),
        }
    }

    fn filter(&mut self, step: &Step, clock: Instant, wall: SystemTime) {
        let mut state = self.core.state();
        if !state.is_filtering() {
            return;
        }
        let mut one = |nth: usize| nth.checked_rem(self.custody.len()).map(|at| self.custody.swap_remove(at));
        match *step {
            Step::FilterTakes => self.custody.extend(state.take_unfiltered(wall).map(|(number, _)| number)),
            Step::FilterReturns { nth, length } => {
                let Some(number) = one(nth) else { return };
                // It may come back late, when it has left custody already.
                let given = state.custody(Some(number)).map(|(_, given)| given);
                let given = given.unwrap_or_else(|| Arc::new(sample(ItemKind::Event, 0)));
                // What comes back is not compressed, and has another size.
                let body = format!("{SENT_AT}\n{{\"length\":{length}}}\n{}\n", "y".repeat(length));
                let items = [Item { bytes: length, ..given.items[0] }].into();
                let returned = Envelope { items, ..given.decoded(body) };
                state.hand_back(Some(number), returned, length % 2 == 0, clock, wall);
            }
            Step::FilterDrops { nth } => {
                if let Some(number) = one(nth) {
                    state.book_filtered(number);
                }
            }
            Step::FilterIsLate { nth } => {
                if let Some(at) = nth.checked_rem(self.custody.len()) {
                    state.set_late(self.custody[at]);
                }
            }
            Step::FilterRefuses { nth } => {
                if let Some(number) = one(nth) {
                    state.refused(number, nth % 2 == 0, clock, wall);
                }
            }
            Step::FilterFails => {
                self.custody.clear();
                state.filter_has_failed(false);
            }
            Step::FilterIsReady => state.filter_is_ready(),
            Step::FilterStops => {
                self.custody.clear();
                state.stop_filtering(false, clock, wall);
            }
            _ => {}
        }
    }

    /// Ends a try, as the pump does.
    fn end(&mut self, pending: Pending, answer: Answer) {
        let reply = |status| Reply { status, ..Reply::default() };
        let result: SendResult = match answer {
            Answer::Status(status) => Ok(reply(status)),
            Answer::RetryAfter(status) => {
                Ok(Reply { retry_after: Some(Duration::from_secs(7)), ..reply(status) })
            }
            Answer::Limits(status, limits) => {
                Ok(Reply { rate_limits: Some(limits.to_owned()), ..reply(status) })
            }
            Answer::NoConnection => Err(SendError::Body("no connection".into())),
            Answer::Silence => {
                pending.unanswered.fetch_add(1, Ordering::Relaxed);
                Err(SendError::Timeout(TimeoutKind::TimedOut))
            }
            Answer::Frozen => Err(SendError::Timeout(TimeoutKind::Frozen)),
        };
        let mut state = self.core.state();
        let before = state.ledger();
        let (keys, path) = (pending.keys.clone(), pending.envelope.path.clone());
        outcome::record(&mut state, pending, &result, judge(&result), Duration::from_millis(50));
        if state.ledger().delivered > before.delivered {
            let number: usize = path.split('/').nth(2).unwrap().parse().unwrap();
            for key in keys {
                let last = self.delivered.insert(key, number);
                assert!(last < Some(number), "{number} was delivered after {last:?}");
            }
        }
    }

    /// Lets upstream recover, and delivers until nothing leaves any more.
    fn recover(&mut self) {
        self.take(&Step::FilterStops);
        self.take(&Step::Wait(LONG + self.back));
        for pending in std::mem::take(&mut self.tries) {
            self.end(pending, Answer::Status(200));
        }
        loop {
            self.take(&Step::CheckOut { held: true });
            let Some(pending) = self.tries.pop() else { return };
            self.end(pending, Answer::Status(200));
            self.check();
        }
    }

    fn check(&self) {
        let state = self.core.state();
        check_counts(&state);
        if state.is_closed() {
            return;
        }
        let size = |pending: &Pending| pending.envelope.size();
        let total: usize = state.all_pending().map(size).sum();
        let of_faults: usize = state.all_pending().filter(|one| one.is_fault()).map(size).sum();
        assert_eq!(state.held_bytes(), total, "bytes are counted that are not there, or the other way round");
        // Only a wait of half an hour makes envelopes grow as they leave.
        if self.forward < Duration::from_mins(27) {
            assert!(total - of_faults <= BUFFER && total <= BUFFER + FAULT_RESERVE, "{total} {of_faults}");
        } else {
            assert!(total <= BUFFER + GROWTH_RESERVE, "{total}");
        }
    }
}

fn check_counts(state: &State) {
    let (ledger, pending) = (state.ledger(), state.pending());
    assert!(ledger.balances(pending), "{ledger:?} {pending}");
    assert_eq!(state.all_pending().count() as u64, pending);
    if !state.is_closed() {
        assert_eq!(state.oldest().is_some(), state.awaited() > 0);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_happens_the_ledger_balances_the_queue_keeps_its_bound_and_nothing_is_stuck(
        is_filtering in any::<bool>(),
        steps in prop::collection::vec(step(), 1..150),
    ) {
        // A line for each outage would be thousands.
        log::set_level(log::Level::Off);
        let mut environment = Environment::new(is_filtering);
        for step in &steps {
            environment.take(step);
            environment.check();
        }
        environment.recover();
        environment.check();
        prop_assert_eq!(environment.core.state().pending(), 0, "something never leaves");
        environment.take(&Step::Shutdown);
        environment.take(&Step::Shutdown);
        environment.check();
        prop_assert!(environment.keeper.0.lock().unwrap().is_superset(&environment.faults), "a fault is forgotten");
    }
}
