//! The part of the state about envelopes that have to pass Sentry's Relay first.
//!
//! Such an envelope waits in the queue, in a lane of its own. While Sentry's Relay has it, it is in custody here, and
//! its bytes still count in the queue's bound. So nothing is lost when Sentry's Relay ends.

use super::State;
use crate::relay::envelope::Envelope;
use crate::relay::lanes::LaneId;
use crate::relay::ledger::DropReason;
use crate::relay::pending::Pending;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Instant, SystemTime};

/// The most envelopes that Sentry's Relay has at a time. One takes it a millisecond, so more would only take memory.
const MOST: usize = 16;
/// No more are given to it while those in custody have this many bytes.
const MAX_BYTES: usize = 2 << 20;
/// How many envelopes that were counted as filtered are remembered, in case that they come out late.
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
    /// The numbers of the latest envelopes that were counted as filtered.
    filtered: VecDeque<u64>,
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

    /// Puts everything in custody back, for the next start of Sentry's Relay. Returns how many envelopes these are.
    pub(in crate::relay) fn filter_has_failed(&mut self) -> usize {
        (self.filtering.is_ready, self.filtering.has_failed) = (false, true);
        let custody = std::mem::take(&mut self.filtering.custody);
        let returned = custody.len();
        for pending in custody {
            self.queue.put_back(pending);
        }
        returned
    }

    /// Ends the filtering. Everything that waits for it is queued for upstream, unless `is_required`.
    pub(in crate::relay) fn stop_filtering(&mut self, is_required: bool, clock: Instant, now: SystemTime) {
        self.filter_has_failed();
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
        let bytes: usize = custody.iter().map(|pending| pending.envelope.size()).sum();
        // What cannot carry a number is matched by being alone.
        let has_room =
            custody.len() < MOST && bytes < MAX_BYTES && custody.iter().all(|one| one.envelope.is_taggable());
        *is_ready && has_room && self.queue.has_ready(LaneId::FILTER)
    }

    /// Takes the next envelope into custody.
    pub(in crate::relay) fn take_unfiltered(&mut self) -> Option<(CustodyNumber, Arc<Envelope>)> {
        if !self.has_unfiltered() {
            return None;
        }
        let pending = self.queue.pop_where(|(lane, _)| lane == LaneId::FILTER)?;
        let taken = (CustodyNumber(pending.number), Arc::clone(&pending.envelope));
        self.filtering.custody.push(pending);
        Some(taken)
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

    /// Queues an envelope that Sentry's Relay has handed back.
    pub(in crate::relay) fn hand_back(
        &mut self,
        number: Option<CustodyNumber>,
        envelope: Envelope,
        clock: Instant,
        now: SystemTime,
    ) {
        if self.closed {
            // What was in custody is counted already.
            return;
        }
        let lane = self.assign_lane(&envelope, clock, now);
        let Some(mut pending) = number.and_then(|number| self.leave_custody(number)) else {
            let filtered = &mut self.filtering.filtered;
            let booked = filtered.iter().position(|one| number == Some(CustodyNumber(*one)));
            if booked.and_then(|at| filtered.remove(at)).is_some() {
                // It was only slow, so it was not filtered.
                self.ledger.find(DropReason::SentryRelayFiltered);
            } else {
                self.ledger.accepted += 1;
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
        (pending.envelope, pending.lane) = (Arc::new(envelope), lane);
        self.queue.put_back(pending);
    }

    /// Counts an envelope in custody as dropped by the rules of Sentry's Relay, which reports that to Sentry itself.
    pub(in crate::relay) fn book_filtered(&mut self, number: CustodyNumber) {
        let Some(pending) = self.leave_custody(number) else { return };
        self.queue.release(&pending);
        self.ledger.lose(DropReason::SentryRelayFiltered, 1);
        self.filtering.filtered.truncate(REMEMBERED - 1);
        self.filtering.filtered.push_front(number.0);
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

    fn leave_custody(&mut self, number: CustodyNumber) -> Option<Pending> {
        let at = self.filtering.custody.iter().position(|one| one.number == number.0)?;
        Some(self.filtering.custody.swap_remove(at))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::ItemKind;
    use crate::relay::envelope::sample;
    use std::time::UNIX_EPOCH;

    fn state() -> State {
        let mut state = State::new(1 << 20, 1 << 20);
        state.start_filtering();
        state.filter_is_ready();
        state
    }

    fn accept(state: &mut State, kind: ItemKind) {
        assert_eq!(state.accept(sample(kind, 10), UNIX_EPOCH), 0);
    }

    fn take(state: &mut State) -> CustodyNumber {
        let taken = state.take_unfiltered().unwrap().0;
        assert!(state.check_out(Instant::now(), UNIX_EPOCH, false).is_none(), "it leaves unfiltered");
        taken
    }

    fn hand_back(state: &mut State, number: CustodyNumber, body: &'static str) {
        let envelope = Envelope { body: body.into(), ..sample(ItemKind::Event, 10) };
        state.hand_back(Some(number), envelope, Instant::now(), UNIX_EPOCH);
    }

    /// Checks that the counts balance. Returns accepted, dropped and pending.
    fn counts(state: &State) -> [u64; 3] {
        let ledger = state.ledger();
        assert!(ledger.balances(state.pending()), "{ledger:?} {}", state.pending());
        [ledger.accepted, ledger.dropped(), state.pending()]
    }

    fn leaves(state: &mut State) -> Option<Envelope> {
        let pending = state.check_out(Instant::now(), UNIX_EPOCH, true)?;
        state.check_in(&pending, |ledger| ledger.delivered += 1);
        Some(Arc::unwrap_or_clone(pending.envelope))
    }

    #[test]
    fn what_comes_back_leaves_instead_of_what_was_given() {
        let mut state = state();
        accept(&mut state, ItemKind::Event);
        let number = take(&mut state);
        assert!(!state.is_filtered() && !state.is_drained() && counts(&state) == [1, 0, 1]);
        hand_back(&mut state, number, "filtered");
        assert!(state.is_filtered() && counts(&state) == [1, 0, 1]);
        hand_back(&mut state, number, "its second part");
        assert_eq!(counts(&state), [2, 0, 2]);
        assert_eq!(leaves(&mut state).unwrap().body, "filtered");
        assert_eq!(leaves(&mut state).unwrap().body, "its second part");
        assert!(leaves(&mut state).is_none() && state.is_drained() && counts(&state) == [2, 0, 0]);
    }

    #[test]
    fn nothing_is_given_while_it_does_not_run_and_all_is_given_again() {
        let mut state = state();
        accept(&mut state, ItemKind::Event);
        accept(&mut state, ItemKind::Transaction);
        let first = take(&mut state);
        assert!(!state.is_troubled());
        assert_eq!(state.filter_has_failed(), 1);
        assert!(state.take_unfiltered().is_none() && state.is_troubled() && counts(&state) == [2, 0, 2]);
        state.filter_is_ready();
        assert_eq!(take(&mut state), first, "errors come first");
        hand_back(&mut state, first, "filtered");
        assert_eq!(counts(&state), [2, 0, 2]);
    }

    #[test]
    fn its_room_is_bounded() {
        let mut state = state();
        for _ in 0..2 * MOST {
            accept(&mut state, ItemKind::Event);
        }
        assert_eq!(std::iter::from_fn(|| state.take_unfiltered()).count(), MOST);
        let mut state = State {
            filtering: Filtering { is_on: true, is_ready: true, ..Filtering::default() },
            ..State::new(8 << 20, 8 << 20)
        };
        for _ in 0..3 {
            state.accept(sample(ItemKind::Event, MAX_BYTES / 2), UNIX_EPOCH);
        }
        assert_eq!(std::iter::from_fn(|| state.take_unfiltered()).count(), 2);
    }

    #[test]
    fn what_is_no_envelope_is_given_alone() {
        let mut state = state();
        for path in ["/api/42/nel/", "/api/42/envelope/"] {
            state.accept(Envelope { path: path.to_owned(), ..sample(ItemKind::Event, 1) }, UNIX_EPOCH);
        }
        let number = take(&mut state);
        assert_eq!(state.custody(None).map(|(found, _)| found), Some(number));
        assert!(state.take_unfiltered().is_none());
        hand_back(&mut state, number, "now an envelope");
        assert!(state.custody(None).is_none() && state.take_unfiltered().is_some());
    }

    #[test]
    fn dropped_by_a_rule_or_only_late() {
        let mut state = state();
        accept(&mut state, ItemKind::Event);
        let number = take(&mut state);
        state.book_filtered(number);
        assert_eq!((counts(&state), state.ledger().lost()), ([1, 1, 0], 0));
        hand_back(&mut state, number, "late");
        assert_eq!(counts(&state), [1, 0, 1]);
    }

    #[test]
    fn refused_ones_leave_as_they_are_unless_that_is_forbidden() {
        let mut state = state();
        accept(&mut state, ItemKind::Event);
        accept(&mut state, ItemKind::Event);
        let number = take(&mut state);
        state.refused(number, false, Instant::now(), UNIX_EPOCH);
        assert_eq!((counts(&state), leaves(&mut state).unwrap().body.len()), ([2, 0, 2], 10));
        let number = take(&mut state);
        state.refused(number, true, Instant::now(), UNIX_EPOCH);
        assert_eq!(
            (counts(&state), state.ledger().dropped_for(DropReason::SentryRelayRefused)),
            ([2, 1, 0], 1)
        );
    }

    #[test]
    fn without_it_everything_leaves_or_nothing() {
        for is_required in [false, true] {
            let mut state = state();
            let monitor = "{}\n{\"length\":22}\n{\"monitor_slug\":\"job\"}\n";
            for _ in 0..2 {
                // The second waits for the first.
                let check_in = Envelope { body: monitor.into(), ..sample(ItemKind::CheckIn, 22) };
                state.accept(check_in, UNIX_EPOCH);
            }
            take(&mut state);
            assert!(state.take_unfiltered().is_none());
            state.stop_filtering(is_required, Instant::now(), UNIX_EPOCH);
            accept(&mut state, ItemKind::Event);
            assert_eq!(std::iter::from_fn(|| leaves(&mut state)).count(), if is_required { 0 } else { 3 });
            assert_eq!((state.is_blocked(), state.is_troubled()), (is_required, is_required));
            state.close(|_| false);
            let unavailable = state.ledger().dropped_for(DropReason::SentryRelayUnavailable);
            assert_eq!((unavailable, counts(&state)[2]), (if is_required { 3 } else { 0 }, 0));
        }
    }

    #[test]
    fn the_end_counts_custody_and_keeps_faults() {
        let mut state = state();
        for kind in [ItemKind::Fault, ItemKind::Event, ItemKind::Event] {
            accept(&mut state, kind);
        }
        let fault = take(&mut state);
        take(&mut state);
        state.close(|_| true);
        assert_eq!((counts(&state), state.ledger().spooled), ([3, 2, 0], 1));
        assert_eq!(state.ledger().dropped_for(DropReason::SentryRelayUnavailable), 2);
        hand_back(&mut state, fault, "too late");
        assert_eq!(counts(&state), [3, 2, 0]);
    }
}
