//! The part of the state about upstreams: their lanes, their rate limits, and the client reports to them.

use super::State;
use crate::config::PublicKey;
use crate::protocol::{Priority, keep_items};
use crate::relay::backoff::Backoff;
use crate::relay::client::Reply;
use crate::relay::envelope::Envelope;
use crate::relay::lanes::LaneId;
use crate::relay::ledger::DropReason;
use crate::relay::pending::Pending;
use crate::relay::rate_limits::RateLimitCheck;
use crate::relay::refusal_reason::RefusalReason;
use std::time::{Duration, Instant, SystemTime};

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

    /// Allows a client report to the project of this envelope. Upstream has just answered the envelope, so the report
    /// can use the same connection.
    pub(in crate::relay) fn allow_report(&mut self, envelope: &Envelope) {
        self.client_reports.answered(envelope);
    }

    /// Records a failed try in a lane. `fail` sets the pause. Returns whether it has to be logged, and then the number
    /// of outages that were not logged since the last time.
    pub(in crate::relay) fn upstream_failed(
        &mut self,
        lane: LaneId,
        now: SystemTime,
        fail: impl FnOnce(&mut Backoff),
    ) -> Option<u64> {
        self.lanes.failed(lane, now, fail)
    }

    /// Records that the upstream of a lane has responded. Returns whether the end of an outage has to be logged.
    pub(in crate::relay) fn upstream_responded(&mut self, lane: LaneId) -> bool {
        self.lanes.responded(lane)
    }

    /// Records that upstream has refused an envelope for good. Returns whether this kind of refusal has to be logged.
    pub(in crate::relay) fn is_new_refusal(&mut self, pending: &Pending, reply: &Reply) -> bool {
        self.refusals.is_new(&pending.envelope.upstream, reply.status, reply.sentry_error.as_deref())
    }

    /// Counts a request that the gateway refuses. Returns whether this kind of refusal has to be logged.
    pub(in crate::relay) fn refuse_request(
        &mut self,
        reason: RefusalReason,
        status: u16,
        host: &str,
    ) -> bool {
        self.ledger.refuse(reason);
        self.refusals.is_new_own(reason, status, host)
    }

    /// Records how long a try took that got a response.
    pub(in crate::relay) fn answered_within(&mut self, lane: LaneId, took: Duration) {
        self.lanes.answered_within(lane, took);
    }

    /// Records that a request was sent and got no response. Returns how many in a row.
    pub(in crate::relay) fn unanswered(&mut self, lane: LaneId, clock: Instant) -> u32 {
        self.lanes.unanswered(lane, clock)
    }

    /// Returns how long the next try in a lane may take, where `setting` is the usual limit.
    pub(in crate::relay) fn time_limit(&self, lane: LaneId, setting: Duration) -> Duration {
        self.lanes.time_limit(lane, setting)
    }

    /// Ends the pauses that are over by the wall clock, because the monotonic clock may have stood still in a freeze.
    pub(in crate::relay) fn catch_up(&mut self, now: SystemTime) {
        self.lanes.catch_up(now);
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
        self.client_reports.lose(envelope, removed.clone(), DropReason::RateLimit);
        self.tell_lost_items(envelope, removed.copied(), DropReason::RateLimit);
        let items = items().filter(|(_, keep)| kept(**keep)).map(|(item, _)| *item).collect();
        let rest = rest.map(|body| Envelope { items, ..envelope.decoded(body) });
        if rest.as_ref().is_none_or(|rest| rest.priority() != Priority::Fault) {
            self.end_fault(envelope);
        }
        rest
    }
}
