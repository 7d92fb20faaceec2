//! Is Relay ready, and is it still there?

use crate::config::Upstream;
use crate::relay::Shared;
use crate::relay::client::active_timeout::{TimeoutKind, timeout_awake};
use bytes::Bytes;
use hyper::{Request, StatusCode};
use std::sync::Arc;
use std::time::Duration;

/// Waking time that a start may take: 40 ms on a whole core, and the smallest functions have a fourteenth of one.
const READY: Duration = Duration::from_secs(3);
/// Of a Relay that is well.
const LIVE: Duration = Duration::from_secs(1);
const BETWEEN: Duration = Duration::from_millis(10);
/// Of memory in use, in between.
const LOOK: Duration = Duration::from_millis(250);

/// Waits until Relay is ready; `false`: it took too long.
pub(super) async fn ready(shared: &Shared, relay: &Arc<Upstream>) -> bool {
    loop {
        let polling = async {
            while !asks(shared, relay, "/api/relay/healthcheck/ready/").await {
                tokio::time::sleep(BETWEEN).await;
            }
        };
        match timeout_awake(READY, polling).await {
            Ok(()) => return true,
            Err(TimeoutKind::TimedOut) => return false,
            // Nobody has waited.
            Err(TimeoutKind::Frozen) => {}
        }
    }
}

/// Returns once a Relay that is in doubt does not answer.
pub(super) async fn lost(shared: &Shared, relay: &Arc<Upstream>) {
    loop {
        shared.doubt.notified().await;
        let answer = timeout_awake(LIVE, asks(shared, relay, "/api/relay/healthcheck/live/")).await;
        if matches!(answer, Ok(false) | Err(TimeoutKind::TimedOut)) {
            return;
        }
    }
}

/// Returns once the process takes more memory than this, and with how much.
pub(super) async fn over_memory(process: u32, most: usize) -> usize {
    loop {
        match resident(process) {
            Some(taken) if taken > most => return taken,
            _ => tokio::time::sleep(LOOK).await,
        }
    }
}

async fn asks(shared: &Shared, relay: &Arc<Upstream>, path: &str) -> bool {
    let Ok(request) = Request::get(path).body(Bytes::new()) else { return false };
    let answer = shared.client.forward(relay, request).await;
    answer.is_ok_and(|answer| answer.status() == StatusCode::OK)
}

fn resident(process: u32) -> Option<usize> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim().strip_suffix(" kB")?.parse::<usize>().ok()?.checked_mul(1024)
}
