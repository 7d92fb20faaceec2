//! Tracks which upstreams fail. Each has its own back-off, so that a failing upstream does not delay the envelopes of
//! another.

use super::backoff::Backoff;
use crate::config::Upstream;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

/// The most outages that are kept at a time. A function has one or two upstreams. Beyond this number the oldest outage
/// is forgotten, and its upstream is tried at once.
const MAX_OUTAGES: usize = 8;

/// An upstream whose last try failed.
#[derive(Debug)]
struct Outage {
    upstream: Arc<Upstream>,
    backoff: Backoff,
    /// The time of the last failure, by the wall clock.
    failed: SystemTime,
}

/// The upstreams whose last try failed.
#[derive(Debug, Default)]
pub(super) struct Outages(Vec<Outage>);

impl Outages {
    /// Records a failed try. `fail` sets the length of the pause.
    pub(super) fn failed(
        &mut self,
        upstream: &Arc<Upstream>,
        now: SystemTime,
        fail: impl FnOnce(&mut Backoff),
    ) {
        let at = self.0.iter().position(|outage| outage.upstream == *upstream);
        let at = at.unwrap_or_else(|| {
            if self.0.len() >= MAX_OUTAGES {
                self.0.remove(0);
            }
            self.0.push(Outage { upstream: Arc::clone(upstream), backoff: Backoff::default(), failed: now });
            self.0.len() - 1
        });
        if let Some(outage) = self.0.get_mut(at) {
            outage.failed = now;
            fail(&mut outage.backoff);
        }
    }

    /// Ends the outage of this upstream, because it has responded.
    pub(super) fn succeeded(&mut self, upstream: &Arc<Upstream>) {
        self.0.retain(|outage| outage.upstream != *upstream);
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    /// Whether the last try of this upstream failed.
    pub(super) fn has(&self, upstream: &Arc<Upstream>) -> bool {
        self.0.iter().any(|outage| outage.upstream == *upstream)
    }

    pub(super) fn any(&self) -> bool {
        !self.0.is_empty()
    }

    /// Returns the rest of the pause of this upstream, if it has one.
    pub(super) fn pause(&self, upstream: &Arc<Upstream>, clock: Instant) -> Option<Duration> {
        self.0.iter().find(|outage| outage.upstream == *upstream)?.backoff.pause(clock)
    }

    /// Returns the time until the first pause ends.
    pub(super) fn shortest_pause(&self, clock: Instant) -> Option<Duration> {
        self.0.iter().filter_map(|outage| outage.backoff.pause(clock)).min()
    }

    /// Ends the pauses that are over by the wall clock. They run by the monotonic clock, which may stand still in a
    /// freeze.
    pub(super) fn catch_up(&mut self, now: SystemTime) {
        for outage in &mut self.0 {
            // If the clock was set back, the time since the failure is unknown, and the pause stays.
            outage.backoff.catch_up(now.duration_since(outage.failed).unwrap_or_default());
        }
    }

    /// Ends all pauses at SHUTDOWN, because a later try would be too late.
    pub(super) fn end_pauses(&mut self) {
        self.0.iter_mut().for_each(|outage| outage.backoff.end_pause());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::UNIX_EPOCH;

    #[test]
    fn each_upstream_has_its_own_pause() {
        let [one, other] =
            ["http://127.0.0.1:1", "http://127.0.0.1:2"].map(|url| Arc::new(Upstream::parse(url).unwrap()));
        let now = Instant::now();
        let mut outages = Outages::default();
        outages.failed(&one, UNIX_EPOCH, |backoff| backoff.failed(now, 1.0, None));
        assert!(outages.has(&one) && !outages.has(&other));
        assert!(outages.pause(&one, now).is_some() && outages.pause(&other, now).is_none());
        let equal = Arc::new(Upstream::parse("http://127.0.0.1:1").unwrap());
        assert!(outages.has(&equal), "upstreams are compared by value, not by address");
        outages.catch_up(UNIX_EPOCH);
        assert!(outages.pause(&one, now).is_some());
        outages.catch_up(UNIX_EPOCH + Duration::from_hours(1));
        assert!(outages.has(&one) && outages.pause(&one, now).is_none());
        outages.failed(&one, UNIX_EPOCH, |backoff| backoff.failed(now, 1.0, None));
        outages.end_pauses();
        assert!(outages.has(&one) && outages.shortest_pause(now).is_none());
        outages.succeeded(&one);
        assert!(!outages.any());
    }
}
