//! The pump takes envelopes from the queue, sends a few at a time, and records each result in the state.
//!
//! It has its own timer, so that an envelope whose try failed is tried again even if no other envelope arrives.

mod outcome;

use super::client::SendResult;
use super::client_reports::ClientReport;
use super::clock;
use super::concurrency;
use super::core::Core;
use super::pending::Pending;
use super::verdict::{Verdict, judge};
use crate::config::Upstream;
use crate::log;
use std::sync::Arc;
use std::sync::atomic::AtomicU8;
use std::time::{Duration, Instant, SystemTime};
use tokio::task::JoinSet;

/// The most envelopes in flight. It is more than one upstream may have, so that one that hangs does not take all of
/// them.
const IN_FLIGHT: usize = concurrency::MOST + 28;
/// How long the first delivery after an idle time waits. The function has its response by then and continues. On a
/// single CPU, response and delivery in one go would cost the function the time of both.
const FIRST_SEND_DELAY: Duration = Duration::from_millis(1);
/// One thing to send to upstream.
enum Outgoing {
    Envelope(Pending),
    ClientReport(ClientReport),
}

/// A finished try: what was sent, the result, and how long it took.
type Try = (Outgoing, SendResult, Duration);

/// Delivers envelopes and never returns.
pub(super) async fn run(core: Arc<Core>) {
    // If an earlier pump panicked, its envelopes are still marked as in flight, and no task waits for their results.
    core.state().reclaim_in_flight();
    let mut tries: JoinSet<Try> = JoinSet::new();
    loop {
        let pause = start(&core, &mut tries);
        tokio::select! {
            Some(joined) = tries.join_next() => match joined {
                Ok((outgoing, outcome, took)) => settle(&core, outgoing, &outcome, took),
                Err(error) => log::error("delivery task panicked", &[("error", &error)]),
            },
            () = core.pump_woken() => {
                if tries.is_empty() && !core.is_urgent() {
                    tokio::time::sleep(FIRST_SEND_DELAY).await;
                }
            }
            () = tokio::time::sleep(pause.unwrap_or_default()), if pause.is_some() => {}
        }
        if tries.is_empty() {
            // A burst is over.
            core.client().close_surplus();
            // No try runs, so an envelope that is still in flight belongs to a task that panicked.
            core.state().reclaim_in_flight();
        }
    }
}

/// Starts all tries that may start now. Returns how long to wait before the next may start, if an upstream is paused.
fn start(core: &Arc<Core>, tries: &mut JoinSet<Try>) -> Option<Duration> {
    let held = core.has_waiters();
    let mut state = core.state();
    // One more for a fault, which does not wait for upstreams that are slow to answer.
    while tries.len() < IN_FLIGHT + usize::from(state.has_waiting_fault()) {
        let (clock, now) = (Instant::now(), clock::now());
        // While a try is under way, it may need the idle connection itself.
        let is_unused = tries.is_empty();
        let is_connected = |upstream: &Arc<Upstream>| is_unused && core.client().is_connected(upstream);
        let outgoing = match state.check_out(clock, now, held) {
            Some(pending) => Outgoing::Envelope(pending),
            None => match state.check_out_report(now, is_connected) {
                Some(report) => Outgoing::ClientReport(report),
                None => break,
            },
        };
        #[cfg(test)]
        tests::panic_if_asked(&outgoing, tests::PUMP_PANICS);
        let core = Arc::clone(core);
        let setting = core.client().timeout();
        let limit = match &outgoing {
            Outgoing::Envelope(pending) => state.time_limit(pending.lane, setting),
            Outgoing::ClientReport(_) => setting,
        };
        let one_try = async move {
            #[cfg(test)]
            tests::panic_if_asked(&outgoing, tests::DELIVERY_PANICS);
            let client = core.client();
            let start = Instant::now();
            let outcome = match &outgoing {
                Outgoing::Envelope(pending) => {
                    let envelope = &pending.envelope;
                    client.send(envelope, &envelope.upstream, limit, &pending.unanswered).await
                }
                // Lost responses are counted for envelopes only, not for reports.
                Outgoing::ClientReport(report) => {
                    let envelope = report.envelope(now);
                    client.send(&envelope, &envelope.upstream, limit, &AtomicU8::new(0)).await
                }
            };
            (outgoing, outcome, start.elapsed())
        };
        // Boxed, so that it is not copied again and again on its way to the heap.
        tries.spawn(Box::pin(one_try));
    }
    // `check_out` may have dropped the last envelope, so tasks that wait for an empty queue have to check again.
    core.announce_change();
    state.pause(Instant::now(), SystemTime::now())
}

fn settle(core: &Core, outgoing: Outgoing, result: &SendResult, took: Duration) {
    let verdict = judge(result);
    let mut state = core.state();
    match outgoing {
        Outgoing::Envelope(pending) => {
            outcome::record(&mut state, pending, result, verdict, took);
        }
        Outgoing::ClientReport(report) => state.check_in_report(report, verdict == Verdict::Delivered),
    }
    drop(state);
    core.announce_change();
}

#[cfg(test)]
mod interleavings;
#[cfg(test)]
mod tests;
