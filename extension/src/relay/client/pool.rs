//! Connections between two uses.

use crate::config::Upstream;
use crate::http::RequestSender;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

/// Load balancers and NAT forget idle connections from about a minute on. By the wall clock, since the
/// monotonic one may stand still while the environment is frozen.
const KEEP: Duration = Duration::from_secs(30);
/// More than are ever in flight.
const MOST: usize = 8;

#[derive(Debug)]
struct IdleConnection {
    upstream: Arc<Upstream>,
    since: SystemTime,
    sender: RequestSender,
}

/// Idle connections, the freshest last.
#[derive(Debug, Default)]
pub(super) struct Pool(Mutex<Vec<IdleConnection>>);

impl Pool {
    /// The freshest connection to this upstream, if one may still be alive.
    pub(super) fn take(&self, upstream: &Upstream) -> Option<RequestSender> {
        let mut idle = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let now = SystemTime::now();
        // A clock that was set back makes `since` lie in the future: nothing is known then.
        idle.retain(|i| now.duration_since(i.since).is_ok_and(|age| age < KEEP) && !i.sender.is_closed());
        let last = idle.iter().rposition(|i| *i.upstream == *upstream)?;
        Some(idle.swap_remove(last).sender)
    }

    /// Keeps a connection for the next envelope.
    pub(super) fn put(&self, upstream: Arc<Upstream>, sender: RequestSender) {
        let mut idle = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() >= MOST {
            idle.remove(0);
        }
        idle.push(IdleConnection { upstream, since: SystemTime::now(), sender });
    }

    /// Closes all idle connections to this upstream.
    pub(super) fn forget(&self, upstream: &Upstream) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).retain(|i| *i.upstream != *upstream);
    }
}
