//! Keeps idle connections for the next envelope.

use crate::config::Upstream;
use crate::http::RequestSender;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

/// How long an idle connection is kept. Load balancers and NAT forget idle connections after about a minute. The wall
/// clock counts, because the monotonic clock may stand still while the environment is frozen.
const MAX_IDLE_TIME: Duration = Duration::from_secs(30);
/// The most idle connections. It is twice the number of envelopes that may be in flight to one upstream.
const MAX_IDLE: usize = 8;

#[derive(Debug)]
struct IdleConnection {
    upstream: Arc<Upstream>,
    since: SystemTime,
    sender: RequestSender,
}

/// Idle connections. The one that was used last is the last.
#[derive(Debug, Default)]
pub(super) struct Pool(Mutex<Vec<IdleConnection>>);

impl Pool {
    /// Takes out the connection to this upstream that was used last, if it may still be alive.
    pub(super) fn take(&self, upstream: &Upstream) -> Option<RequestSender> {
        let mut idle = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let now = SystemTime::now();
        // If the clock was set back, `since` may lie in the future. The age is unknown then, so the connection is
        // closed.
        idle.retain(|i| {
            now.duration_since(i.since).is_ok_and(|age| age < MAX_IDLE_TIME) && !i.sender.is_closed()
        });
        let last = idle.iter().rposition(|i| *i.upstream == *upstream)?;
        Some(idle.swap_remove(last).sender)
    }

    /// Keeps a connection. If there are too many, the oldest is closed.
    pub(super) fn put(&self, upstream: Arc<Upstream>, sender: RequestSender) {
        let mut idle = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() >= MAX_IDLE {
            idle.remove(0);
        }
        idle.push(IdleConnection { upstream, since: SystemTime::now(), sender });
    }

    /// Closes all idle connections to this upstream.
    pub(super) fn forget(&self, upstream: &Upstream) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).retain(|i| *i.upstream != *upstream);
    }
}
