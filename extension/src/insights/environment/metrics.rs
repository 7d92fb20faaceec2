//! Takes measurements from what is known about the environment. Each is taken once.

use super::Environment;
use crate::config::FaultKind;
use crate::insights::metrics::{Failure, Measured};
use crate::insights::spans::post_runtime;
use serde_json::Value;
use std::time::SystemTime;

impl Environment {
    /// Takes what is new, and returns the metrics that are to be sent now. Nothing if no metrics are wanted.
    pub(in crate::insights) fn take_metrics(&mut self, now: SystemTime) -> Vec<Value> {
        let Some(mut metrics) = self.metrics.take() else { return Vec::new() };
        for at in 0..self.invocations.len() {
            if !self.has_come_to_an_end(at) {
                continue;
            }
            // The SDK may have reported an error that the platform does not see.
            self.read_envelopes();
            let Some(invocation) = self.invocations.get(at) else { continue };
            let trace_id = self.trace_of(&invocation.request);
            let failure = match invocation.fault {
                Some(FaultKind::Timeout) => Some(Failure::Timeout),
                Some(FaultKind::OutOfMemory) => Some(Failure::OutOfMemory),
                Some(_) => Some(Failure::Other),
                None => (invocation.has_unhandled_error || invocation.has_raised).then_some(Failure::Other),
            };
            let measured = Measured {
                done: invocation.runtime_done.as_ref(),
                report: invocation.report.as_ref(),
                post_runtime: post_runtime(invocation),
                failure,
                is_cold_start: self.inits.is_cold_start(Some(invocation)),
                trace_id: trace_id.as_deref(),
                now,
            };
            let taken = metrics.take(measured, invocation.metrics_taken);
            if let Some(invocation) = self.invocations.get_mut(at) {
                invocation.metrics_taken = taken;
            }
        }
        let learnt = &self.learnt;
        let sent = if self.is_closed || metrics.are_due(now) {
            metrics.drain(now, learnt.release.as_deref(), learnt.environment.as_deref())
        } else {
            Vec::new()
        };
        self.metrics = Some(metrics);
        sent
    }

    fn has_come_to_an_end(&self, at: usize) -> bool {
        let Some(invocation) = self.invocations.get(at) else { return false };
        let is_done = invocation.runtime_done.is_some() || invocation.fault.is_some();
        is_done || self.is_over(at)
    }
}

#[cfg(test)]
mod tests;
