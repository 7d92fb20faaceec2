//! Gives envelopes to Sentry's Relay, and keeps each until it has come out of the door, or until it is clear that it
//! will not.

use super::failure::RelayFailure;
use crate::config::Upstream;
use crate::log::{self, Level};
use crate::protocol::envelope_header;
use crate::relay::Envelope;
use crate::relay::client::active_timeout::{TimeoutKind, timeout_awake};
use crate::relay::core::Core;
use crate::relay::filter::CustodyNumber;
use bytes::Bytes;
use hyper::header::CONTENT_ENCODING;
use hyper::{Request, StatusCode};
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;

/// After this time without a response, in waking time, it is checked whether Sentry's Relay still lives.
const CHECK_AFTER: Duration = Duration::from_secs(1);
/// The longest time until it takes an envelope, in such times. A large one takes seconds in a small function.
const MAX_WAITS: u32 = 15;
/// How long an envelope may take from its acceptance to the door, in waking time. It takes 1 ms on a whole core. What
/// does not come out was dropped by a rule.
const PASS_TIMEOUT: Duration = Duration::from_secs(2);
/// The same at SHUTDOWN, where there is less time.
const DRAIN_PASS_TIMEOUT: Duration = Duration::from_millis(500);
/// The same until an envelope is late, so that the environment is not kept awake for it any longer. In a function of
/// 128 MB, which has 7 % of a core, the first one may need some hundred milliseconds.
const LATE_AFTER: Duration = Duration::from_secs(1);
/// The time between two checks of these limits.
const PASS_CHECK: Duration = Duration::from_millis(250);
/// The additional time for each MiB of its body.
const PASS_TIMEOUT_PER_MIB: Duration = Duration::from_secs(1);
/// How long Sentry's Relay may wait for project configs, in waking time, before it counts as failed.
const CONFIG_TIMEOUT: Duration = Duration::from_secs(10);

/// Gives every envelope that needs it to Sentry's Relay. Returns why that is of no use any more.
pub(super) async fn give(core: &Arc<Core>, sentry_relay: &Arc<Upstream>) -> RelayFailure {
    let mut given: JoinSet<Result<(), RelayFailure>> = JoinSet::new();
    loop {
        while let Some((number, envelope)) = core.take_unfiltered() {
            let (core, sentry_relay) = (Arc::clone(core), Arc::clone(sentry_relay));
            given.spawn(async move { pass(&core, &sentry_relay, number, &envelope).await });
        }
        tokio::select! {
            Some(passed) = given.join_next() => match passed {
                Ok(Ok(())) => {}
                Ok(Err(failure)) => return failure,
                Err(panic) => {
                    log::error("a task for Sentry's Relay panicked", &[("error", &panic)]);
                    return RelayFailure::Internal;
                }
            },
            () = core.wait_until(Core::has_unfiltered) => {}
        }
    }
}

/// Gives one envelope to Sentry's Relay, and waits until its custody has ended.
async fn pass(
    core: &Core,
    sentry_relay: &Arc<Upstream>,
    number: CustodyNumber,
    envelope: &Envelope,
) -> Result<(), RelayFailure> {
    let Some(request) = request(envelope, number) else {
        // The envelope was scanned when it was accepted, so this does not happen. Sentry's Relay would answer this.
        refuse(core, number, StatusCode::BAD_REQUEST);
        return Ok(());
    };
    let answer = core.request(sentry_relay, request);
    tokio::pin!(answer);
    let mut waits = 0;
    let answer = loop {
        match timeout_awake(CHECK_AFTER, answer.as_mut()).await {
            Ok(answer) => break answer,
            // A connection on loopback survives a freeze, and a second try would bring the envelope twice.
            Err(TimeoutKind::Frozen) => {}
            Err(TimeoutKind::TimedOut) => waits += 1,
        }
        match waits {
            1 => core.request_health_check(),
            MAX_WAITS => return Err(RelayFailure::Hangs),
            _ => {}
        }
    };
    match answer.map(|answer| answer.status()) {
        // 403 and 429: the project is disabled or over its quota, and items that are not may still come out.
        Ok(StatusCode::OK | StatusCode::ACCEPTED | StatusCode::FORBIDDEN | StatusCode::TOO_MANY_REQUESTS) => {
            wait_until_passed(core, number, envelope).await
        }
        Ok(status) if status.is_client_error() => {
            refuse(core, number, status);
            Ok(())
        }
        Ok(status) => Err(RelayFailure::Refuses(status.as_u16())),
        Err(_) => Err(RelayFailure::Hangs),
    }
}

/// Ends the custody of an envelope that Sentry's Relay refuses. A warning for each one would fill the log.
fn refuse(core: &Core, number: CustodyNumber, status: StatusCode) {
    let status = status.as_u16();
    let is_new = core.refused_by_filter(number, status);
    let level = if is_new { Level::Warn } else { Level::Debug };
    log::write(level, "Sentry's Relay refuses an envelope", &[("status", &status)]);
}

/// Waits until an envelope that Sentry's Relay has taken has come back, or is taken to be dropped by a rule.
async fn wait_until_passed(
    core: &Core,
    number: CustodyNumber,
    envelope: &Envelope,
) -> Result<(), RelayFailure> {
    let mebibytes = u32::try_from(envelope.body.len() >> 20).unwrap_or(u32::MAX);
    let for_size = PASS_TIMEOUT_PER_MIB.saturating_mul(mebibytes);
    let control = core.filter();
    let (mut waited, mut waited_for_config) = (Duration::ZERO, Duration::ZERO);
    loop {
        let changes = control.config_changes();
        let passed = core.wait_until(|core| !core.is_in_custody(number));
        match timeout_awake(PASS_CHECK, passed).await {
            Ok(()) => return Ok(()),
            Err(TimeoutKind::Frozen) => continue,
            Err(TimeoutKind::TimedOut) => {}
        }
        if control.awaits_config() || control.config_changes() != changes {
            (waited, waited_for_config) = (Duration::ZERO, waited_for_config + PASS_CHECK);
            if waited_for_config >= CONFIG_TIMEOUT && !control.is_required() {
                return Err(RelayFailure::NoConfig);
            }
            continue;
        }
        waited += PASS_CHECK;
        if waited == LATE_AFTER.saturating_add(for_size) {
            core.set_late(number);
        }
        let limit = if core.is_draining() { DRAIN_PASS_TIMEOUT } else { PASS_TIMEOUT };
        if waited >= limit.saturating_add(for_size) {
            log::debug("Sentry's Relay has dropped an envelope", &[("number", &number.get())]);
            core.book_filtered(number);
            return Ok(());
        }
    }
}

/// Builds the request that gives an envelope to Sentry's Relay, with its number in its header.
fn request(envelope: &Envelope, number: CustodyNumber) -> Option<Request<Bytes>> {
    let (body, is_decoded) = if envelope.is_taggable() {
        let body = envelope_header::tagged(envelope.encoding, &envelope.body, number.get())?;
        (Bytes::from(body), true)
    } else {
        (envelope.body.clone(), false)
    };
    let mut request = Request::post(&*envelope.path);
    for (name, value) in envelope.headers.iter() {
        if name != CONTENT_ENCODING || !is_decoded {
            request = request.header(name, value);
        }
    }
    request.body(body).ok()
}
