//! The state of the relay. Every change of an envelope's state is also counted in the ledger.

mod custody;
mod drain;
mod flight;
mod observed;
mod prepare;
mod reports;
mod upstreams;

use super::blocks::Blocks;
use super::client_reports::{ClientReports, ReportTarget};
use super::envelope::Envelope;
use super::fault_keeper::OptionalKeeper;
use super::lanes::{LaneId, Lanes};
use super::ledger::{DropReason, Ledger};
use super::observer::{Observer, Step};
use super::order;
use super::pending::Pending;
use super::queue::Queue;
use super::rate_limits::RateLimits;
use super::refusals::Refusals;
use crate::config::Upstream;
use crate::protocol::{Item, Priority};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

pub(crate) use custody::CustodyNumber;
use custody::Filtering;

#[derive(Debug)]
pub(super) struct State {
    ledger: Ledger,
    lanes: Lanes,
    rate_limits: RateLimits,
    refusals: Refusals,
    client_reports: ClientReports,
    filtering: Filtering,
    queue: Queue,
    blocks: Blocks,
    in_flight: Vec<Pending>,
    reports_in_flight: usize,
    max_body: usize,
    observer: Observer,
    fault_keeper: OptionalKeeper,
    draining: bool,
    /// When the drain ends.
    drain_end: Option<Instant>,
    closed: bool,
}

impl State {
    /// `buffer` is the bound of the queue and `max_body` that of a decompressed envelope, both in bytes.
    pub(super) fn new(buffer: usize, max_body: usize) -> Self {
        Self {
            ledger: Ledger::default(),
            lanes: Lanes::default(),
            rate_limits: RateLimits::default(),
            refusals: Refusals::default(),
            client_reports: ClientReports::default(),
            filtering: Filtering::default(),
            queue: Queue::new(buffer),
            blocks: Blocks::default(),
            in_flight: Vec::new(),
            reports_in_flight: 0,
            max_body,
            observer: Observer::default(),
            fault_keeper: OptionalKeeper::default(),
            draining: false,
            drain_end: None,
            closed: false,
        }
    }

    /// Removes the items that rate limits forbid. Returns the rest of the envelope, if there is any, and, if an item
    /// was removed, the seconds until the SDK may try again.
    pub(super) fn admit(&mut self, envelope: Envelope, now: SystemTime) -> (Option<Envelope>, Option<u64>) {
        let check = self.rate_limits.check(&envelope.key, &envelope.items, now);
        if check.keeps_all() {
            return (Some(envelope), None);
        }
        let retry_after = check.retry_after;
        (self.remove_limited(&envelope, &check), Some(retry_after))
    }

    /// Queues an envelope. Returns how many envelopes were dropped because the buffer is full.
    pub(super) fn accept(&mut self, envelope: Envelope, now: SystemTime) -> u64 {
        self.ledger.accepted += 1;
        self.tell(&envelope, Step::Accepted);
        let lane = if self.filtering.is_on() {
            LaneId::FILTER
        } else {
            self.assign_lane(&envelope, Instant::now(), now)
        };
        self.queue_new(envelope, lane, now)
    }

    fn assign_lane(&mut self, envelope: &Envelope, clock: Instant, now: SystemTime) -> LaneId {
        let queue = &self.queue;
        self.lanes.assign(&envelope.upstream, |lane| queue.in_lane(lane) > 0, clock, now)
    }

    /// Queues an envelope that is counted as accepted. Returns how many envelopes were dropped for it.
    fn queue_new(&mut self, envelope: Envelope, lane: LaneId, now: SystemTime) -> u64 {
        if self.closed {
            if !self.spool(&envelope) {
                self.book_loss(&envelope, DropReason::Shutdown);
            }
            return 0;
        }
        let keys = order::keys(&envelope);
        let mut envelope = envelope.without_spare_capacity();
        let queue = &self.queue;
        self.blocks.pack(&mut envelope, lane, |lane| queue.in_lane(lane));
        let pending = Pending {
            envelope: Arc::new(envelope),
            lane,
            number: 0,
            place: 0,
            keys,
            attempts: 0,
            is_late: false,
            since: now,
            dated: now,
            reason: DropReason::Shutdown,
            unanswered: Arc::default(),
        };
        let evicted = self.queue.push(pending);
        for victim in &evicted {
            self.lose(&victim.envelope, DropReason::QueueOverflow);
        }
        evicted.len() as u64
    }

    pub(super) fn ledger(&self) -> Ledger {
        self.ledger
    }

    /// Whether a fault waits in the queue.
    pub(super) fn has_waiting_fault(&self) -> bool {
        self.queue.has(Priority::Fault)
    }

    /// Whether nothing is queued, in flight or in custody.
    fn is_idle(&self) -> bool {
        self.queue.is_empty() && self.in_flight.is_empty() && self.filtering.in_custody() == 0
    }

    /// Whether the last try failed for each upstream that has envelopes waiting. If nothing waits, whether it failed
    /// for any upstream.
    pub(super) fn is_troubled(&self) -> bool {
        let (lanes, filtering) = (&self.lanes, &self.filtering);
        let is_used = |lane: &LaneId| {
            has_envelopes(&self.queue, lanes, *lane) || *lane == LaneId::FILTER && filtering.in_custody() > 0
        };
        let is_troubled = |lane| match lane {
            LaneId::FILTER => filtering.is_troubled(),
            lane => lanes.has_outage(lane),
        };
        (lanes.any_outage() || filtering.is_troubled()) && LaneId::all().filter(is_used).all(is_troubled)
    }

    /// Returns how many envelopes are queued, in flight, or in custody.
    pub(super) fn pending(&self) -> u64 {
        (self.queue.len() + self.in_flight.len() + self.filtering.in_custody()) as u64
    }

    /// Returns how many of the pending envelopes are worth keeping the environment awake for.
    pub(super) fn awaited(&self) -> u64 {
        let unawaited = self.queue.background() + self.filtering.late() as u64;
        self.pending().saturating_sub(unawaited)
    }

    /// Records that items were lost before they became an envelope. They are in the next client report.
    pub(super) fn lose_items(&mut self, target: ReportTarget, item: Item, reason: &'static str) {
        self.client_reports.lose_items(target, &[item], reason);
    }

    /// Returns when the oldest of the envelopes was accepted that are worth keeping the environment awake for.
    pub(super) fn oldest(&self) -> Option<SystemTime> {
        // The queue knows nothing of what is late, but that alone is not worth it.
        self.queue.oldest().filter(|_| self.awaited() > 0)
    }

    /// Whether a new envelope for this upstream need not wake the pump. The upstream is paused, and other envelopes
    /// wait for it, so the pump already has a timer.
    pub(super) fn is_waiting_for_pause(&self, upstream: &Arc<Upstream>, clock: Instant) -> bool {
        let lane = self.lanes.of(upstream);
        self.queue.in_lane(lane) > 0 && self.lanes.pause(lane, clock).is_some()
    }

    /// Returns the time until the next try may start: the first pause ends of those that envelopes wait for, or the
    /// interval of a client report.
    pub(super) fn pause(&self, clock: Instant, now: SystemTime) -> Option<Duration> {
        let reports = self.client_reports.wait(now);
        self.queue.lanes().filter_map(|lane| self.lanes.pause(lane, clock)).chain(reports).min()
    }

    fn lose(&mut self, envelope: &Envelope, reason: DropReason) {
        self.book_loss(envelope, reason);
        self.client_reports.lose(envelope, &envelope.items, reason);
    }

    /// Counts an envelope as dropped that no client report has to name.
    fn book_loss(&mut self, envelope: &Envelope, reason: DropReason) {
        self.ledger.lose(reason, 1);
        self.tell(envelope, Step::Dropped(reason));
        self.end_fault(envelope);
    }

    pub(super) fn set_fault_keeper(&mut self, keeper: OptionalKeeper) {
        self.fault_keeper = keeper;
    }

    /// Stores an envelope that cannot be delivered, if it is a fault. Returns whether it is stored, and then counted.
    fn spool(&mut self, envelope: &Envelope) -> bool {
        let is_stored = envelope.priority() == Priority::Fault && self.fault_keeper.keep(envelope);
        self.ledger.spooled += u64::from(is_stored);
        is_stored
    }

    /// Records that an envelope needs no more care, in case that it is a fault.
    fn end_fault(&self, envelope: &Envelope) {
        if envelope.priority() == Priority::Fault {
            self.fault_keeper.ended(envelope);
        }
    }
}

/// Whether an envelope of this lane is queued or in flight.
fn has_envelopes(queue: &Queue, lanes: &Lanes, lane: LaneId) -> bool {
    queue.in_lane(lane) > 0 || lanes.in_flight(lane) > 0
}

#[cfg(test)]
mod tests;
