//! The part of the state about client reports that leave and come back.

use super::{State, has_envelopes};
use crate::config::Upstream;
use crate::relay::client_reports::ClientReport;
use std::sync::Arc;
use std::time::SystemTime;

impl State {
    /// Takes out the next client report that may be sent and marks it as in flight.
    ///
    /// `is_connected` says whether there is an idle connection to an upstream.
    pub(in crate::relay) fn check_out_report(
        &mut self,
        now: SystemTime,
        is_connected: impl Fn(&Arc<Upstream>) -> bool,
    ) -> Option<ClientReport> {
        // While draining, a report waits until no envelope to its upstream remains: such an envelope may still be lost,
        // and the report has to count it.
        let (queue, lanes, draining) = (&self.queue, &self.lanes, self.draining);
        let ready = |upstream: &Arc<Upstream>| {
            let lane = lanes.of(upstream);
            let awaited = draining && has_envelopes(queue, lanes, lane);
            !lanes.has_outage(lane) && !awaited
        };
        let report = self.client_reports.take(now, self.draining, ready, is_connected)?;
        self.reports_in_flight += 1;
        Some(report)
    }

    /// Ends the delivery of a report. If it did not arrive, its losses are reported later, except while draining.
    pub(in crate::relay) fn check_in_report(&mut self, report: ClientReport, arrived: bool) {
        self.reports_in_flight = self.reports_in_flight.saturating_sub(1);
        if !arrived && !self.draining {
            self.client_reports.give_back(report);
        }
    }
}
