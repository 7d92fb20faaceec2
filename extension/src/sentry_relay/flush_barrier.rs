//! The flush barrier: with one request to upstream at a time, Relay answers a forwarded request only after every
//! envelope that it took before. Its answer is what turns "Relay has it" into "delivered".

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

/// Any path that Relay has no answer of its own for.
const PATH: &str = "/api/0/sentry-lambda-extension/";
/// What Relay needs to get a post into its queue.
const BEHIND: Duration = Duration::from_millis(10);

/// Passes barriers whenever one is due.
pub(super) async fn keep(core: &Core, sentry_relay: &Arc<Upstream>) {
    loop {
        core.wait_until(|core| core.next_barrier().is_some()).await;
        let is_due = |core: &Core| core.next_barrier().is_none_or(|wait| wait.is_zero());
        match core.next_barrier() {
            None => {}
            Some(Duration::ZERO) => pass(core, sentry_relay).await,
            Some(wait) => {
                let _ = timeout(wait, core.wait_until(is_due)).await;
            }
        }
    }
}

async fn pass(core: &Core, sentry_relay: &Arc<Upstream>) {
    let covered = core.unconfirmed();
    tokio::time::sleep(BEHIND).await;
    let Ok(request) = Request::get(PATH).body(Bytes::new()) else { return };
    let failure = match core.request(sentry_relay, request).await {
        // Upstream may think of the path what it wants. Sentry's Relay itself says 5xx where it cannot reach upstream.
        Ok(response) if !response.status().is_server_error() => {
            if core.barrier_passed(covered) {
                log::info("Sentry's Relay has delivered what it held", &[]);
            }
            return;
        }
        // A freeze says nothing about Sentry's Relay.
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
