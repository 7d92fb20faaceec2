//! Records the result of a try to send an envelope in the state, and logs what is worth a line.

use crate::config::Upstream;
use crate::log;
use crate::relay::client::{Reply, SendResult};
use crate::relay::ledger::DropReason;
use crate::relay::observer::Step;
use crate::relay::pending::Pending;
use crate::relay::refusals::remedy;
use crate::relay::state::State;
use crate::relay::verdict::{Verdict, describe, is_suspect};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant, SystemTime};

/// The largest body whose delivery shows the answer time of upstream, in bytes. A larger one shows the speed of the
/// line.
const MAX_MEASURED: usize = 64 * 1024;
/// The pause between tries while draining. It is short because the time is limited.
const DRAIN_PAUSE: Duration = Duration::from_millis(100);
/// How often it doubles while requests get no response, because each of them may be a duplicate.
const MAX_DRAIN_DOUBLINGS: u32 = 2;

/// Records the result of one try. `took` is how long it took.
pub(super) fn record(
    state: &mut State,
    pending: Pending,
    outcome: &SendResult,
    verdict: Verdict,
    took: Duration,
) {
    log_result(&pending, outcome, verdict);
    state.tell_result(&pending.envelope, step(outcome, verdict, took));
    apply_rate_limits(state, &pending, outcome);
    if outcome.is_ok() && pending.envelope.body.len() <= MAX_MEASURED {
        state.answered_within(pending.lane, took);
    }
    settle(state, pending, outcome, verdict, took);
}

/// Applies the rate limits that a response announces.
fn apply_rate_limits(state: &mut State, pending: &Pending, outcome: &SendResult) {
    let Ok(reply) = outcome else { return };
    let key = &pending.envelope.key;
    match &reply.rate_limits {
        Some(header) => state.limit(key, header, SystemTime::now()),
        None if reply.status == 429 && reply.retry_after.is_some() => {
            state.limit_all(key, reply.retry_after, SystemTime::now());
        }
        None => {}
    }
}

fn settle(state: &mut State, mut pending: Pending, outcome: &SendResult, verdict: Verdict, took: Duration) {
    match verdict {
        Verdict::Delivered => {
            end_outage(state, &pending);
            state.allow_report(&pending.envelope);
            state.check_in(&pending, |ledger| ledger.delivered += 1);
        }
        Verdict::Rejected => {
            end_outage(state, &pending);
            state.allow_report(&pending.envelope);
            if let Ok(reply) = outcome {
                log_refusal(state, &pending, reply);
                state.check_in(&pending, |ledger| ledger.reject(reply.status));
            }
        }
        Verdict::RetryNow => state.put_back(pending, DropReason::Network),
        Verdict::RetryLater { reason, after } => {
            let (clock, draining) = (Instant::now(), state.draining());
            // Upstream may have taken the envelope. Another request too early would be a duplicate, and get no response
            // either.
            let is_unanswered = pending.unanswered.load(Ordering::Relaxed) > 0;
            let unanswered = if is_unanswered { state.unanswered(pending.lane, clock) } else { 0 };
            let after = if is_unanswered { after.max(Some(took)) } else { after };
            let unsaid = state.upstream_failed(pending.lane, SystemTime::now(), |backoff| {
                if draining {
                    backoff.failed_for(clock, DRAIN_PAUSE * (1 << unanswered.min(MAX_DRAIN_DOUBLINGS)));
                } else {
                    backoff.failed(clock, jitter(), after);
                }
            });
            if let Some(unsaid) = unsaid {
                log_outage(&pending.envelope.upstream, outcome, unsaid);
            }
            // While draining, no envelope is given up before the deadline: upstream may recover just before it.
            let suspect = is_suspect(outcome) || is_unanswered;
            if suspect && pending.is_hopeless() && !draining {
                state.give_up(&pending, reason);
            } else {
                pending.attempts = pending.attempts.saturating_add(u8::from(suspect));
                state.put_back(pending, reason);
            }
        }
    }
}

/// Logs that an outage has begun, and how many were not logged since the last time.
fn log_outage(upstream: &Upstream, outcome: &SendResult, unsaid: u64) {
    let why = describe(outcome);
    let fields: [log::Field<'_>; 3] =
        [("upstream", upstream), ("answer", &why), ("earlier_outages", &unsaid)];
    // Most outages are the first after a while, and need no count.
    let fields = if unsaid == 0 { fields.split_at(2).0 } else { &fields[..] };
    log::warn("upstream is in trouble: envelopes wait", fields);
}

/// Logs a refusal, if it is the first of its kind.
fn log_refusal(state: &mut State, pending: &Pending, reply: &Reply) {
    let envelope = &pending.envelope;
    if !state.is_new_refusal(pending, reply) {
        return;
    }
    log::warn(
        "upstream refuses envelopes",
        &[
            ("upstream", &envelope.upstream),
            ("project", &envelope.project),
            ("status", &reply.status),
            ("sentry_error", &reply.sentry_error.as_deref().unwrap_or_default()),
            ("remedy", &remedy(reply.status)),
        ],
    );
}

/// Ends the outage of this envelope's upstream, if it has one. That is logged if its beginning was.
fn end_outage(state: &mut State, pending: &Pending) {
    if state.upstream_responded(pending.lane) {
        log::info("upstream recovered", &[("upstream", &pending.envelope.upstream)]);
    }
}

/// Returns the step that this result is on the way of an envelope.
fn step(outcome: &SendResult, verdict: Verdict, took: Duration) -> Step<'_> {
    match (verdict, outcome) {
        (Verdict::Delivered, Ok(reply)) => Step::Delivered { status: reply.status, took },
        (Verdict::Rejected, Ok(reply)) => {
            Step::Rejected { status: reply.status, why: reply.sentry_error.as_deref() }
        }
        (_, Ok(reply)) => Step::Waits { answer: &reply.status },
        (_, Err(error)) => Step::Waits { answer: error },
    }
}

fn log_result(pending: &Pending, outcome: &SendResult, verdict: Verdict) {
    if !log::enabled(log::Level::Debug) {
        return;
    }
    let message = match verdict {
        Verdict::Delivered => "delivered",
        Verdict::Rejected => "upstream rejected an envelope",
        Verdict::RetryNow => "a freeze interrupted a delivery",
        Verdict::RetryLater { .. } => "upstream could not take an envelope",
    };
    let envelope = &pending.envelope;
    let answer = describe(outcome);
    log::debug(
        message,
        &[("upstream", &envelope.upstream), ("project", &envelope.project), ("answer", &answer)],
    );
}

/// Returns a random number between 0 and 1. It spreads the tries of many environments over time.
fn jitter() -> f64 {
    use std::hash::BuildHasher as _;
    let random = std::hash::RandomState::new().hash_one(Instant::now());
    f64::from((random >> 32) as u32) / f64::from(u32::MAX)
}
