//! Keeps idle connections for the next envelope.

use super::connect::Connection;
use crate::config::Upstream;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

/// How long an idle connection is kept. Load balancers and NAT forget idle connections after about a minute. The wall
/// clock counts, because the monotonic clock may stand still while the environment is frozen.
const MAX_IDLE_TIME: Duration = Duration::from_secs(30);
/// The most idle connections. It is the number of envelopes that may be in flight in a burst.
const MAX_IDLE: usize = 128;
/// The most idle connections that are kept after a burst.
const MAX_KEPT: usize = 8;

#[derive(Debug)]
struct IdleConnection {
    upstream: Arc<Upstream>,
    since: SystemTime,
    connection: Connection,
}

/// Idle connections. The one that was used last is the last.
#[derive(Debug, Default)]
pub(super) struct Pool(Mutex<Vec<IdleConnection>>);

impl Pool {
    /// Takes out the connection to this upstream that was used last, if it may still be alive.
    pub(super) fn take(&self, upstream: &Upstream) -> Option<Connection> {
        let mut idle = self.alive();
        let last = idle.iter().rposition(|i| *i.upstream == *upstream)?;
        Some(idle.swap_remove(last).connection)
    }

    /// Whether there is a connection to this upstream that may still be alive.
    pub(super) fn has(&self, upstream: &Upstream) -> bool {
        self.alive().iter().any(|i| *i.upstream == *upstream)
    }

    /// Closes the connections that are too old, and returns the others.
    fn alive(&self) -> MutexGuard<'_, Vec<IdleConnection>> {
        let mut idle = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let now = SystemTime::now();
        // If the clock was set back, `since` may lie in the future. The age is unknown then, so the connection is
        // closed.
        idle.retain(|i| {
            now.duration_since(i.since).is_ok_and(|age| age < MAX_IDLE_TIME)
                && !i.connection.sender.is_closed()
        });
        idle
    }

    /// Keeps a connection. If there are too many, the oldest is closed.
    pub(super) fn put(&self, upstream: Arc<Upstream>, connection: Connection) {
        let mut idle = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() >= MAX_IDLE {
            idle.remove(0);
        }
        idle.push(IdleConnection { upstream, since: SystemTime::now(), connection });
    }

    /// Closes the oldest idle connections that only a burst needs.
    pub(super) fn close_surplus(&self) {
        let mut idle = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let surplus = idle.len().saturating_sub(MAX_KEPT);
        idle.drain(..surplus);
    }

    /// Closes all idle connections to this upstream.
    pub(super) fn forget(&self, upstream: &Upstream) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).retain(|i| *i.upstream != *upstream);
    }
}
