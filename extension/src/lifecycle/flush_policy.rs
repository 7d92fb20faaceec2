//! The flush policy decides when `/next` waits. It is pure: the caller passes the time and the backlog.
//!
//! An environment freezes when the function and all extensions have called Next. Envelopes that are not delivered by
//! then wait for the next invocation or for SHUTDOWN. A hold keeps the environment awake. It is billed, and no other
//! invocation can use the environment during it. `docs/flush.md` explains the numbers here. Its tables come from
//! `examples/flush-simulation.rs`.

use crate::config::FlushMode;
use crate::relay::Backlog;
use std::collections::VecDeque;
use std::fmt;
use std::time::{Duration, SystemTime};

/// The parameters of the mode `auto`. The defaults are those that the extension uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tuning {
    /// Traffic is dense if the average gap between invocations is shorter than this.
    pub gap: Duration,
    /// The number of gaps that the average is taken over.
    pub window: usize,
    /// In dense traffic, an invocation is held only if an envelope has already waited this long.
    pub age: Duration,
}

impl Default for Tuning {
    fn default() -> Self {
        Self { gap: Duration::from_secs(2), window: 8, age: Duration::from_secs(1) }
    }
}

/// The longest hold without telemetry. Then the end of the function is not known, and under SAM and RIE the caller
/// waits for the extension. It is long enough for a delivery on a new TLS connection and short enough to pass as
/// latency.
const MAX_WITHOUT_TELEMETRY: Duration = Duration::from_millis(500);

/// The input of a decision: what is known when an invocation begins.
#[derive(Clone, Copy, Debug)]
pub struct Moment {
    /// The wall-clock time. The monotonic clock may stand still while the environment is frozen.
    pub now: SystemTime,
    /// The envelopes that earlier invocations have left in the queue.
    pub backlog: Backlog,
    /// Whether Lambda will report when the function is done.
    pub telemetry: bool,
}

/// What `/next` waits for. The invocation's deadline bounds every wait in addition to the durations here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hold {
    /// `/next` does not wait.
    No,
    /// `/next` waits until all envelopes are delivered, at most this long. The function runs at the same time.
    Delivered(Duration),
    /// `/next` waits until the function is done, and then at most this long until all envelopes are delivered.
    Done(Duration),
}

impl fmt::Display for Hold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::No => "nothing",
            Self::Delivered(_) => "deliveries",
            Self::Done(_) => "the function and deliveries",
        })
    }
}

/// The flush policy of one environment. It remembers when the last invocations began.
#[derive(Clone, Debug)]
pub struct Policy {
    mode: FlushMode,
    tuning: Tuning,
    /// The longest time that one delivery takes. If a hold were shorter, every freeze could interrupt the same
    /// delivery.
    delivery: Duration,
    /// The times at which the last invocations began. The latest is at the end.
    starts: VecDeque<SystemTime>,
}

impl Policy {
    /// Creates the policy. `delivery` is the longest time that one request to upstream may take.
    pub fn new(mode: FlushMode, tuning: Tuning, delivery: Duration) -> Self {
        Self { mode, tuning, delivery, starts: VecDeque::new() }
    }

    /// Decides what `/next` waits for in the invocation that begins now.
    pub fn decide(&mut self, moment: &Moment) -> Hold {
        let dense = self.is_dense(moment.now);
        // During an outage a hold would be billed and deliver nothing.
        if self.mode == FlushMode::Continuous || moment.backlog.outage {
            return Hold::No;
        }
        if moment.telemetry && !(dense && self.mode == FlushMode::Auto) {
            return Hold::Done(self.delivery);
        }
        let age = moment.backlog.oldest.and_then(|since| moment.now.duration_since(since).ok());
        let overdue = self.mode == FlushMode::End || age.is_some_and(|age| age >= self.tuning.age);
        if moment.backlog.envelopes == 0 || !overdue {
            return Hold::No;
        }
        Hold::Delivered(if moment.telemetry {
            self.delivery
        } else {
            self.delivery.min(MAX_WITHOUT_TELEMETRY)
        })
    }

    /// Records an invocation and returns whether traffic is dense.
    fn is_dense(&mut self, now: SystemTime) -> bool {
        // If the clock was set back, the recorded times say nothing about the gaps.
        if self.starts.back().is_some_and(|last| *last > now) {
            self.starts.clear();
        }
        let first = (self.starts.len() >= self.tuning.window).then(|| self.starts.pop_front()).flatten();
        self.starts.push_back(now);
        let window = u32::try_from(self.tuning.window).unwrap_or(u32::MAX);
        let short = self.tuning.gap.saturating_mul(window);
        first.and_then(|first| now.duration_since(first).ok()).is_some_and(|span| span < short)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::UNIX_EPOCH;

    const DELIVERY: Duration = Duration::from_secs(2);
    const SECOND: Duration = Duration::from_secs(1);
    const EMPTY: Backlog = Backlog { envelopes: 0, oldest: None, outage: false };

    fn at(seconds: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(1_700_000_000 + seconds)
    }

    fn waiting_since(since: SystemTime) -> Backlog {
        Backlog { envelopes: 3, oldest: Some(since), outage: false }
    }

    fn moment(now: SystemTime, backlog: Backlog) -> Moment {
        Moment { now, backlog, telemetry: true }
    }

    fn policy(mode: FlushMode) -> Policy {
        Policy::new(mode, Tuning::default(), DELIVERY)
    }

    /// Returns the policy `auto` after one invocation a second, and the time of the next invocation.
    fn dense() -> (Policy, SystemTime) {
        let mut policy = policy(FlushMode::Auto);
        for second in 0..10 {
            policy.decide(&moment(at(second), EMPTY));
        }
        (policy, at(10))
    }

    #[test]
    fn end_holds_every_invocation_and_continuous_none() {
        let (mut end, mut continuous) = (policy(FlushMode::End), policy(FlushMode::Continuous));
        for second in 0..100 {
            let moment = moment(at(second), waiting_since(at(0)));
            assert_eq!(end.decide(&moment), Hold::Done(DELIVERY));
            assert_eq!(continuous.decide(&moment), Hold::No);
        }
    }

    #[test]
    fn auto_holds_rare_invocations_and_the_first_ones() {
        let mut auto = policy(FlushMode::Auto);
        for minute in 0..20 {
            assert_eq!(auto.decide(&moment(at(minute * 60), EMPTY)), Hold::Done(DELIVERY));
        }
        let mut auto = policy(FlushMode::Auto);
        let holds: Vec<_> = (0..16).map(|second| auto.decide(&moment(at(second), EMPTY))).collect();
        assert_eq!(holds, [[Hold::Done(DELIVERY); 8], [Hold::No; 8]].concat());
    }

    #[test]
    fn auto_holds_again_when_traffic_becomes_rare() {
        let (mut auto, now) = dense();
        assert_eq!(auto.decide(&moment(now, EMPTY)), Hold::No);
        assert_eq!(auto.decide(&moment(now + 20 * SECOND, EMPTY)), Hold::Done(DELIVERY));
    }

    #[test]
    fn auto_holds_in_dense_traffic_only_for_old_envelopes() {
        let (mut auto, now) = dense();
        let fresh = waiting_since(now - Duration::from_millis(999));
        assert_eq!(auto.clone().decide(&moment(now, fresh)), Hold::No);
        let old = waiting_since(now - SECOND);
        assert_eq!(auto.decide(&moment(now, old)), Hold::Delivered(DELIVERY));
    }

    #[test]
    fn no_mode_holds_during_an_outage() {
        for mode in [FlushMode::Auto, FlushMode::End, FlushMode::Continuous] {
            let backlog = Backlog { outage: true, ..waiting_since(at(0)) };
            for telemetry in [true, false] {
                let moment = Moment { now: at(9), backlog, telemetry };
                assert_eq!(policy(mode).decide(&moment), Hold::No, "{mode:?}");
            }
        }
    }

    #[test]
    fn without_telemetry_only_leftover_envelopes_hold_and_only_shortly() {
        for (mode, since, hold) in [
            (FlushMode::End, 99, Hold::Delivered(MAX_WITHOUT_TELEMETRY)),
            (FlushMode::Auto, 100, Hold::No),
            (FlushMode::Auto, 90, Hold::Delivered(MAX_WITHOUT_TELEMETRY)),
            (FlushMode::Continuous, 0, Hold::No),
        ] {
            let leftover = Moment { now: at(100), backlog: waiting_since(at(since)), telemetry: false };
            assert_eq!(policy(mode).decide(&leftover), hold, "{mode:?} since {since}");
            let nothing = Moment { backlog: EMPTY, ..leftover };
            assert_eq!(policy(mode).decide(&nothing), Hold::No);
        }
    }

    #[test]
    fn a_clock_jump_leads_to_a_hold() {
        let (auto, now) = dense();
        // The clock jumps back: neither the gaps nor the age are known.
        let mut back = auto.clone();
        assert_eq!(back.decide(&moment(at(0) - 3600 * SECOND, waiting_since(now))), Hold::Done(DELIVERY));
        assert_eq!(back.decide(&moment(at(0) - 3599 * SECOND, waiting_since(now))), Hold::Done(DELIVERY));
        // The clock jumps forward: this looks like an idle hour.
        let mut forward = auto.clone();
        assert_eq!(forward.decide(&moment(now + 3600 * SECOND, EMPTY)), Hold::Done(DELIVERY));
        // The clock jumps as far as possible in both directions.
        let mut far = auto;
        for now in [UNIX_EPOCH, at(u64::from(u32::MAX) * 1000), UNIX_EPOCH, at(0)] {
            assert_eq!(far.decide(&moment(now, waiting_since(at(0)))), Hold::Done(DELIVERY));
        }
    }

    #[test]
    fn extreme_parameters_do_not_panic() {
        for (gap, window) in [(Duration::MAX, usize::MAX), (Duration::MAX, 1), (Duration::ZERO, 0)] {
            let tuning = Tuning { gap, window, age: Duration::MAX };
            let mut auto = Policy::new(FlushMode::Auto, tuning, Duration::MAX);
            for second in 0..5 {
                auto.decide(&moment(at(second), waiting_since(at(0))));
            }
        }
    }
}
