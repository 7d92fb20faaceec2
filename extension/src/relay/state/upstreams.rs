//! What the state knows of upstreams: their outages, their rate limits, and what may be reported to them.

use super::State;
use crate::config::{PublicKey, Upstream};
use crate::protocol::{Encoding, keep_items};
use crate::relay::backoff::Backoff;
use crate::relay::envelope::Envelope;
use crate::relay::ledger::DropReason;
use crate::relay::rate_limits::RateLimitCheck;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

impl State {
    /// Upstream has announced rate limits for a key, as `X-Sentry-Rate-Limits`.
    pub(in crate::relay) fn limit(&mut self, key: &PublicKey, header: &str, now: SystemTime) {
        self.rate_limits.update(key, header, now);
    }

    /// Upstream has limited everything of a key.
    pub(in crate::relay) fn limit_all(
        &mut self,
        key: &PublicKey,
        retry_after: Option<Duration>,
        now: SystemTime,
    ) {
        self.rate_limits.update_all(key, retry_after, now);
    }

    /// The header that tells an SDK of the rate limits on its key, if there are any.
    pub(in crate::relay) fn rate_limit_header(&self, key: &PublicKey, now: SystemTime) -> Option<String> {
        self.rate_limits.header(key, now)
    }

    /// Upstream has taken an envelope: a report to the same project may follow over the same connection.
    pub(in crate::relay) fn allow_report(&mut self, envelope: &Envelope) {
        self.client_reports.delivered(envelope);
    }

    /// A try of this upstream failed; `fail` decides on the pause. Returns whether the trouble begins with it.
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

    /// This upstream has responded. Returns whether it was in trouble until now.
    pub(in crate::relay) fn upstream_responded(&mut self, upstream: &Arc<Upstream>) -> bool {
        let recovered = self.outages.has(upstream);
        if recovered {
            self.outages.succeeded(upstream);
        }
        recovered
    }

    /// Forgets all outages, because envelopes go another way from now on.
    pub(in crate::relay) fn forget_outages(&mut self) {
        self.outages.clear();
    }

    /// Ends the pauses that are over by the wall clock: the monotonic one may have stood still in a freeze.
    pub(in crate::relay) fn catch_up(&mut self, now: SystemTime) {
        self.outages.catch_up(now);
    }

    /// Takes the forbidden items out of an envelope and reports them; `None`: nothing is left.
    pub(super) fn strip(&mut self, envelope: Envelope, check: &RateLimitCheck) -> Option<Envelope> {
        let rest = if check.keeps_none() {
            None
        } else {
            keep_items(envelope.encoding, &envelope.body, self.max_body, &check.keep)
        };
        let kept = |keep: bool| rest.is_some() && keep;
        let items = || envelope.items.iter().zip(&check.keep);
        let removed = items().filter(|(_, keep)| !kept(**keep)).map(|(item, _)| item);
        self.client_reports.lose(&envelope, removed, DropReason::RateLimit);
        let items = items().filter(|(_, keep)| kept(**keep)).map(|(item, _)| *item).collect();
        let is_encoding = |name| name == hyper::header::CONTENT_ENCODING;
        let headers = envelope.headers.iter().filter(|(name, _)| !is_encoding(name)).cloned().collect();
        let body = rest?.into();
        Some(Envelope { headers, items, body, encoding: Encoding::Identity, ..envelope })
    }
}
