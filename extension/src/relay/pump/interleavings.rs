//! Random interleavings of all that can happen to envelopes: they are accepted, tried, limited and given to Sentry's
//! Relay, tries end in every way, and meanwhile the environment is frozen, its clocks jump, and it ends. The clocks are
//! the test's own, and there is no network.

use super::outcome;
use crate::config::{Config, Overrides, Upstream};
use crate::log;
use crate::protocol::{Encoding, Item, ItemKind};
use crate::relay::client::active_timeout::TimeoutKind;
use crate::relay::client::{Reply, SendError, SendResult};
use crate::relay::client_reports::ClientReport;
use crate::relay::core::Core;
use crate::relay::envelope::{Envelope, sample};
use crate::relay::pending::Pending;
use crate::relay::queue::{FAULT_RESERVE, GROWTH_RESERVE};
use crate::relay::state::{CustodyNumber, State};
use crate::relay::verdict::judge;
use proptest::prelude::*;
use std::collections::HashMap;
use std::io::Write as _;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant, SystemTime};

/// The bound of the queue. It is small, so that most sequences fill it.
const BUFFER: usize = 24 * 1024;
/// Longer than every pause and every rate limit of these tests.
const LONG: Duration = Duration::from_hours(1);
const SENT_AT: &str = r#"{"sent_at":"2026-01-01T00:00:00.000Z"}"#;

/// One thing that happens. Numbers choose among what is there.
#[derive(Clone, Debug)]
enum Step {
    Accept {
        kind: ItemKind,
        length: usize,
        compressed: bool,
        upstream: u16,
        is_background: bool,
    },
    CheckOut {
        held: bool,
    },
    End {
        nth: usize,
        answer: Answer,
    },
    /// The tasks that deliver panic.
    Panic,
    ReportLeaves,
    ReportEnds {
        arrived: bool,
    },
    /// Both clocks go on.
    Wait(Duration),
    /// Only the wall clock goes on, as in a freeze, and then Lambda sends an event.
    Freeze(Duration),
    /// The wall clock is set back.
    SetBack(Duration),
    FilterTakes,
    FilterReturns {
        nth: usize,
        length: usize,
    },
    FilterDrops {
        nth: usize,
    },
    FilterRefuses {
        nth: usize,
    },
    FilterFails,
    FilterIsReady,
    FilterStops,
    /// SHUTDOWN arrives, or its time is over.
    Shutdown,
}

/// How a try ends.
#[derive(Clone, Copy, Debug)]
enum Answer {
    Status(u16),
    RetryAfter(u16),
    Limits(u16, &'static str),
    NoConnection,
    Silence,
    Frozen,
}

fn answer() -> impl Strategy<Value = Answer> {
    let limits = ["60:attachment:key", "5:error;transaction:key, 60:session:key", "60::organization", "x"];
    prop_oneof![
        6 => Just(Answer::Status(200)),
        3 => prop::sample::select(vec![301, 400, 407, 413, 429, 500, 503, 508]).prop_map(Answer::Status),
        1 => prop::sample::select(vec![429, 503]).prop_map(Answer::RetryAfter),
        1 => (prop::sample::select(vec![200, 429]), prop::sample::select(limits.to_vec()))
            .prop_map(|(status, limits)| Answer::Limits(status, limits)),
        2 => Just(Answer::NoConnection),
        2 => Just(Answer::Silence),
        1 => Just(Answer::Frozen),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    use ItemKind::{Attachment, CheckIn, Event, Fault, Log, Profile, Session, Transaction};
    let kinds = [Attachment, CheckIn, Event, Fault, Log, Profile, Session, Session, Transaction];
    let arrival = (prop::sample::select(kinds.to_vec()), 0..5000_usize, any::<bool>(), 1..4_u16, 0..8_u8);
    let time = (0..4000_u64).prop_map(Duration::from_millis);
    let nth = any::<usize>;
    prop_oneof![
        20 => arrival.prop_map(|(kind, length, compressed, upstream, background)| {
            Step::Accept { kind, length, compressed, upstream, is_background: background == 0 }
        }),
        12 => any::<bool>().prop_map(|held| Step::CheckOut { held }),
        12 => (nth(), answer()).prop_map(|(nth, answer)| Step::End { nth, answer }),
        1 => Just(Step::Panic),
        1 => Just(Step::ReportLeaves),
        1 => any::<bool>().prop_map(|arrived| Step::ReportEnds { arrived }),
        3 => time.clone().prop_map(Step::Wait),
        2 => (time.clone(), prop::bool::weighted(0.1)).prop_map(|(time, is_long)| {
            Step::Freeze(if is_long { time + LONG } else { time })
        }),
        1 => time.prop_map(Step::SetBack),
        6 => Just(Step::FilterTakes),
        4 => (nth(), 0..5000_usize).prop_map(|(nth, length)| Step::FilterReturns { nth, length }),
        1 => nth().prop_map(|nth| Step::FilterDrops { nth }),
        1 => nth().prop_map(|nth| Step::FilterRefuses { nth }),
        1 => Just(Step::FilterFails),
        2 => Just(Step::FilterIsReady),
        1 => prop::bool::weighted(0.3).prop_map(|is| if is { Step::FilterStops } else { Step::FilterIsReady }),
        1 => prop::bool::weighted(0.2).prop_map(|is| if is { Step::Shutdown } else { Step::ReportLeaves }),
    ]
}

/// The environment that the steps happen to.
struct Environment {
    core: Core,
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
        let core = Core::new(&config, is_filtering);
        core.fault_keeper().set(|envelope| envelope.body.len().is_multiple_of(2));
        Self {
            core,
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
                self.core.state().close(|fault| self.core.fault_keeper().keep(fault));
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
            Step::FilterRefuses { nth } => {
                if let Some(number) = one(nth) {
                    state.refused(number, nth % 2 == 0, clock, wall);
                }
            }
            Step::FilterFails => {
                self.custody.clear();
                state.filter_has_failed();
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
        outcome::record(&self.core, &mut state, pending, &result, judge(&result), Duration::from_millis(50));
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
    }
}
