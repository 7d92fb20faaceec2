//! The part of the state about its end: the drain at SHUTDOWN, and what remains after it.

use super::State;
use crate::relay::lanes::LaneId;
use crate::relay::ledger::DropReason;
use std::time::Instant;

impl State {
    /// Starts the drain at SHUTDOWN, which ends at `end`: all pauses end, and failed tries are repeated at short
    /// intervals.
    pub(in crate::relay) fn start_draining(&mut self, end: Instant) {
        self.draining = true;
        self.drain_end = Some(end);
        self.lanes.end_pauses();
    }

    /// Counts all remaining envelopes as dropped, and accepts nothing more. A fault that the keeper stores is counted
    /// as spooled instead.
    pub(in crate::relay) fn close(&mut self) {
        self.closed = true;
        let mut in_flight = std::mem::take(&mut self.in_flight);
        for pending in &mut in_flight {
            self.count_unanswered(pending);
            if pending.reason == DropReason::Shutdown {
                // The envelope was tried, and upstream did not answer in time.
                pending.reason = DropReason::Network;
            }
        }
        let unfiltered = self.filtering.take_all();
        for pending in in_flight.into_iter().chain(unfiltered).chain(self.queue.take_all()) {
            if self.spool(&pending.envelope) {
                continue;
            }
            if pending.lane == LaneId::FILTER {
                self.book_loss(&pending.envelope, DropReason::SentryRelayUnavailable);
            } else {
                self.book_loss(&pending.envelope, pending.reason);
            }
        }
    }

    pub(in crate::relay) fn draining(&self) -> bool {
        self.draining
    }

    /// Whether the drain is finished: no envelope and no report that could be sent remains.
    pub(in crate::relay) fn is_drained(&self) -> bool {
        let lanes = &self.lanes;
        self.is_idle()
            && self.reports_in_flight == 0
            && !self.client_reports.any(|upstream| !lanes.has_outage(lanes.of(upstream)))
    }
}
