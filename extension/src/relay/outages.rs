//! Which upstream is well: one back-off each, so that the trouble of one holds up no other's envelopes.

use super::backoff::Backoff;
use crate::config::Upstream;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Upstreams in trouble at a time. A function has one or two; more share the fate of being tried at once.
const MOST: usize = 8;

/// The upstreams that have failed last time they were tried.
#[derive(Debug, Default)]
pub(super) struct Outages(Vec<(Arc<Upstream>, Backoff)>);

impl Outages {
    /// A try failed.
    pub(super) fn failed(&mut self, upstream: &Arc<Upstream>, fail: impl FnOnce(&mut Backoff)) {
        let at = self.0.iter().position(|(troubled, _)| troubled == upstream);
        let at = at.unwrap_or_else(|| {
            if self.0.len() >= MOST {
                self.0.remove(0);
            }
            self.0.push((Arc::clone(upstream), Backoff::default()));
            self.0.len() - 1
        });
        if let Some((_, backoff)) = self.0.get_mut(at) {
            fail(backoff);
        }
    }

    /// A try succeeded.
    pub(super) fn succeeded(&mut self, upstream: &Arc<Upstream>) {
        self.0.retain(|(troubled, _)| troubled != upstream);
    }

    /// Whether the last that was heard of an upstream was a failure.
    pub(super) fn has(&self, upstream: &Arc<Upstream>) -> bool {
        self.0.iter().any(|(troubled, _)| troubled == upstream)
    }

    /// Whether any upstream is in trouble.
    pub(super) fn any(&self) -> bool {
        !self.0.is_empty()
    }

    /// What is left of an upstream's pause.
    pub(super) fn pause(&self, upstream: &Arc<Upstream>, now: Instant) -> Option<Duration> {
        self.0.iter().find(|(troubled, _)| troubled == upstream)?.1.pause(now)
    }

    /// The shortest of the pauses.
    pub(super) fn shortest_pause(&self, now: Instant) -> Option<Duration> {
        self.0.iter().filter_map(|(_, backoff)| backoff.pause(now)).min()
    }

    /// Ends all pauses, for there will be no later: SHUTDOWN.
    pub(super) fn end_pauses(&mut self) {
        self.0.iter_mut().for_each(|(_, backoff)| backoff.end_pause());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_has_its_own() {
        let [one, other] =
            ["http://127.0.0.1:1", "http://127.0.0.1:2"].map(|url| Arc::new(Upstream::parse(url).unwrap()));
        let now = Instant::now();
        let mut outages = Outages::default();
        outages.failed(&one, |backoff| backoff.failed(now, 1.0, None));
        assert!(outages.has(&one) && !outages.has(&other));
        assert!(outages.pause(&one, now).is_some() && outages.pause(&other, now).is_none());
        let equal = Arc::new(Upstream::parse("http://127.0.0.1:1").unwrap());
        assert!(outages.has(&equal), "by what it is, not by where it is kept");
        outages.end_pauses();
        assert!(outages.has(&one) && outages.shortest_pause(now).is_none());
        outages.succeeded(&one);
        assert!(!outages.any());
    }
}
