//! Simulates what each flush policy costs and how fast it delivers, on several kinds of traffic. The policy is the real
//! one of `flush_policy.rs`, and so is the number of requests at a time, that of `concurrency.rs`. Lambda and Sentry
//! are models. It prints Markdown tables, which are the same at every run.
//!
//! A short freeze is modelled as a pause: a response that arrives during it is read after the thaw. A longer freeze
//! cancels every request that it interrupts, and the request starts again on a new connection. That is pessimistic.

use sentry_lambda_extension::config::FlushMode;
use sentry_lambda_extension::lifecycle::flush_policy::{Hold, Moment, Policy, Tuning};
use sentry_lambda_extension::relay::Backlog;
use sentry_lambda_extension::relay::concurrency::{Pace, limit};
use std::collections::VecDeque;
use std::fmt::Write as _;
use std::io::Write as _;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A point in time or a duration, in microseconds.
type Micros = u64;
const MS: Micros = 1_000;
const SECOND: Micros = 1_000 * MS;
const MINUTE: Micros = 60 * SECOND;

/// The duration of one request to upstream on an open connection, and on a new connection with TLS.
const WARM: Micros = 80 * MS;
const FRESH: Micros = 200 * MS;
/// A freeze of at least this length breaks the connections that are in use.
const CUT: Micros = 500 * MS;
/// A connection that was idle for longer than this is not used again.
const KEEP: Micros = 30 * SECOND;
/// The most idle connections that the extension keeps when nothing is being sent.
const KEPT: usize = 8;
/// The number of waiting envelopes that are scheduled. No environment can deliver more while it is awake for one
/// invocation, so the rest need no schedule.
const MAX_SCHEDULED: usize = 128;
/// The shortest time that Lambda buffers telemetry, and the time of the request that posts it.
const BUFFERED: Micros = 25 * MS;
const POSTED: Micros = 2 * MS;
/// An SDK sends its error this long before the function is done.
const REPORTED_BEFORE: Micros = MS;
/// An environment ends after this idle time, or at this age.
const IDLE: Micros = 15 * MINUTE;
const AGE: Micros = 40 * MINUTE;
/// The longest time that one request may take. It is the default of `SENTRY_EXTENSION_TIMEOUT`.
const TIMEOUT: Duration = Duration::from_secs(2);

fn main() -> std::io::Result<()> {
    let mut out = String::new();
    let auto = |change: fn(&mut Tuning)| {
        let mut tuning = Tuning::default();
        change(&mut tuning);
        (FlushMode::Auto, tuning)
    };
    let default = Tuning::default();
    let modes = [
        ("end", (FlushMode::End, default)),
        ("continuous", (FlushMode::Continuous, default)),
        ("**auto**", (FlushMode::Auto, default)),
    ];
    table(&mut out, "The three modes", &SHAPES, &modes, false);
    let variants = [
        ("**gap 2 s, window 8, age 1 s**", auto(|_| {})),
        ("gap 1 s", auto(|t| t.gap = Duration::from_secs(1))),
        ("gap 10 s", auto(|t| t.gap = Duration::from_secs(10))),
        ("window 2", auto(|t| t.window = 2)),
        ("window 16", auto(|t| t.window = 16)),
        ("age 0.2 s", auto(|t| t.age = Duration::from_millis(200))),
        ("age 5 s", auto(|t| t.age = Duration::from_secs(5))),
    ];
    table(
        &mut out,
        "`auto`, one parameter changed at a time, where that changes anything",
        &SHAPES,
        &variants,
        true,
    );
    std::io::stdout().write_all(out.as_bytes())
}

/// Adds a table with one row for each shape of traffic, error rate and policy. If `brief` is set, rows that equal the
/// first policy's row are left out.
fn table(
    out: &mut String,
    title: &str,
    shapes: &[Shape],
    policies: &[(&str, (FlushMode, Tuning))],
    brief: bool,
) {
    // Writing to a String cannot fail, so the results are ignored.
    let _ = writeln!(out, "### {title}\n");
    let _ = writeln!(
        out,
        "| traffic | errors | policy | billed, added per invocation | displaced | delay p50 | p99 | max | at SHUTDOWN |"
    );
    let _ = writeln!(out, "|---|---|---|--:|--:|--:|--:|--:|--:|");
    for shape in shapes {
        for (errors, every) in [("1 %", 100), ("all", 1)] {
            let mut first = None;
            for (name, (mode, tuning)) in policies {
                let row = shape.run(every, *mode, *tuning);
                if !(brief && first.as_ref() == Some(&row)) {
                    let _ = writeln!(out, "| {} | {errors} | {name} | {row} |", shape.name);
                }
                first.get_or_insert(row);
            }
        }
    }
    let _ = writeln!(out);
}

/// The random number generator splitmix64. It gives the same numbers at every run and on every machine.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn between(&mut self, low: u64, high: u64) -> u64 {
        low + self.next() % (high - low)
    }
}

/// The time at which a request reaches the environment, and how long the function runs for it.
struct Arrival {
    at: Micros,
    runs: Micros,
}

struct Shape {
    name: &'static str,
    environments: usize,
    plan: fn(&mut Random) -> Vec<Arrival>,
}

impl Shape {
    fn run(&self, error_every: u64, mode: FlushMode, tuning: Tuning) -> String {
        let (mut sums, mut random) = (Sums::default(), Random(7));
        for _ in 0..self.environments {
            let plan = (self.plan)(&mut random);
            environment(&plan, error_every, Policy::new(mode, tuning, TIMEOUT), &mut random, &mut sums);
        }
        sums.row()
    }
}

const SHAPES: [Shape; 7] = [
    Shape {
        name: "cron, every 5 min, 0.2–2 s",
        environments: 100,
        plan: |r| steady(r, 5 * MINUTE, (200 * MS, 2 * SECOND)),
    },
    Shape { name: "1/min, 50–500 ms", environments: 40, plan: |r| steady(r, MINUTE, (50 * MS, 500 * MS)) },
    Shape {
        name: "every 5 s, 20–200 ms",
        environments: 10,
        plan: |r| steady(r, 5 * SECOND, (20 * MS, 200 * MS)),
    },
    Shape { name: "1/s, 20–200 ms", environments: 4, plan: |r| steady(r, SECOND, (20 * MS, 200 * MS)) },
    Shape { name: "bursts: 10/s for 5 s, every 10 min", environments: 20, plan: bursts },
    Shape { name: "50/s, 5–15 ms", environments: 1, plan: |r| steady(r, 20 * MS, (5 * MS, 15 * MS)) },
    Shape { name: "5 requests in 4 s, then none", environments: 400, plan: idle },
];

fn steady(random: &mut Random, gap: Micros, runs: (Micros, Micros)) -> Vec<Arrival> {
    let mut at = 0;
    std::iter::from_fn(|| {
        // The gaps vary by up to 20 %.
        at += gap * random.between(80, 121) / 100;
        (at < AGE).then(|| Arrival { at, runs: random.between(runs.0, runs.1) })
    })
    .collect()
}

fn bursts(random: &mut Random) -> Vec<Arrival> {
    (0..AGE / (10 * MINUTE))
        .flat_map(|burst| (0..50).map(move |n| burst * 10 * MINUTE + n * 100 * MS))
        .map(|at| Arrival { at, runs: random.between(20 * MS, 80 * MS) })
        .collect()
}

fn idle(random: &mut Random) -> Vec<Arrival> {
    (0..5).map(|n| Arrival { at: n * 900 * MS, runs: random.between(20 * MS, 200 * MS) }).collect()
}

#[derive(Default)]
struct Sums {
    invocations: u64,
    added: Micros,
    /// The number of requests that another environment had to serve only because of a hold.
    displaced: u64,
    delays: Vec<Micros>,
    at_shutdown: u64,
}

impl Sums {
    fn row(&mut self) -> String {
        self.delays.sort_unstable();
        let count = self.delays.len();
        let at = |percent: usize| {
            self.delays.get((count.saturating_sub(1)) * percent / 100).copied().unwrap_or_default()
        };
        format!(
            "{:.1} ms | {:.1} % | {} | {} | {} | {:.1} %",
            ratio(self.added, self.invocations) / 1e3,
            100.0 * ratio(self.displaced, self.invocations + self.displaced),
            human(at(50)),
            human(at(99)),
            human(at(100)),
            100.0 * ratio(self.at_shutdown, count as u64),
        )
    }
}

#[expect(clippy::cast_precision_loss, reason = "a table needs three digits")]
fn ratio(part: u64, whole: u64) -> f64 {
    part as f64 / whole.max(1) as f64
}

fn human(micros: Micros) -> String {
    match micros {
        0..SECOND => format!("{} ms", micros / MS),
        SECOND..MINUTE => format!("{:.1} s", ratio(micros, SECOND)),
        _ => format!("{:.1} min", ratio(micros, MINUTE)),
    }
}

/// An envelope that is not delivered yet.
struct Waiting {
    accepted: Micros,
    /// The time at which it will arrive. Only an envelope that is being sent has one.
    arrives: Option<Micros>,
}

/// The relay of one environment: its waiting envelopes and its connection.
#[derive(Default)]
struct Relay {
    waiting: VecDeque<Waiting>,
    /// The time at which a connection was last used.
    connected: Option<Micros>,
}

impl Relay {
    /// Thaws the environment after a freeze of this length.
    fn thaw(&mut self, frozen: Micros) {
        if frozen >= CUT {
            self.waiting.iter_mut().take(MAX_SCHEDULED).for_each(|one| one.arrives = None);
        }
    }

    /// Returns when each envelope starts and arrives, if the environment is awake from `thaw` on. `is_held` says
    /// whether it is kept awake for that.
    fn schedule(&self, thaw: Micros, is_held: bool) -> Vec<(Micros, Micros)> {
        let fresh = self.connected.is_none_or(|used| thaw.saturating_sub(used) > KEEP);
        let on_their_way = self.waiting.iter().filter_map(|one| one.arrives).map(|at| (at.max(thaw), WARM));
        // Before the first answer, the extension does not know how long one takes.
        let answer_time = self.connected.map(|_| Duration::from_micros(WARM));
        let pace = if is_held { Pace::Held } else { Pace::Relaxed };
        let in_flight = limit(self.waiting.len(), answer_time, false, pace);
        let mut slots: Vec<_> = on_their_way.take(in_flight).collect();
        // Few connections are kept between invocations. More requests at a time need new ones.
        slots.resize(in_flight.min(slots.len().max(KEPT)), (thaw, if fresh { FRESH } else { WARM }));
        slots.resize(in_flight, (thaw, FRESH));
        let send = |one: &Waiting| match (one.arrives, slots.iter_mut().min_by_key(|(free, _)| *free)) {
            (Some(at), _) => (thaw, at.max(thaw)),
            (None, Some((free, takes))) => {
                let start = (*free).max(one.accepted);
                *free = start + *takes;
                *takes = WARM;
                (start, *free)
            }
            (None, None) => (Micros::MAX, Micros::MAX),
        };
        self.waiting.iter().take(MAX_SCHEDULED).map(send).collect()
    }

    /// Returns the first time after `from` at which every envelope that was accepted by then is delivered.
    fn emptied(&self, schedule: &[(Micros, Micros)], from: Micros) -> Micros {
        if self.waiting.len() > MAX_SCHEDULED {
            return Micros::MAX;
        }
        let later_of = |at: Micros, (one, (_, arrives)): (&Waiting, &(Micros, Micros))| {
            if one.accepted <= at { at.max(*arrives) } else { at }
        };
        self.waiting.iter().zip(schedule).fold(from, later_of)
    }

    /// Freezes the environment. Envelopes that have arrived by `now` are removed and their delays recorded.
    fn freeze(&mut self, now: Micros, schedule: &[(Micros, Micros)], delays: &mut Vec<Micros>) {
        let tried: Vec<_> = self.waiting.drain(..schedule.len()).zip(schedule).collect();
        for (one, (start, arrives)) in tried.into_iter().rev() {
            if *arrives <= now {
                delays.push(arrives - one.accepted);
                self.connected = self.connected.max(Some(*arrives));
            } else {
                self.waiting.push_front(Waiting { arrives: (*start < now).then_some(*arrives), ..one });
            }
        }
    }
}

/// Simulates one environment from its first request to its end.
fn environment(plan: &[Arrival], error_every: u64, mut policy: Policy, random: &mut Random, sums: &mut Sums) {
    let mut relay = Relay::default();
    let (mut free, mut done) = (0, 0);
    for Arrival { at: begun, runs } in plan {
        let (begun, runs) = (*begun, *runs);
        let error = random.next().is_multiple_of(error_every);
        if begun < free {
            // This environment is busy, so another one serves the request. It counts as displaced only if a hold is the
            // reason.
            sums.displaced += u64::from(begun >= done);
            continue;
        }
        relay.thaw(begun - free);
        let backlog = Backlog {
            envelopes: relay.waiting.len() as u64,
            oldest: relay.waiting.front().map(|one| wall(one.accepted)),
            outage: false,
        };
        let hold = policy.decide(&Moment { now: wall(begun), backlog, telemetry: true });
        done = begun + runs;
        if error {
            relay.waiting.push_back(Waiting { accepted: done - REPORTED_BEFORE, arrives: None });
        }
        let schedule = relay.schedule(begun, !matches!(hold, Hold::No));
        let released = match hold {
            Hold::No => begun,
            Hold::Delivered(most) => relay.emptied(&schedule, begun).min(begun + micros(most)),
            Hold::Done(most) => {
                let reported = if runs < BUFFERED { begun + BUFFERED } else { done + BUFFERED } + POSTED;
                relay.emptied(&schedule, reported).min(reported + micros(most))
            }
        };
        free = done.max(released);
        sums.invocations += 1;
        sums.added += free - done;
        relay.freeze(free, &schedule, &mut sums.delays);
    }
    let end = (free + IDLE).min(AGE.max(free));
    for one in relay.waiting {
        sums.delays.push(end + FRESH - one.accepted);
        sums.at_shutdown += 1;
    }
}

fn wall(at: Micros) -> SystemTime {
    UNIX_EPOCH + Duration::from_micros(at)
}

fn micros(duration: Duration) -> Micros {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}
