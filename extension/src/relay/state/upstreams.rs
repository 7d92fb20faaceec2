//! The part of the state about upstreams: their outages, their rate limits, and the client reports to them.

use super::State;
use crate::config::{PublicKey, Upstream};
use crate::protocol::keep_items;
use crate::relay::backoff::Backoff;
use crate::relay::envelope::Envelope;
use crate::relay::ledger::DropReason;
use crate::relay::rate_limits::RateLimitCheck;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

impl State {
    /// Records the rate limits of an `X-Sentry-Rate-Limits` header for a key.
    pub(in crate::relay) fn limit(&mut self, key: &PublicKey, header: &str, now: SystemTime) {
        self.rate_limits.update(key, header, now);
    }

    /// Records that upstream has limited everything of a key.
    pub(in crate::relay) fn limit_all(
        &mut self,
        key: &PublicKey,
        retry_after: Option<Duration>,
        now: SystemTime,
    ) {
        self.rate_limits.update_all(key, retry_after, now);
    }

    /// Returns the header that tells an SDK the rate limits on its key, if there are any.
    pub(in crate::relay) fn rate_limit_header(&self, key: &PublicKey, now: SystemTime) -> Option<String> {
        self.rate_limits.header(key, now)
    }

    /// Allows a client report to the project of this envelope. Upstream has just taken the envelope, so the report can
    /// use the same connection.
    pub(in crate::relay) fn allow_report(&mut self, envelope: &Envelope) {
        self.client_reports.delivered(envelope);
    }

    /// Records a failed try of this upstream. `fail` sets the pause. Returns whether an outage begins with it.
    pub(in crate::relay) fn upstream_failed(
        &mut self,
        upstream: &Arc<Upstream>,
        now: SystemTime,
        fail: impl FnOnce(&mut Backoff),
    ) -> bool {
        let is_first = !self.outages.has(upstream);
        self.outages.failed(upstream, now, fail);
        is_first
    }

    /// Records that this upstream has responded. Returns whether this ends an outage.
    pub(in crate::relay) fn upstream_responded(&mut self, upstream: &Arc<Upstream>) -> bool {
        let recovered = self.outages.has(upstream);
        if recovered {
            self.outages.succeeded(upstream);
        }
        recovered
    }

    /// Forgets all outages, because they belong to the old route.
    pub(in crate::relay) fn forget_outages(&mut self) {
        self.outages.clear();
    }

    /// Ends the pauses that are over by the wall clock, because the monotonic clock may have stood still in a freeze.
    pub(in crate::relay) fn catch_up(&mut self, now: SystemTime) {
        self.outages.catch_up(now);
    }

    /// Removes the limited items from an envelope, and adds them to the client report. Returns `None` if no item
    /// remains.
    pub(super) fn remove_limited(&mut self, envelope: &Envelope, check: &RateLimitCheck) -> Option<Envelope> {
        let rest = if check.keeps_none() {
            None
        } else {
            keep_items(envelope.encoding, &envelope.body, self.max_body, &check.keep)
        };
        let kept = |keep: bool| rest.is_some() && keep;
        let items = || envelope.items.iter().zip(&check.keep);
        let removed = items().filter(|(_, keep)| !kept(**keep)).map(|(item, _)| item);
        self.client_reports.lose(envelope, removed, DropReason::RateLimit);
        let items = items().filter(|(_, keep)| kept(**keep)).map(|(item, _)| *item).collect();
        Some(Envelope { items, ..envelope.decoded(rest?) })
    }
}
