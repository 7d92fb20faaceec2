//! Finds the check-ins in what is known about the environment. Each part of a check-in is returned once, in order.

use super::Environment;
use crate::insights::monitor::{CheckIn, Surroundings};
use crate::protocol::EventId;
use serde_json::Value;
use std::time::{Duration, SystemTime};

impl Environment {
    /// Returns the parts of check-ins that are certain now. Nothing if there is no monitor.
    pub(in crate::insights) fn take_check_ins(&mut self, now: SystemTime) -> Vec<Value> {
        let mut parts = Vec::new();
        if self.monitor.is_none() {
            return parts;
        }
        for at in 0..self.invocations.len() {
            let Some(CheckIn { id, has_ended }) = self.invocations.get(at).map(|one| one.check_in.clone())
            else {
                continue;
            };
            let ends = !has_ended && self.has_ended(at);
            if has_ended || (id.is_some() && !ends) {
                continue;
            }
            if ends {
                // The SDK may have reported an error that the platform does not see.
                self.read_envelopes();
            }
            let has_begun = id.is_some();
            let id = id.unwrap_or_else(EventId::random);
            parts.extend(self.parts(at, &id, (!has_begun, ends), now));
            if let Some(invocation) = self.invocations.get_mut(at) {
                invocation.check_in = CheckIn { id: Some(id), has_ended: ends };
            }
        }
        parts
    }

    /// The runtime has logged an error that nothing in the function has handled. Without a request it belongs to the
    /// latest invocation.
    pub(in crate::insights) fn raised(&mut self, request: Option<&crate::telemetry::RequestId>) {
        let invocation = match request {
            Some(request) => self.invocations.iter_mut().find(|one| one.request == *request),
            None if self.managed => None,
            None => self.latest_mut(),
        };
        if let Some(invocation) = invocation {
            invocation.has_raised = true;
        }
    }

    /// Whether the outcome of an invocation is known, or will not become known any more.
    fn has_ended(&self, at: usize) -> bool {
        let Some(invocation) = self.invocations.get(at) else { return false };
        let is_reported =
            invocation.fault.is_some() || invocation.runtime_done.is_some() || invocation.report.is_some();
        let is_followed = || self.latest_at().is_some_and(|latest| at < latest);
        is_reported || self.is_closed || (!self.managed && is_followed())
    }

    fn parts(&self, at: usize, id: &EventId, (begins, ends): (bool, bool), now: SystemTime) -> Vec<Value> {
        let (Some(monitor), Some(invocation)) = (&self.monitor, self.invocations.get(at)) else {
            return Vec::new();
        };
        let trace_id = self.trace_of(&invocation.request);
        let about = Surroundings {
            environment: self.learnt.environment.as_deref(),
            release: self.learnt.release.as_deref(),
            trace_id: trace_id.as_deref(),
        };
        let mut parts = Vec::new();
        if begins {
            let time_out = invocation
                .deadline
                .zip(invocation.invoked)
                .and_then(|(end, begin)| end.duration_since(begin).ok());
            parts.push(monitor.begun(id, about, time_out));
        }
        if ends {
            let ends = [&invocation.runtime_done, &invocation.report].into_iter().flatten();
            let measured = ends.into_iter().find_map(|end| end.metrics.duration_ms);
            let measured = measured.and_then(|millis| Duration::try_from_secs_f64(millis / 1000.0).ok());
            let counted = || now.duration_since(invocation.invoked?).ok();
            let duration = measured.or_else(counted);
            parts.push(monitor.ended(id, about, invocation.has_failed(), duration));
        }
        parts
    }
}

#[cfg(test)]
mod tests;
