//! The pump: takes envelopes from the queue, a few at a time, and settles each with the ledger.
//!
//! It runs by its own timer: a lone envelope that failed is tried again without waiting for another to come.

use super::Shared;
use super::client::{Reply, SendError};
use super::ledger::Loss;
use super::state::Pending;
use super::verdict::{Verdict, judge};
use crate::log;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::task::JoinSet;

/// Enough to hide a round trip of 100 ms at 40 envelopes a second; each connection costs memory.
const IN_FLIGHT: usize = 4;
/// An envelope that upstream answers with 5xx so often is the envelope's fault, not upstream's.
const MAX_ATTEMPTS: u8 = 10;
/// Between tries while draining: there is no later.
const DRAIN_PAUSE: Duration = Duration::from_millis(100);

/// One try's envelope and outcome.
type Tried = (Pending, Result<Reply, SendError>);

/// Delivers for as long as the process lives.
pub(super) async fn run(shared: Arc<Shared>) {
    // Left over if an earlier pump came to grief: nobody else is waiting for them.
    shared.state().reclaim_in_flight();
    let mut tries: JoinSet<Tried> = JoinSet::new();
    loop {
        let pause = start(&shared, &mut tries);
        tokio::select! {
            Some(outcome) = tries.join_next() => match outcome {
                Ok((pending, outcome)) => settle(&shared, pending, &outcome),
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
fn start(shared: &Arc<Shared>, tries: &mut JoinSet<Tried>) -> Option<Duration> {
    let mut state = shared.state();
    loop {
        let limit = if state.backoff.probing() && !state.draining() { 1 } else { IN_FLIGHT };
        if tries.len() >= limit || !state.has_waiting() {
            return None;
        }
        if let Some(pause) = state.pause(Instant::now()) {
            return Some(pause);
        }
        let pending = state.check_out()?;
        let shared = Arc::clone(shared);
        tries.spawn(async move {
            let outcome = shared.client.send(&pending.envelope).await;
            (pending, outcome)
        });
    }
}

fn settle(shared: &Shared, pending: Pending, outcome: &Result<Reply, SendError>) {
    let verdict = judge(outcome);
    tell(&pending, outcome, verdict);
    let mut state = shared.state();
    match verdict {
        Verdict::Delivered => {
            state.backoff.succeeded();
            state.check_in(&pending, |ledger| ledger.delivered += 1);
        }
        Verdict::Rejected => {
            state.backoff.succeeded();
            state.check_in(&pending, |ledger| ledger.rejected += 1);
        }
        Verdict::Again { loss, after } => {
            let now = Instant::now();
            if state.draining() {
                state.backoff.failed_for(now, DRAIN_PAUSE);
            } else {
                state.backoff.failed(now, jitter(), after);
            }
            if loss == Loss::Upstream && pending.attempts >= MAX_ATTEMPTS {
                state.check_in(&pending, |ledger| ledger.lose(loss, 1));
            } else {
                state.put_back(pending, loss);
            }
        }
    }
    drop(state);
    shared.changed.notify_waiters();
}

fn tell(pending: &Pending, outcome: &Result<Reply, SendError>, verdict: Verdict) {
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
