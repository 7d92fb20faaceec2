//! The pump: takes envelopes from the queue, a few at a time, and settles each with the ledger.
//!
//! It runs by its own timer: a lone envelope that failed is tried again without waiting for another to come.

use super::Shared;
use super::client::Outcome;
use super::ledger::Loss;
use super::reports::Report;
use super::state::{Pending, State};
use super::verdict::{Verdict, judge};
use crate::log;
use std::sync::Arc;
use std::sync::atomic::AtomicU8;
use std::time::{Duration, Instant, SystemTime};
use tokio::task::JoinSet;

/// Enough to hide a round trip of 100 ms at 40 envelopes a second; each connection costs memory.
const IN_FLIGHT: usize = 4;
/// An envelope that upstream answers with 5xx so often is the envelope's fault, not upstream's.
const MAX_ATTEMPTS: u8 = 10;
/// Between tries while draining: there is no later.
const DRAIN_PAUSE: Duration = Duration::from_millis(100);

/// What is carried to upstream.
enum Load {
    Envelope(Pending),
    Report(Report),
}

/// Delivers for as long as the process lives.
pub(super) async fn run(shared: Arc<Shared>) {
    // Left over if an earlier pump came to grief: nobody else is waiting for them.
    shared.state().reclaim_in_flight();
    let mut tries: JoinSet<(Load, Outcome)> = JoinSet::new();
    loop {
        let pause = start(&shared, &mut tries);
        tokio::select! {
            Some(joined) = tries.join_next() => match joined {
                Ok((load, outcome)) => settle(&shared, load, &outcome),
                Err(error) => {
                    log::error("a delivery came to grief", &[("error", &error)]);
                    if tries.is_empty() {
                        shared.state().reclaim_in_flight();
                    }
                }
            },
            () = shared.wake.notified() => {}
            () = tokio::time::sleep(pause.unwrap_or_default()), if pause.is_some() => {}
        }
    }
}

/// Starts what may be started now; gives back how long to wait before more may be.
fn start(shared: &Arc<Shared>, tries: &mut JoinSet<(Load, Outcome)>) -> Option<Duration> {
    let mut state = shared.state();
    while tries.len() < IN_FLIGHT {
        let (clock, now) = (Instant::now(), SystemTime::now());
        let load = match state.check_out(clock, now) {
            Some(pending) => Load::Envelope(pending),
            None => match state.check_out_report(now) {
                Some(report) => Load::Report(report),
                None => break,
            },
        };
        let shared = Arc::clone(shared);
        tries.spawn(async move {
            let outcome = match &load {
                Load::Envelope(pending) => shared.client.send(&pending.envelope, &pending.unanswered).await,
                // Of a report nobody keeps books.
                Load::Report(report) => shared.client.send(&report.envelope(now), &AtomicU8::new(0)).await,
            };
            (load, outcome)
        });
    }
    // What was dropped on the way out may have been the last.
    shared.changed.notify_waiters();
    state.pause(Instant::now())
}

fn settle(shared: &Shared, load: Load, outcome: &Outcome) {
    let verdict = judge(outcome);
    let mut state = shared.state();
    match load {
        Load::Envelope(pending) => {
            tell(&pending, outcome, verdict);
            learn(&mut state, &pending, outcome);
            settle_envelope(&mut state, pending, verdict);
        }
        Load::Report(report) => state.check_in_report(report, verdict == Verdict::Delivered),
    }
    drop(state);
    shared.changed.notify_waiters();
}

/// What an answer says beside its verdict.
fn learn(state: &mut State, pending: &Pending, outcome: &Outcome) {
    let Ok(reply) = outcome else { return };
    let key = &pending.envelope.key;
    match &reply.rate_limits {
        Some(header) => state.limits.update(key, header, SystemTime::now()),
        None if reply.status == 429 && reply.retry_after.is_some() => {
            state.limits.update_all(key, reply.retry_after, SystemTime::now());
        }
        None => {}
    }
}

fn settle_envelope(state: &mut State, pending: Pending, verdict: Verdict) {
    let upstream = Arc::clone(&pending.envelope.upstream);
    match verdict {
        Verdict::Delivered => {
            state.outages.succeeded(&upstream);
            state.reports.delivered(&pending.envelope);
            state.check_in(&pending, |ledger| ledger.delivered += 1);
        }
        Verdict::Rejected => {
            state.outages.succeeded(&upstream);
            state.check_in(&pending, |ledger| ledger.rejected += 1);
        }
        Verdict::Again { loss, after } => {
            let (clock, draining) = (Instant::now(), state.draining());
            state.outages.failed(&upstream, |backoff| {
                if draining {
                    backoff.failed_for(clock, DRAIN_PAUSE);
                } else {
                    backoff.failed(clock, jitter(), after);
                }
            });
            // At the end the deadline decides: upstream may be well again a moment before it.
            if loss == Loss::Upstream && pending.attempts >= MAX_ATTEMPTS && !draining {
                state.give_up(&pending, loss);
            } else {
                state.put_back(pending, loss);
            }
        }
    }
}

fn tell(pending: &Pending, outcome: &Outcome, verdict: Verdict) {
    if !log::enabled(log::Level::Debug) {
        return;
    }
    let what = match verdict {
        Verdict::Delivered => "delivered",
        Verdict::Rejected => "upstream rejected an envelope",
        Verdict::Again { .. } => "upstream could not take an envelope",
    };
    let answer: &dyn std::fmt::Display = match outcome {
        Ok(reply) => &reply.status,
        Err(error) => error,
    };
    let envelope = &pending.envelope;
    log::debug(what, &[("upstream", &envelope.upstream), ("project", &envelope.project), ("answer", answer)]);
}

/// Between 0 and 1, so that many environments do not come back in step.
fn jitter() -> f64 {
    use std::hash::BuildHasher as _;
    let random = std::hash::RandomState::new().hash_one(Instant::now());
    f64::from((random >> 32) as u32) / f64::from(u32::MAX)
}
