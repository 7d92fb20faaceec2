//! When `/next` waits: the flush policy. Pure: the clock and the backlog are handed in.
//!
//! An environment freezes once the function and all extensions have called Next, so what is not delivered by
//! then waits for the next invocation, or for SHUTDOWN. A hold keeps it awake; it is billed, and it keeps the next
//! invocation out. How the numbers here were chosen: `docs/flush.md`, made by `examples/flush-simulation.rs`.

use crate::config::FlushMode;
use crate::relay::Backlog;
use std::collections::VecDeque;
use std::fmt;
use std::time::{Duration, SystemTime};

/// The parameters of `auto`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tuning {
    /// Traffic is dense where invocations come closer together than this, on average …
    pub gap: Duration,
    /// … over this many of them.
    pub window: usize,
    /// In dense traffic, an invocation is held for what has waited so long already.
    pub age: Duration,
}

impl Default for Tuning {
    fn default() -> Self {
        Self { gap: Duration::from_secs(2), window: 8, age: Duration::from_secs(1) }
    }
}

/// Without telemetry nobody knows when the function is done, and under SAM and RIE the caller waits for the
/// extension: long enough for a delivery on a fresh TLS connection, short enough to be taken for latency.
const BLIND: Duration = Duration::from_millis(500);

/// What is known when an invocation begins.
#[derive(Clone, Copy, Debug)]
pub struct Moment {
    /// By the wall clock: the monotonic one may stand still while the environment is frozen.
    pub now: SystemTime,
    /// What earlier invocations have left behind.
    pub backlog: Backlog,
    /// Whether Lambda will say when the function is done.
    pub telemetry: bool,
}

/// What `/next` waits for. The invocation's deadline bounds both waits, whatever stands here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hold {
    /// Nothing.
    No,
    /// Until all is delivered, at most so long. The function runs meanwhile.
    Delivered(Duration),
    /// Until the function is done, and then until all is delivered, at most so long.
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

/// The policy of one environment.
#[derive(Clone, Debug)]
pub struct Policy {
    mode: FlushMode,
    tuning: Tuning,
    /// No delivery takes longer: a hold that is shorter could be interrupted by every freeze, for ever.
    delivery: Duration,
    /// When the last invocations began, latest last.
    begun: VecDeque<SystemTime>,
}

impl Policy {
    /// `delivery` is the bound of one exchange with upstream.
    pub fn new(mode: FlushMode, tuning: Tuning, delivery: Duration) -> Self {
        Self { mode, tuning, delivery, begun: VecDeque::new() }
    }

    /// Decides on the invocation that begins now.
    pub fn decide(&mut self, moment: &Moment) -> Hold {
        let dense = self.is_dense(moment.now);
        // After a failure no invocation pays for what upstream cannot take.
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
        Hold::Delivered(if moment.telemetry { self.delivery } else { self.delivery.min(BLIND) })
    }

    /// Enters an invocation; whether it is one of many.
    fn is_dense(&mut self, now: SystemTime) -> bool {
        // The clock was set back: nothing is known of the gaps.
        if self.begun.back().is_some_and(|last| *last > now) {
            self.begun.clear();
        }
        let first = (self.begun.len() >= self.tuning.window).then(|| self.begun.pop_front()).flatten();
        self.begun.push_back(now);
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

    /// `auto` after traffic of one a second, and the time of the next invocation.
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
    fn auto_turns_back_when_traffic_thins_out() {
        let (mut auto, now) = dense();
        assert_eq!(auto.decide(&moment(now, EMPTY)), Hold::No);
        assert_eq!(auto.decide(&moment(now + 20 * SECOND, EMPTY)), Hold::Done(DELIVERY));
    }

    #[test]
    fn dense_traffic_is_held_for_what_has_become_old() {
        let (mut auto, now) = dense();
        let fresh = waiting_since(now - Duration::from_millis(999));
        assert_eq!(auto.clone().decide(&moment(now, fresh)), Hold::No);
        let old = waiting_since(now - SECOND);
        assert_eq!(auto.decide(&moment(now, old)), Hold::Delivered(DELIVERY));
    }

    #[test]
    fn no_invocation_pays_for_an_outage() {
        for mode in [FlushMode::Auto, FlushMode::End, FlushMode::Continuous] {
            let backlog = Backlog { outage: true, ..waiting_since(at(0)) };
            for telemetry in [true, false] {
                let moment = Moment { now: at(9), backlog, telemetry };
                assert_eq!(policy(mode).decide(&moment), Hold::No, "{mode:?}");
            }
        }
    }

    #[test]
    fn without_telemetry_only_leftovers_hold_and_shortly() {
        for (mode, since, hold) in [
            (FlushMode::End, 99, Hold::Delivered(BLIND)),
            (FlushMode::Auto, 100, Hold::No),
            (FlushMode::Auto, 90, Hold::Delivered(BLIND)),
            (FlushMode::Continuous, 0, Hold::No),
        ] {
            let leftover = Moment { now: at(100), backlog: waiting_since(at(since)), telemetry: false };
            assert_eq!(policy(mode).decide(&leftover), hold, "{mode:?} since {since}");
            let nothing = Moment { backlog: EMPTY, ..leftover };
            assert_eq!(policy(mode).decide(&nothing), Hold::No);
        }
    }

    #[test]
    fn a_clock_that_jumps_changes_holds_and_breaks_nothing() {
        let (auto, now) = dense();
        // Back: the gaps mean nothing any more, nor does the age.
        let mut back = auto.clone();
        assert_eq!(back.decide(&moment(at(0) - 3600 * SECOND, waiting_since(now))), Hold::Done(DELIVERY));
        assert_eq!(back.decide(&moment(at(0) - 3599 * SECOND, waiting_since(now))), Hold::Done(DELIVERY));
        // Forward: it looks like an idle hour.
        let mut forward = auto.clone();
        assert_eq!(forward.decide(&moment(now + 3600 * SECOND, EMPTY)), Hold::Done(DELIVERY));
        // As far as it goes, both ways.
        let mut far = auto;
        for now in [UNIX_EPOCH, at(u64::from(u32::MAX) * 1000), UNIX_EPOCH, at(0)] {
            assert_eq!(far.decide(&moment(now, waiting_since(at(0)))), Hold::Done(DELIVERY));
        }
    }

    #[test]
    fn odd_parameters_are_outlived() {
        for (gap, window) in [(Duration::MAX, usize::MAX), (Duration::MAX, 1), (Duration::ZERO, 0)] {
            let tuning = Tuning { gap, window, age: Duration::MAX };
            let mut auto = Policy::new(FlushMode::Auto, tuning, Duration::MAX);
            for second in 0..5 {
                auto.decide(&moment(at(second), waiting_since(at(0))));
            }
        }
    }
}
