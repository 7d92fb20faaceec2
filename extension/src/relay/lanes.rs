//! One lane for each upstream: its outage, its requests in flight, and how fast it answers. Each lane has its own
//! back-off, so that a failing upstream does not delay the envelopes of another.
//!
//! The number of lanes is bounded, because a function may name any number of hosts. The upstreams beyond it share one
//! lane with one back-off. So a pause is never forgotten while it runs, however many upstreams fail at once.

use super::backoff::Backoff;
use super::concurrency::{Pace, limit};
use super::notice::OutageNotice;
use crate::config::Upstream;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

/// The most upstreams that have a lane of their own. A function has one or two.
const OWN_LANES: usize = 16;
/// Beyond a few requests, no more are started while the bodies in flight have this many bytes: then the line is the
/// limit and not the round trip, and the copies in socket and TLS buffers would take memory for nothing.
const MAX_BYTES_IN_FLIGHT: usize = 1 << 20;

/// The longest time for a try, unless the setting is longer.
const LONGEST_TRY: Duration = Duration::from_secs(30);

/// The number of a lane.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct LaneId(usize);

impl LaneId {
    /// The number of lanes, with the shared one and that of the filter.
    pub(super) const COUNT: usize = OWN_LANES + 2;
    const SHARED: Self = Self(OWN_LANES);
    /// The lane of envelopes that have to pass Sentry's Relay first. It leads to no upstream, so no try starts in it.
    pub(super) const FILTER: Self = Self(OWN_LANES + 1);

    pub(super) fn all() -> impl Iterator<Item = Self> {
        (0..Self::COUNT).map(Self)
    }

    pub(super) fn index(self) -> usize {
        self.0
    }
}

#[derive(Debug)]
struct Lane {
    /// The upstream that has this lane for itself.
    upstream: Option<Arc<Upstream>>,
    /// The pause after the last try, if that failed.
    outage: Option<Backoff>,
    /// The time of the last failure, by the wall clock.
    failed: SystemTime,
    notice: OutageNotice,
    in_flight: usize,
    bytes_in_flight: usize,
    faults_in_flight: usize,
    /// The usual time from the start of a try to its response.
    answer_time: Option<Duration>,
    /// The longest of these times. It shrinks little by little.
    slowest: Duration,
    /// The requests in a row that were sent and got no response.
    unanswered: u32,
}

impl Lane {
    fn new() -> Self {
        Self {
            upstream: None,
            outage: None,
            failed: SystemTime::UNIX_EPOCH,
            notice: OutageNotice::default(),
            in_flight: 0,
            bytes_in_flight: 0,
            faults_in_flight: 0,
            answer_time: None,
            slowest: Duration::ZERO,
            unanswered: 0,
        }
    }

    fn pause(&self, clock: Instant) -> Option<Duration> {
        self.outage?.pause(clock)
    }

    /// Whether another upstream may have this lane: nothing is in flight, and nothing is known that has to be kept.
    fn is_free(&self, clock: Instant, now: SystemTime) -> bool {
        self.in_flight + self.faults_in_flight == 0
            && self.pause(clock).is_none()
            && self.notice.is_quiet(now)
    }
}

/// All lanes. Those of single upstreams are made when they are needed, because most functions have one or two.
#[derive(Debug)]
pub(super) struct Lanes {
    own: Vec<Lane>,
    shared: Lane,
}

impl Default for Lanes {
    fn default() -> Self {
        Self { own: Vec::new(), shared: Lane::new() }
    }
}

impl Lanes {
    /// Returns the lane of an upstream, and gives it one if it has none. `is_waiting` says whether envelopes wait in a
    /// lane.
    pub(super) fn assign(
        &mut self,
        upstream: &Arc<Upstream>,
        is_waiting: impl Fn(LaneId) -> bool,
        clock: Instant,
        now: SystemTime,
    ) -> LaneId {
        if let Some(known) = self.own(upstream) {
            return known;
        }
        let lane = Lane { upstream: Some(Arc::clone(upstream)), ..Lane::new() };
        // A new lane is preferred, because reusing another one forgets the answer time of its upstream.
        if self.own.len() < OWN_LANES {
            self.own.push(lane);
            return LaneId(self.own.len() - 1);
        }
        let is_free =
            |(index, lane): &(usize, &mut Lane)| !is_waiting(LaneId(*index)) && lane.is_free(clock, now);
        let Some((index, free)) = self.own.iter_mut().enumerate().find(is_free) else {
            return LaneId::SHARED;
        };
        *free = lane;
        LaneId(index)
    }

    fn own(&self, upstream: &Arc<Upstream>) -> Option<LaneId> {
        let is_its = |lane: &Lane| lane.upstream.as_ref().is_some_and(|own| own == upstream);
        self.own.iter().position(is_its).map(LaneId)
    }

    /// Returns the lane that holds what is known about an upstream.
    pub(super) fn of(&self, upstream: &Arc<Upstream>) -> LaneId {
        self.own(upstream).unwrap_or(LaneId::SHARED)
    }

    fn get(&self, id: LaneId) -> Option<&Lane> {
        if id == LaneId::SHARED { Some(&self.shared) } else { self.own.get(id.0) }
    }

    fn get_mut(&mut self, id: LaneId) -> Option<&mut Lane> {
        if id == LaneId::SHARED { Some(&mut self.shared) } else { self.own.get_mut(id.0) }
    }

    fn all(&self) -> impl Iterator<Item = &Lane> {
        self.own.iter().chain([&self.shared])
    }

    fn all_mut(&mut self) -> impl Iterator<Item = &mut Lane> {
        self.own.iter_mut().chain([&mut self.shared])
    }

    /// Counts a try that starts.
    pub(super) fn started(&mut self, id: LaneId, bytes: usize, is_fault: bool) {
        let Some(lane) = self.get_mut(id) else { return };
        if is_fault {
            lane.faults_in_flight += 1;
            return;
        }
        lane.in_flight += 1;
        lane.bytes_in_flight += bytes;
    }

    /// Counts a try that has ended.
    pub(super) fn ended(&mut self, id: LaneId, bytes: usize, is_fault: bool) {
        let Some(lane) = self.get_mut(id) else { return };
        if is_fault {
            lane.faults_in_flight = lane.faults_in_flight.saturating_sub(1);
            return;
        }
        lane.in_flight = lane.in_flight.saturating_sub(1);
        lane.bytes_in_flight = lane.bytes_in_flight.saturating_sub(bytes);
    }

    /// Records how long a try took that got a response. A faster one counts at once, and a slower one little by little,
    /// because it may have been slow for other reasons.
    pub(super) fn answered_within(&mut self, id: LaneId, took: Duration) {
        let Some(lane) = self.get_mut(id) else { return };
        lane.answer_time = Some(match lane.answer_time {
            Some(usual) if took > usual => usual + took.saturating_sub(usual) / 8,
            _ => took,
        });
        lane.slowest = took.max(lane.slowest * 7 / 8);
        lane.unanswered = 0;
    }

    /// Records that a request was sent and got no response. Returns how many in a row. Requests that were in flight
    /// together count as one.
    pub(super) fn unanswered(&mut self, id: LaneId, clock: Instant) -> u32 {
        let Some(lane) = self.get_mut(id) else { return 0 };
        if lane.pause(clock).is_none() {
            lane.unanswered = lane.unanswered.saturating_add(1);
        }
        lane.unanswered
    }

    /// Returns how long the next try may take, where `setting` is the usual limit. After a request without a response
    /// it is longer: upstream may have taken the request, and another one that ends as early would be a duplicate too.
    pub(super) fn time_limit(&self, id: LaneId, setting: Duration) -> Duration {
        let Some(lane) = self.get(id) else { return setting };
        let doubled = setting.saturating_mul(1 << lane.unanswered.min(8));
        doubled.max(lane.slowest * 2).min(LONGEST_TRY).max(setting)
    }

    /// Whether another try may start in a lane in which this number of envelopes wait.
    pub(super) fn may_start(&self, id: LaneId, waiting: usize, pace: Pace, clock: Instant) -> bool {
        let Some(lane) = self.get(id) else { return false };
        let most = limit(waiting + lane.in_flight, lane.answer_time, lane.outage.is_some(), pace);
        let crowded =
            lane.in_flight >= super::concurrency::BASE && lane.bytes_in_flight >= MAX_BYTES_IN_FLIGHT;
        lane.in_flight < most && !crowded && lane.pause(clock).is_none()
    }

    /// Whether the try of a fault may start. It has places of its own.
    pub(super) fn may_start_fault(&self, id: LaneId, pace: Pace, clock: Instant) -> bool {
        let Some(lane) = self.get(id) else { return false };
        let most = limit(0, None, lane.outage.is_some(), pace);
        lane.faults_in_flight < most && lane.pause(clock).is_none()
    }

    /// Records a failed try. `fail` sets the pause. Returns whether it has to be logged, and then the number of outages
    /// that were not logged since the last time.
    pub(super) fn failed(
        &mut self,
        id: LaneId,
        now: SystemTime,
        fail: impl FnOnce(&mut Backoff),
    ) -> Option<u64> {
        let lane = self.get_mut(id)?;
        let is_first = lane.outage.is_none();
        lane.failed = now;
        fail(lane.outage.get_or_insert_default());
        lane.notice.failed(is_first, now)
    }

    /// Ends the outage, because the upstream has responded. Returns whether that has to be logged.
    pub(super) fn responded(&mut self, id: LaneId) -> bool {
        let Some(lane) = self.get_mut(id) else { return false };
        lane.outage.take().is_some() && lane.notice.recovered()
    }

    /// Whether the last try in this lane failed.
    pub(super) fn has_outage(&self, id: LaneId) -> bool {
        self.get(id).is_some_and(|lane| lane.outage.is_some())
    }

    pub(super) fn any_outage(&self) -> bool {
        self.all().any(|lane| lane.outage.is_some())
    }

    pub(super) fn in_flight(&self, id: LaneId) -> usize {
        self.get(id).map_or(0, |lane| lane.in_flight + lane.faults_in_flight)
    }

    /// Returns the rest of the pause of a lane, if it has one.
    pub(super) fn pause(&self, id: LaneId, clock: Instant) -> Option<Duration> {
        self.get(id)?.pause(clock)
    }

    /// Ends the pauses that are over by the wall clock. They run by the monotonic clock, which may stand still in a
    /// freeze.
    pub(super) fn catch_up(&mut self, now: SystemTime) {
        for lane in self.all_mut() {
            let Some(outage) = &mut lane.outage else { continue };
            // If the clock was set back, the time since the failure is unknown, and the pause stays.
            outage.catch_up(now.duration_since(lane.failed).unwrap_or_default());
        }
    }

    /// Ends all pauses at SHUTDOWN, because a later try would be too late.
    pub(super) fn end_pauses(&mut self) {
        for outage in self.all_mut().filter_map(|lane| lane.outage.as_mut()) {
            outage.end_pause();
        }
    }
}

#[cfg(test)]
mod tests;
