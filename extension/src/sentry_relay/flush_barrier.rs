//! The flush barrier is a request that Sentry's Relay forwards to upstream. Sentry's Relay sends one request at a time,
//! so it answers the barrier only after it has sent every envelope that it took before. The response confirms their
//! delivery.

use crate::config::Upstream;
use crate::log;
use crate::relay::client::SendError;
use crate::relay::client::active_timeout::TimeoutKind;
use crate::relay::core::Core;
use bytes::Bytes;
use hyper::Request;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::timeout;

/// A path that Sentry's Relay does not answer itself, so that it forwards the request.
const PATH: &str = "/api/0/sentry-lambda-extension/";
/// How long Sentry's Relay needs to put an accepted envelope into its queue, so that the barrier goes behind it.
const QUEUE_DELAY: Duration = Duration::from_millis(10);

/// Sends a barrier whenever one is due. It never returns.
pub(super) async fn send_when_due(core: &Core, sentry_relay: &Arc<Upstream>) {
    loop {
        core.wait_until(|core| core.next_barrier().is_some()).await;
        let is_due = |core: &Core| core.next_barrier().is_none_or(|wait| wait.is_zero());
        match core.next_barrier() {
            None => {}
            Some(Duration::ZERO) => send(core, sentry_relay).await,
            Some(wait) => {
                let _ = timeout(wait, core.wait_until(is_due)).await;
            }
        }
    }
}

async fn send(core: &Core, sentry_relay: &Arc<Upstream>) {
    let covered = core.unconfirmed();
    tokio::time::sleep(QUEUE_DELAY).await;
    let Ok(request) = Request::get(PATH).body(Bytes::new()) else { return };
    let failure = match core.request(sentry_relay, request).await {
        // Any response below 500 comes from upstream, so the barrier has passed, whatever upstream says about the
        // path. Sentry's Relay itself answers 5xx if it cannot reach upstream.
        Ok(response) if !response.status().is_server_error() => {
            if core.barrier_passed(covered) {
                log::info("Sentry's Relay has delivered what it held", &[]);
            }
            return;
        }
        // The environment was frozen, which says nothing about Sentry's Relay.
        Err(SendError::Timeout(TimeoutKind::Frozen)) => return,
        Ok(response) => response.status().to_string(),
        Err(error) => {
            core.request_health_check();
            error.to_string()
        }
    };
    if core.barrier_failed() {
        log::warn(
            "Sentry's Relay cannot deliver: it holds envelopes",
            &[("envelopes", &covered), ("answer", &failure)],
        );
    }
}
