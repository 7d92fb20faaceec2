//! Which upstream is well: one back-off each, so that the trouble of one holds up no other's envelopes.

use super::backoff::Backoff;
use crate::config::Upstream;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

/// Upstreams in trouble at a time. A function has one or two; more share the fate of being tried at once.
const MOST: usize = 8;

/// An upstream that failed last time it was tried.
#[derive(Debug)]
struct Outage {
    upstream: Arc<Upstream>,
    backoff: Backoff,
    /// When it failed last, by the wall clock.
    failed: SystemTime,
}

/// The upstreams in trouble.
#[derive(Debug, Default)]
pub(crate) struct Outages(Vec<Outage>);

impl Outages {
    /// A try failed.
    pub(crate) fn failed(
        &mut self,
        upstream: &Arc<Upstream>,
        now: SystemTime,
        fail: impl FnOnce(&mut Backoff),
    ) {
        let at = self.0.iter().position(|outage| outage.upstream == *upstream);
        let at = at.unwrap_or_else(|| {
            if self.0.len() >= MOST {
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

    /// A try succeeded.
    pub(crate) fn succeeded(&mut self, upstream: &Arc<Upstream>) {
        self.0.retain(|outage| outage.upstream != *upstream);
    }

    /// Forgets all: envelopes go another way from now on.
    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }

    /// Whether the last that was heard of an upstream was a failure.
    pub(crate) fn has(&self, upstream: &Arc<Upstream>) -> bool {
        self.0.iter().any(|outage| outage.upstream == *upstream)
    }

    /// Whether any upstream is in trouble.
    pub(crate) fn any(&self) -> bool {
        !self.0.is_empty()
    }

    /// What is left of an upstream's pause.
    pub(crate) fn pause(&self, upstream: &Arc<Upstream>, clock: Instant) -> Option<Duration> {
        self.0.iter().find(|outage| outage.upstream == *upstream)?.backoff.pause(clock)
    }

    /// The shortest of the pauses.
    pub(crate) fn shortest_pause(&self, clock: Instant) -> Option<Duration> {
        self.0.iter().filter_map(|outage| outage.backoff.pause(clock)).min()
    }

    /// Ends the pauses that are over by the wall clock: the one they run by may have stood still in a freeze.
    pub(crate) fn catch_up(&mut self, now: SystemTime) {
        for outage in &mut self.0 {
            // A clock that was set back says nothing.
            outage.backoff.catch_up(now.duration_since(outage.failed).unwrap_or_default());
        }
    }

    /// Ends all pauses, for there will be no later: SHUTDOWN.
    pub(crate) fn end_pauses(&mut self) {
        self.0.iter_mut().for_each(|outage| outage.backoff.end_pause());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::UNIX_EPOCH;

    #[test]
    fn each_has_its_own() {
        let [one, other] =
            ["http://127.0.0.1:1", "http://127.0.0.1:2"].map(|url| Arc::new(Upstream::parse(url).unwrap()));
        let now = Instant::now();
        let mut outages = Outages::default();
        outages.failed(&one, UNIX_EPOCH, |backoff| backoff.failed(now, 1.0, None));
        assert!(outages.has(&one) && !outages.has(&other));
        assert!(outages.pause(&one, now).is_some() && outages.pause(&other, now).is_none());
        let equal = Arc::new(Upstream::parse("http://127.0.0.1:1").unwrap());
        assert!(outages.has(&equal), "by what it is, not by where it is kept");
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
