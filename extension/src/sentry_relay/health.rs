//! Checks whether Sentry's Relay is ready, still answers, and uses no more memory than allowed.

use crate::config::Upstream;
use crate::relay::client::active_timeout::{TimeoutKind, timeout_awake};
use crate::relay::core::Core;
use bytes::Bytes;
use hyper::{Request, StatusCode};
use std::sync::Arc;
use std::time::Duration;

/// How long a start may take, in waking time. It takes 40 ms on a whole core, and the smallest functions have a
/// fourteenth of a core. In the mode `managed` it also registers with Sentry, and by default notices only every 3 s
/// whether it has.
const START_TIMEOUT: Duration = Duration::from_secs(8);
/// How long the response to a liveness check may take, in waking time.
const LIVENESS_TIMEOUT: Duration = Duration::from_secs(1);
/// The time between two readiness checks.
const READY_INTERVAL: Duration = Duration::from_millis(10);
/// The time between two checks of the memory in use.
const MEMORY_INTERVAL: Duration = Duration::from_millis(250);

/// Waits until Sentry's Relay is ready. Returns `false` if that takes too long.
pub(super) async fn wait_until_ready(core: &Core, sentry_relay: &Arc<Upstream>) -> bool {
    loop {
        let polling = async {
            while is_ok(core, sentry_relay, "/api/relay/healthcheck/ready/").await != Some(true) {
                tokio::time::sleep(READY_INTERVAL).await;
            }
        };
        match timeout_awake(START_TIMEOUT, polling).await {
            Ok(()) => return true,
            Err(TimeoutKind::TimedOut) => return false,
            // The freeze interrupted the wait, so the whole time starts again.
            Err(TimeoutKind::Frozen) => {}
        }
    }
}

/// Checks Sentry's Relay whenever a check is requested, and returns once it does not answer.
pub(super) async fn wait_until_unresponsive(core: &Core, sentry_relay: &Arc<Upstream>) {
    loop {
        core.health_check_requested().await;
        if is_ok(core, sentry_relay, "/api/relay/healthcheck/live/").await == Some(false) {
            return;
        }
    }
}

/// Waits until the process uses more than `limit` bytes of memory. Returns how many bytes it uses.
pub(super) async fn wait_until_over_memory(process: u32, limit: usize) -> usize {
    loop {
        match resident_memory(process) {
            Some(used) if used > limit => return used,
            _ => tokio::time::sleep(MEMORY_INTERVAL).await,
        }
    }
}

/// Whether a check is answered with 200 in time. `None`: a freeze interrupted it, which says nothing about Sentry's
/// Relay.
async fn is_ok(core: &Core, sentry_relay: &Arc<Upstream>, path: &str) -> Option<bool> {
    let request = Request::get(path).body(Bytes::new()).ok()?;
    match timeout_awake(LIVENESS_TIMEOUT, core.request(sentry_relay, request)).await {
        Ok(answer) => Some(answer.is_ok_and(|answer| answer.status() == StatusCode::OK)),
        Err(TimeoutKind::TimedOut) => Some(false),
        Err(TimeoutKind::Frozen) => None,
    }
}

fn resident_memory(process: u32) -> Option<usize> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim().strip_suffix(" kB")?.parse::<usize>().ok()?.checked_mul(1024)
}
