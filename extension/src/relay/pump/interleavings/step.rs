//! What can happen to envelopes, and how often it does.

use super::LONG;
use crate::protocol::ItemKind;
use proptest::prelude::*;
use std::time::Duration;

/// One thing that happens. Numbers choose among what is there.
#[derive(Clone, Debug)]
pub(super) enum Step {
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
    FilterIsLate {
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
pub(super) enum Answer {
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

pub(super) fn step() -> impl Strategy<Value = Step> {
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
        1 => nth().prop_map(|nth| Step::FilterIsLate { nth }),
        1 => nth().prop_map(|nth| Step::FilterRefuses { nth }),
        1 => Just(Step::FilterFails),
        2 => Just(Step::FilterIsReady),
        1 => prop::bool::weighted(0.3).prop_map(|is| if is { Step::FilterStops } else { Step::FilterIsReady }),
        1 => prop::bool::weighted(0.2).prop_map(|is| if is { Step::Shutdown } else { Step::ReportLeaves }),
    ]
}
