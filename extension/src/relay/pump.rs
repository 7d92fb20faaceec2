//! The pump: takes envelopes from the queue, a few at a time, and settles each with the ledger.
//!
//! It runs by its own timer: a lone envelope that failed is tried again without waiting for another to come.

use super::Shared;
use super::client::SendResult;
use super::client_reports::ClientReport;
use super::ledger::DropReason;
use super::route::Destination;
use super::state::{IN_FLIGHT_TO_ONE, Pending, State};
use super::verdict::{Verdict, is_suspect, judge};
use crate::config::Upstream;
use crate::log;
use std::sync::Arc;
use std::sync::atomic::AtomicU8;
use std::time::{Duration, Instant, SystemTime};
use tokio::task::JoinSet;

/// Twice what one upstream may have in flight, so that one that hangs leaves room for another.
const IN_FLIGHT: usize = 2 * IN_FLIGHT_TO_ONE;
/// How long the first delivery after a rest leaves the CPU to the function, which has its answer by then. Where both share
/// one, answer and delivery in one go would cost the function the time of both.
const FIRST_SEND_DELAY: Duration = Duration::from_millis(1);
/// Between tries while draining: there is no later.
const DRAIN_PAUSE: Duration = Duration::from_millis(100);

/// What is carried to upstream.
enum Outgoing {
    Envelope(Pending),
    ClientReport(ClientReport),
}

/// A load, the way it went, and what came of it.
type Try = (Outgoing, Destination, SendResult);

/// Delivers for as long as the process lives.
pub(super) async fn run(shared: Arc<Shared>) {
    // Left over if an earlier pump panicked: nobody else is waiting for them.
    shared.state().reclaim_in_flight();
    let mut tries: JoinSet<Try> = JoinSet::new();
    loop {
        let pause = start(&shared, &mut tries);
        tokio::select! {
            Some(joined) = tries.join_next() => match joined {
                Ok((outgoing, destination, outcome)) => settle(&shared, outgoing, &destination, &outcome),
                Err(error) => log::error("delivery task panicked", &[("error", &error)]),
            },
            () = shared.wake.notified() => {
                if tries.is_empty() && !shared.hurries() {
                    tokio::time::sleep(FIRST_SEND_DELAY).await;
                }
            }
            () = tokio::time::sleep(pause.unwrap_or_default()), if pause.is_some() => {}
        }
        if tries.is_empty() {
            // What is in flight and carried by nobody has lost its carrier.
            shared.state().reclaim_in_flight();
        }
    }
}

/// Starts what may be started now; gives back how long to wait before more may be.
fn start(shared: &Arc<Shared>, tries: &mut JoinSet<Try>) -> Option<Duration> {
    let mut state = shared.state();
    let Some(destination) = shared.destination() else {
        shared.changed.notify_waiters();
        return None;
    };
    while tries.len() < IN_FLIGHT {
        let (clock, now) = (Instant::now(), SystemTime::now());
        let outgoing = match state.check_out(clock, now) {
            Some(pending) => Outgoing::Envelope(pending),
            None => match state.check_out_report(now) {
                Some(report) => Outgoing::ClientReport(report),
                None => break,
            },
        };
        #[cfg(test)]
        tests::trip(&outgoing, tests::PUMP);
        let (shared, destination) = (Arc::clone(shared), destination.clone());
        tries.spawn(async move {
            #[cfg(test)]
            tests::trip(&outgoing, tests::CARRIER);
            let client = &shared.client;
            let outcome = match &outgoing {
                Outgoing::Envelope(pending) => {
                    let envelope = &pending.envelope;
                    client.send(envelope, destination.to(&envelope.upstream), &pending.unanswered).await
                }
                // Of a report nobody keeps books.
                Outgoing::ClientReport(report) => {
                    let envelope = report.envelope(now);
                    client.send(&envelope, destination.to(&envelope.upstream), &AtomicU8::new(0)).await
                }
            };
            (outgoing, destination, outcome)
        });
    }
    // What was dropped on the way out may have been the last.
    shared.changed.notify_waiters();
    state.pause(Instant::now())
}

fn settle(shared: &Shared, outgoing: Outgoing, destination: &Destination, outcome: &SendResult) {
    let verdict = judge(outcome);
    if outcome.is_err() && matches!(destination, Destination::SentryRelay { .. }) {
        shared.doubt.notify_one();
    }
    let mut state = shared.state();
    match outgoing {
        Outgoing::Envelope(pending) => {
            tell(&pending, outcome, verdict);
            learn(&mut state, &pending, outcome);
            settle_envelope(&mut state, pending, destination, outcome, verdict);
        }
        Outgoing::ClientReport(report) => state.check_in_report(report, verdict == Verdict::Delivered),
    }
    drop(state);
    shared.changed.notify_waiters();
}

/// What an answer says beside its verdict.
fn learn(state: &mut State, pending: &Pending, outcome: &SendResult) {
    let Ok(reply) = outcome else { return };
    let key = &pending.envelope.key;
    match &reply.rate_limits {
        Some(header) => state.rate_limits.update(key, header, SystemTime::now()),
        None if reply.status == 429 && reply.retry_after.is_some() => {
            state.rate_limits.update_all(key, reply.retry_after, SystemTime::now());
        }
        None => {}
    }
}

fn settle_envelope(
    state: &mut State,
    mut pending: Pending,
    destination: &Destination,
    outcome: &SendResult,
    verdict: Verdict,
) {
    let upstream = Arc::clone(&pending.envelope.upstream);
    match verdict {
        Verdict::Delivered => {
            recovered(state, &upstream);
            state.client_reports.delivered(&pending.envelope);
            match destination {
                Destination::Direct => state.check_in(&pending, |ledger| ledger.delivered += 1),
                Destination::SentryRelay { life, .. } => state.hand_over(&pending, *life, SystemTime::now()),
            }
        }
        Verdict::Rejected => {
            recovered(state, &upstream);
            state.check_in(&pending, |ledger| ledger.rejected += 1);
        }
        Verdict::RetryNow => state.put_back(pending, DropReason::Network),
        Verdict::RetryLater { reason, after } => {
            if !state.outages.has(&upstream) {
                let why = answer(outcome);
                log::warn(
                    "upstream is in trouble: envelopes wait",
                    &[("upstream", &upstream), ("answer", &why)],
                );
            }
            let (clock, draining) = (Instant::now(), state.draining());
            state.outages.failed(&upstream, SystemTime::now(), |backoff| {
                if draining {
                    backoff.failed_for(clock, DRAIN_PAUSE);
                } else {
                    backoff.failed(clock, jitter(), after);
                }
            });
            // At the end the deadline decides: upstream may recover a moment before it.
            let suspect = is_suspect(outcome);
            if suspect && pending.is_hopeless() && !draining {
                state.give_up(&pending, reason);
            } else {
                pending.attempts = pending.attempts.saturating_add(u8::from(suspect));
                state.put_back(pending, reason);
            }
        }
    }
}

/// One line for the end of an outage, as there was one for its beginning.
fn recovered(state: &mut State, upstream: &Arc<Upstream>) {
    if state.outages.has(upstream) {
        state.outages.succeeded(upstream);
        log::info("upstream recovered", &[("upstream", upstream)]);
    }
}

fn tell(pending: &Pending, outcome: &SendResult, verdict: Verdict) {
    if !log::enabled(log::Level::Debug) {
        return;
    }
    let what = match verdict {
        Verdict::Delivered => "delivered",
        Verdict::Rejected => "upstream rejected an envelope",
        Verdict::RetryNow => "a freeze interrupted a delivery",
        Verdict::RetryLater { .. } => "upstream could not take an envelope",
    };
    let (envelope, answer) = (&pending.envelope, answer(outcome));
    log::debug(
        what,
        &[("upstream", &envelope.upstream), ("project", &envelope.project), ("answer", &answer)],
    );
}

/// The status, or why there is none.
fn answer(outcome: &SendResult) -> String {
    match outcome {
        Ok(reply) => reply.status.to_string(),
        Err(error) => error.to_string(),
    }
}

/// Between 0 and 1, so that many environments do not come back in step.
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

    pub(super) const CARRIER: &str = "/carrier";
    pub(super) const PUMP: &str = "/pump";
    const ALWAYS: &str = "/carrier/always";

    /// Where a test wants a task to panic: by the envelope's path, and the first time only.
    pub(super) fn trip(outgoing: &Outgoing, task: &str) {
        static TRIPPED: [AtomicUsize; 2] = [const { AtomicUsize::new(0) }; 2];
        let Outgoing::Envelope(pending) = outgoing else { return };
        let path = &*pending.envelope.path;
        let times = &TRIPPED[usize::from(task == PUMP)];
        assert!(path != task || times.fetch_add(1, Ordering::Relaxed) > 0, "tripped once");
        assert!(path != ALWAYS || task == PUMP, "tripped again");
    }

    /// Answers every request with 200, some time after.
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
        let emptied = tokio::time::timeout(Duration::from_secs(5), async {
            while relay.backlog().envelopes > 0 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        });
        emptied.await.expect("something is stuck");
        relay.ledger()
    }

    #[tokio::test]
    async fn a_delivery_that_panics_is_made_again() {
        // The others are still under way when it falls.
        let ledger = deliver(&["/fine", CARRIER, "/fine"]).await;
        assert_eq!((ledger.accepted, ledger.delivered, ledger.dropped()), (3, 3, 0));
    }

    #[tokio::test]
    async fn a_pump_that_panics_goes_on_where_it_was() {
        // It falls while it holds the state, and takes a try that is under way along.
        let ledger = deliver(&["/fine", PUMP, "/fine"]).await;
        assert_eq!((ledger.accepted, ledger.delivered, ledger.dropped()), (3, 3, 0));
        assert_eq!(ledger.unanswered, 0, "the try had not begun");
    }

    #[tokio::test]
    async fn a_delivery_that_always_panics_ends_and_holds_up_no_other() {
        let ledger = deliver(&[ALWAYS, "/fine", "/fine"]).await;
        assert_eq!((ledger.delivered, ledger.dropped_for(DropReason::Internal)), (2, 1));
        assert!(ledger.balances(0));
    }
}
