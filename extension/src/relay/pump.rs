//! The pump takes envelopes from the queue, sends a few at a time, and records each result in the state.
//!
//! It has its own timer, so that an envelope whose try failed is tried again even if no other envelope arrives.

use super::client::{Reply, SendResult};
use super::client_reports::ClientReport;
use super::clock;
use super::concurrency;
use super::core::Core;
use super::ledger::DropReason;
use super::pending::Pending;
use super::refusals::remedy;
use super::state::State;
use super::verdict::{Verdict, describe, is_suspect, judge};
use crate::config::Upstream;
use crate::log;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::{Duration, Instant, SystemTime};
use tokio::task::JoinSet;

/// The most envelopes in flight. It is more than one upstream may have, so that one that hangs does not take all of
/// them.
const IN_FLIGHT: usize = concurrency::MOST + 28;
/// The largest body whose delivery shows the answer time of upstream, in bytes. A larger one shows the speed of the line.
const MAX_MEASURED: usize = 64 * 1024;
/// How long the first delivery after an idle time waits. The function has its response by then and continues. On a
/// single CPU, response and delivery in one go would cost the function the time of both.
const FIRST_SEND_DELAY: Duration = Duration::from_millis(1);
/// The pause between tries while draining. It is short because the time is limited.
const DRAIN_PAUSE: Duration = Duration::from_millis(100);
/// How often it doubles while requests get no response, because each of them may be a duplicate.
const MAX_DRAIN_DOUBLINGS: u32 = 2;

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
        tries.spawn(async move {
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
        });
    }
    // `check_out` may have dropped the last envelope, so tasks that wait for an empty queue have to check again.
    core.announce_change();
    state.pause(Instant::now(), SystemTime::now())
}

fn settle(core: &Core, outgoing: Outgoing, outcome: &SendResult, took: Duration) {
    let verdict = judge(outcome);
    let mut state = core.state();
    match outgoing {
        Outgoing::Envelope(pending) => {
            log_result(&pending, outcome, verdict);
            apply_rate_limits(&mut state, &pending, outcome);
            if outcome.is_ok() && pending.envelope.body.len() <= MAX_MEASURED {
                state.answered_within(pending.lane, took);
            }
            settle_envelope(core, &mut state, pending, outcome, verdict, took);
        }
        Outgoing::ClientReport(report) => state.check_in_report(report, verdict == Verdict::Delivered),
    }
    drop(state);
    core.announce_change();
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

fn settle_envelope(
    core: &Core,
    state: &mut State,
    mut pending: Pending,
    outcome: &SendResult,
    verdict: Verdict,
    took: Duration,
) {
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
                state.give_up(&pending, reason, |fault| core.fault_keeper().keep(fault));
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
    // Sentry may repeat the key in its reason.
    let key = &envelope.key;
    let reason = reply.sentry_error.as_deref().unwrap_or_default().replace(key.expose(), &key.to_string());
    log::warn(
        "upstream refuses envelopes",
        &[
            ("upstream", &envelope.upstream),
            ("project", &envelope.project),
            ("status", &reply.status),
            ("sentry_error", &reason),
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Config, Overrides, Upstream};
    use crate::protocol::ItemKind;
    use crate::relay::envelope::{Envelope, sample};
    use crate::relay::{Ledger, Relay};
    use std::sync::atomic::{AtomicUsize, Ordering};
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    pub(super) const DELIVERY_PANICS: &str = "/delivery-panics";
    pub(super) const PUMP_PANICS: &str = "/pump-panics";
    const DELIVERY_ALWAYS_PANICS: &str = "/delivery-always-panics";

    /// Panics if the envelope's path asks for it in this place. With `DELIVERY_ALWAYS_PANICS` it panics at each try,
    /// with the other paths only at the first.
    pub(super) fn panic_if_asked(outgoing: &Outgoing, place: &str) {
        static CALLS: [AtomicUsize; 2] = [const { AtomicUsize::new(0) }; 2];
        let Outgoing::Envelope(pending) = outgoing else { return };
        let path = &*pending.envelope.path;
        let calls = &CALLS[usize::from(place == PUMP_PANICS)];
        assert!(path != place || calls.fetch_add(1, Ordering::Relaxed) > 0, "the test asks for one panic");
        assert!(
            path != DELIVERY_ALWAYS_PANICS || place == PUMP_PANICS,
            "the test asks for a panic at each try"
        );
    }

    /// Answers every request with 200 after 20 ms.
    async fn upstream() -> Arc<Upstream> {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                tokio::spawn(async move {
                    let mut request = [0; 4096];
                    while stream.read(&mut request).await.is_ok_and(|read| read > 0) {
                        tokio::time::sleep(Duration::from_millis(20)).await;
                        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await.unwrap();
                    }
                });
            }
        });
        Arc::new(Upstream::parse(&url).unwrap())
    }

    async fn deliver(paths: &[&str]) -> Ledger {
        let upstream = upstream().await;
        let (config, _) = Config::read(|_| None, Overrides::default());
        let relay = Relay::start(&config);
        for path in paths {
            let (upstream, path) = (Arc::clone(&upstream), (*path).to_owned());
            let _ = relay.accept(Envelope { upstream, path, ..sample(ItemKind::Event, 10) });
        }
        let emptied = tokio::time::timeout(Duration::from_mins(1), async {
            while relay.backlog().envelopes > 0 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        });
        emptied.await.expect("not all envelopes were settled in time");
        relay.ledger()
    }

    /// Timers run by a clock that only waiting moves, so that a busy machine makes no difference.
    #[tokio::test(start_paused = true)]
    async fn a_drain_takes_no_longer_than_it_is_given() {
        // The kernel accepts connections, and nobody answers.
        let hanging = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", hanging.local_addr().unwrap());
        let upstream = Arc::new(Upstream::parse(&url).unwrap());
        let (config, _) = Config::read(|_| None, Overrides::default());
        let relay = Relay::start(&config);
        let _ = relay.accept(Envelope { upstream, ..sample(ItemKind::Event, 10) });
        let begun = tokio::time::Instant::now();
        relay.drain(Duration::from_millis(700)).await;
        assert!((700..710).contains(&begun.elapsed().as_millis()), "{:?}", begun.elapsed());
        assert_eq!(relay.ledger().dropped(), 1);
    }

    #[tokio::test]
    async fn panicked_delivery_is_tried_again() {
        // The other deliveries are still under way when it panics.
        let ledger = deliver(&["/fine", DELIVERY_PANICS, "/fine"]).await;
        assert_eq!((ledger.accepted, ledger.delivered, ledger.dropped()), (3, 3, 0));
    }

    #[tokio::test]
    async fn restarted_pump_delivers_what_the_panicked_one_had() {
        // It panics while it holds the lock on the state, which also cancels the try that is under way.
        let ledger = deliver(&["/fine", PUMP_PANICS, "/fine"]).await;
        assert_eq!((ledger.accepted, ledger.delivered, ledger.dropped()), (3, 3, 0));
        assert_eq!(ledger.unanswered, 0, "the cancelled try had sent no request");
    }

    #[tokio::test]
    async fn delivery_that_always_panics_is_dropped_and_delays_no_other() {
        let ledger = deliver(&[DELIVERY_ALWAYS_PANICS, "/fine", "/fine"]).await;
        assert_eq!((ledger.delivered, ledger.dropped_for(DropReason::Internal)), (2, 1));
        assert!(ledger.balances(0));
    }
}
