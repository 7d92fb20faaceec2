//! The part of the state about envelopes that have to pass Sentry's Relay first.
//!
//! Such an envelope waits in the queue, in a lane of its own. While Sentry's Relay has it, it is in custody here, and
//! its bytes still count in the queue's bound. So nothing is lost when Sentry's Relay ends.

use super::State;
use crate::config::Upstream;
use crate::protocol::{Item, ItemKind, crc32};
use crate::relay::envelope::Envelope;
use crate::relay::lanes::LaneId;
use crate::relay::ledger::DropReason;
use crate::relay::observer::Step;
use crate::relay::pending::Pending;
use crate::relay::refusal_reason::RefusalReason;
use std::sync::Arc;
use std::time::{Instant, SystemTime};

/// The most envelopes that Sentry's Relay has at a time. One takes it a millisecond, so more would only take memory.
const MOST: usize = 16;
/// The same with those that are late.
const MOST_WITH_LATE: usize = 128;
/// No more are given to it while those in custody have this many bytes, decoded, as it gets most of them.
const MAX_BYTES: usize = 2 << 20;
/// After Sentry's Relay has failed this many times while it had an envelope, the envelope may be the cause, and is
/// given alone.
const SUSPICIOUS_FAILURES: u8 = 2;
/// After this many such failures, the envelope is taken to be the cause.
const MAX_FAILURES: u8 = 6;
/// How many envelopes that have left custody are remembered, in case that more of them comes out.
const REMEMBERED: usize = 64;

/// The number of an envelope in custody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct CustodyNumber(u64);

impl CustodyNumber {
    /// Returns the number as Sentry's Relay gets it.
    pub(crate) fn get(self) -> u64 {
        self.0
    }
}

impl From<u64> for CustodyNumber {
    fn from(number: u64) -> Self {
        Self(number)
    }
}

/// An envelope that has left custody.
#[derive(Debug)]
struct Left {
    number: u64,
    upstream: Arc<Upstream>,
    /// A digest of the items that came out. `None`: nothing has, so it was counted as filtered.
    digest: Option<u32>,
}

/// What the state knows of Sentry's Relay.
#[derive(Debug, Default)]
pub(super) struct Filtering {
    /// Whether new envelopes have to pass it.
    is_on: bool,
    /// Whether it takes envelopes now.
    is_ready: bool,
    /// Whether it has failed since it was ready for the last time.
    has_failed: bool,
    /// Whether it waits for something from Sentry.
    is_stuck: bool,
    /// Whether it has failed for good, and nothing may leave without it.
    is_blocked: bool,
    custody: Vec<Pending>,
    /// The latest envelopes that have left custody.
    left: Vec<Left>,
}

impl Filtering {
    pub(super) fn is_on(&self) -> bool {
        self.is_on
    }

    /// Whether it takes no envelope now, so that waiting for it is of no use.
    pub(super) fn is_troubled(&self) -> bool {
        self.has_failed || self.is_stuck || self.is_blocked
    }

    pub(super) fn in_custody(&self) -> usize {
        self.custody.len()
    }

    /// Remembers that an envelope has left custody, or that more of it has come out.
    fn remember(&mut self, left: Left) {
        if self.left.len() == REMEMBERED {
            self.left.remove(0);
        }
        self.left.push(left);
    }

    /// Returns how many of those in custody are late.
    pub(super) fn late(&self) -> usize {
        self.custody.iter().filter(|one| one.is_late).count()
    }

    /// Takes out everything in custody. It is counted as dropped because Sentry's Relay did not hand it back.
    pub(super) fn take_all(&mut self) -> impl Iterator<Item = Pending> + use<> {
        std::mem::take(&mut self.custody).into_iter()
    }
}

impl State {
    /// Lets every envelope pass Sentry's Relay from now on.
    pub(in crate::relay) fn start_filtering(&mut self) {
        self.filtering.is_on = true;
    }

    /// Whether envelopes pass Sentry's Relay.
    pub(in crate::relay) fn is_filtering(&self) -> bool {
        self.filtering.is_on
    }

    /// Whether nothing waits for Sentry's Relay or is in custody.
    pub(in crate::relay) fn is_filtered(&self) -> bool {
        self.queue.in_lane(LaneId::FILTER) == 0 && self.filtering.custody.is_empty()
    }

    /// Whether nothing can leave any more, because only Sentry's Relay may send and has failed for good.
    pub(in crate::relay) fn is_blocked(&self) -> bool {
        self.filtering.is_blocked
    }

    pub(in crate::relay) fn filter_is_ready(&mut self) {
        let Filtering { is_ready, has_failed, is_stuck, .. } = &mut self.filtering;
        (*is_ready, *has_failed, *is_stuck) = (true, false, false);
    }

    pub(in crate::relay) fn set_filter_stuck(&mut self, is_stuck: bool) {
        self.filtering.is_stuck = is_stuck;
    }

    /// Puts everything in custody back, for the next start of Sentry's Relay. If nothing may be sent without it, what
    /// it had at too many failures is dropped, because that would end each further start. Returns how many envelopes
    /// were put back, and how many were dropped.
    pub(in crate::relay) fn filter_has_failed(&mut self, is_required: bool) -> (usize, usize) {
        (self.filtering.is_ready, self.filtering.has_failed) = (false, true);
        let custody = std::mem::take(&mut self.filtering.custody);
        let (all, mut dropped) = (custody.len(), 0);
        for mut pending in custody {
            // What is late was processed without a failure.
            if !std::mem::take(&mut pending.is_late) {
                pending.attempts = (pending.attempts + 1).min(MAX_FAILURES);
            }
            if is_required && pending.attempts == MAX_FAILURES {
                self.queue.release(&pending);
                self.lose(&pending.envelope, DropReason::SentryRelayRefused);
                dropped += 1;
            } else {
                self.queue.put_back(pending);
            }
        }
        (all - dropped, dropped)
    }

    /// Ends the filtering. Everything that waits for it is queued for upstream, unless `is_required`.
    pub(in crate::relay) fn stop_filtering(&mut self, is_required: bool, clock: Instant, now: SystemTime) {
        self.filter_has_failed(false);
        self.filtering.is_blocked = is_required;
        if is_required {
            return;
        }
        self.filtering.is_on = false;
        self.filtering.has_failed = false;
        let Self { queue, lanes, .. } = self;
        let waiting = queue.waiting_in_lanes();
        queue.change_lane(LaneId::FILTER, |pending| {
            let is_waiting = |lane: LaneId| waiting.get(lane.index()).is_some_and(|count| *count > 0);
            lanes.assign(&pending.envelope.upstream, is_waiting, clock, now)
        });
    }

    /// Whether an envelope may be given to Sentry's Relay now.
    pub(in crate::relay) fn has_unfiltered(&self) -> bool {
        let Filtering { is_ready, custody, .. } = &self.filtering;
        let (mut bytes, mut in_time) = (0, 0);
        for one in custody {
            // What cannot carry a number is matched by being alone.
            if !one.envelope.is_taggable() || !one.is_late && one.attempts >= SUSPICIOUS_FAILURES {
                return false;
            }
            bytes += decoded_size(&one.envelope);
            in_time += usize::from(!one.is_late);
        }
        let has_room = in_time < MOST && custody.len() < MOST_WITH_LATE && bytes < MAX_BYTES;
        *is_ready && has_room && self.queue.has_ready(LaneId::FILTER)
    }

    /// Takes the next envelope into custody. It is prepared as if it left now, because Sentry's Relay shifts times by
    /// `sent_at` as Sentry does.
    pub(in crate::relay) fn take_unfiltered(
        &mut self,
        now: SystemTime,
    ) -> Option<(CustodyNumber, Arc<Envelope>)> {
        while self.has_unfiltered() {
            let pending = self.queue.pop_where(|(lane, _)| lane == LaneId::FILTER)?;
            let Some(pending) = self.prepare(pending, now) else { continue };
            let taken = (CustodyNumber(pending.number), Arc::clone(&pending.envelope));
            self.filtering.custody.push(pending);
            return Some(taken);
        }
        None
    }

    /// Returns the envelope with this number in custody. Without a number, it is the one that cannot carry one.
    pub(in crate::relay) fn custody(
        &self,
        number: Option<CustodyNumber>,
    ) -> Option<(CustodyNumber, Arc<Envelope>)> {
        let is_it =
            |one: &&Pending| number.map_or(!one.envelope.is_taggable(), |number| one.number == number.0);
        let found = self.filtering.custody.iter().find(is_it)?;
        Some((CustodyNumber(found.number), Arc::clone(&found.envelope)))
    }

    /// Queues an envelope that Sentry's Relay has handed back. `is_dated` says whether its `sent_at` is of now.
    ///
    /// If a connection breaks, Sentry's Relay may get an envelope twice, or hand it back twice. The second copy is not
    /// delivered. It is known by its items, because those of the further parts of an envelope are others.
    pub(in crate::relay) fn hand_back(
        &mut self,
        number: Option<CustodyNumber>,
        envelope: Envelope,
        is_dated: bool,
        clock: Instant,
        now: SystemTime,
    ) {
        if self.closed {
            // What was in custody is counted already.
            return;
        }
        let mut was_filtered = false;
        if let Some(CustodyNumber(number)) = number {
            let digest = Some(digest(&envelope));
            for left in self.filtering.left.iter().filter(|left| left.number == number) {
                if left.digest == digest {
                    return;
                }
                was_filtered = left.digest.is_none();
            }
            self.filtering.remember(Left { number, upstream: Arc::clone(&envelope.upstream), digest });
        }
        let lane = self.assign_lane(&envelope, clock, now);
        let Some(mut pending) = number.and_then(|number| self.leave_custody(number)) else {
            if was_filtered {
                // It was only slow, so it was not filtered.
                self.ledger.take_back(DropReason::SentryRelayFiltered);
            } else {
                self.ledger.accepted += 1;
                self.tell(&envelope, Step::Accepted);
            }
            self.queue_new(envelope, lane, now);
            return;
        };
        let envelope = envelope.without_spare_capacity();
        self.queue.release_bytes(pending.envelope.size());
        // It may have grown, because it is not compressed any more.
        let Some(evicted) = self.queue.reserve(envelope.size(), envelope.priority()) else {
            self.lose(&envelope, DropReason::QueueOverflow);
            self.queue.forget(&pending);
            return;
        };
        for victim in evicted {
            self.lose(&victim.envelope, DropReason::QueueOverflow);
        }
        (pending.envelope, pending.lane, pending.attempts) = (Arc::new(envelope), lane, 0);
        if is_dated {
            pending.dated = now;
        }
        self.queue.put_back(pending);
    }

    /// Records that an envelope in custody is late: it keeps neither others nor the environment waiting any more.
    pub(in crate::relay) fn set_late(&mut self, number: CustodyNumber) {
        if let Some(late) = self.filtering.custody.iter_mut().find(|one| one.number == number.0) {
            late.is_late = true;
        }
    }

    /// Counts an envelope in custody as dropped by the rules of Sentry's Relay, which reports that to Sentry itself.
    pub(in crate::relay) fn book_filtered(&mut self, number: CustodyNumber) {
        let Some(pending) = self.leave_custody(number) else { return };
        self.queue.release(&pending);
        self.book_loss(&pending.envelope, DropReason::SentryRelayFiltered);
        let upstream = Arc::clone(&pending.envelope.upstream);
        self.filtering.remember(Left { number: number.0, upstream, digest: None });
    }

    /// Returns the upstream of the envelope that had this number in custody, or of the latest that has left it.
    pub(in crate::relay) fn upstream_of(&self, number: Option<u64>) -> Option<Arc<Upstream>> {
        let is_it = |left: &&Left| number.is_none_or(|number| left.number == number);
        let left = self.filtering.left.iter().rev().find(is_it)?;
        Some(Arc::clone(&left.upstream))
    }

    /// Queues an envelope as it is that Sentry's Relay refuses, or drops it if `is_required`.
    pub(in crate::relay) fn refused(
        &mut self,
        number: CustodyNumber,
        is_required: bool,
        clock: Instant,
        now: SystemTime,
    ) {
        let Some(mut pending) = self.leave_custody(number) else { return };
        if is_required {
            self.queue.release(&pending);
            self.lose(&pending.envelope, DropReason::SentryRelayRefused);
        } else {
            pending.lane = self.assign_lane(&pending.envelope, clock, now);
            self.queue.put_back(pending);
        }
    }

    /// Records that Sentry's Relay refuses an envelope with this status. Returns whether it is the first with it.
    pub(in crate::relay) fn is_new_filter_status(&mut self, status: u16) -> bool {
        self.refusals.is_new_own(RefusalReason::Unfiltered, status, "")
    }

    fn leave_custody(&mut self, number: CustodyNumber) -> Option<Pending> {
        let at = self.filtering.custody.iter().position(|one| one.number == number.0)?;
        Some(self.filtering.custody.swap_remove(at))
    }
}

/// Returns about how many bytes an envelope takes when it is decoded.
fn decoded_size(envelope: &Envelope) -> usize {
    let payloads = envelope.items.iter().map(|item| item.bytes).sum();
    envelope.size().max(payloads)
}

/// Returns a digest of the items of an envelope that is not compressed. In the mode `managed`, Sentry's Relay writes
/// into an event when it came. But an envelope has only one, so all are the same here. It may also write the time into
/// logs, spans and metrics, and then their copies are taken for parts.
fn digest(envelope: &Envelope) -> u32 {
    let is_event =
        |item: &Item| matches!(item.kind, ItemKind::Event | ItemKind::Transaction | ItemKind::Fault);
    if envelope.items.iter().any(is_event) {
        return 0;
    }
    let body = &*envelope.body;
    let header = body.iter().position(|byte| *byte == b'\n').unwrap_or_default();
    crc32(body.get(header..).unwrap_or_default())
}

#[cfg(test)]
mod tests;
