//! Finds the spans in what is known about the environment. Each span is returned once.

use super::Environment;
use crate::config::Function;
use crate::insights::invocation::Invocation;
use crate::insights::spans::{Decision, SpanSet, Writer, init_of, overhead_of};
use crate::insights::xray::XRay;
use crate::protocol::EventId;
use std::borrow::Cow;
use std::time::{Duration, SystemTime};

impl Environment {
    /// Returns the spans that are certain now. `function` and `key` are asked for only if there are any.
    pub(in crate::insights) fn take_spans(
        &mut self,
        function: impl FnOnce() -> Function,
        key: &str,
    ) -> Vec<SpanSet> {
        if !self.spans.are_on() || !(0..self.invocations.len()).any(|at| self.may_have_spans(at)) {
            return Vec::new();
        }
        if self.spans.rate().is_some() || self.envelopes.have_trace() {
            self.read_envelopes();
        }
        let (mut function, mut sets, mut ask) = (None, Vec::new(), Some(function));
        for at in 0..self.invocations.len() {
            if !self.may_have_spans(at) || !self.has_trace(at) {
                continue;
            }
            if let Some(ask) = ask.take() {
                function = Some(ask());
            }
            let set = function.as_ref().and_then(|function| self.spans_of(at, function, key));
            sets.extend(set);
        }
        sets
    }

    /// Whether an invocation may have spans that were not returned so far. It reads no envelope.
    fn may_have_spans(&self, at: usize) -> bool {
        let Some(invocation) = self.invocations.get(at) else { return false };
        if self.spans.rate().is_some() && !self.spans.has_tracing_sdk && invocation.root.is_none() {
            return !invocation.spans_sent.start && self.is_over(at);
        }
        let is_done = invocation.runtime_done.is_some() || self.is_over(at);
        let has_start = !invocation.spans_sent.start && is_done && init_of(invocation, &self.inits).is_some();
        has_start || (!invocation.spans_sent.end && overhead_of(invocation).is_some())
    }

    /// Whether the invocation has a trace that spans can be sent in. What has none now may get one later.
    fn has_trace(&self, at: usize) -> bool {
        let Some(invocation) = self.invocations.get(at) else { return false };
        invocation.root.is_some()
            || (self.spans.rate().is_some() && !self.spans.has_tracing_sdk && self.is_over(at))
    }

    /// Whether nothing more comes of an invocation. Its report comes during the next one.
    pub(super) fn is_over(&self, at: usize) -> bool {
        let has_report = self.invocations.get(at).is_some_and(|one| one.report.is_some());
        let is_long_past = || self.latest_at().is_some_and(|latest| at + 1 < latest);
        has_report || self.is_closed || (!self.managed && is_long_past())
    }

    fn spans_of(&mut self, at: usize, function: &Function, key: &str) -> Option<SpanSet> {
        let invocation = self.invocations.get(at)?;
        let sent = invocation.spans_sent;
        let init = init_of(invocation, &self.inits);
        let phases: Vec<_> = [init.filter(|_| !sent.start), overhead_of(invocation).filter(|_| !sent.end)]
            .into_iter()
            .flatten()
            .collect();
        let is_drawn = init.is_some() || !invocation.is_first;
        let writer = Writer {
            function,
            learnt: &self.learnt,
            invocation,
            undrawn_init: self.inits.described().filter(|_| !is_drawn),
            is_cold_start: self.inits.is_cold_start(Some(invocation)),
        };
        let (drawn, is_whole) = match &invocation.root {
            Some(root) => (Some(writer.children(root, &phases)), false),
            None => (self.own_trace(invocation, &writer, key), true),
        };
        let sent = &mut self.invocations.get_mut(at)?.spans_sent;
        sent.start = true;
        sent.end |= is_whole || phases.iter().any(|phase| phase.kind.is_end());
        drawn.filter(|drawn| !drawn.spans.is_empty())
    }

    /// The trace of an invocation that no SDK has traced, if it is among those that get one.
    fn own_trace(&self, invocation: &Invocation, writer: &Writer<'_>, key: &str) -> Option<SpanSet> {
        let xray = || XRay::read(invocation.xray.as_deref()?).trace_id;
        let known = invocation.sdk.trace_id.as_deref().map(Cow::Borrowed).or_else(|| xray().map(Cow::Owned));
        let trace_id = known.unwrap_or_else(|| EventId::random().to_string().into());
        let decision =
            Decision::of(&trace_id, self.spans.rate()?).filter(|decision| decision.is_sampled())?;
        let start = invocation.started?;
        let phases: Vec<_> =
            [init_of(invocation, &self.inits), overhead_of(invocation)].into_iter().flatten().collect();
        Some(writer.own(&trace_id, decision, key, (start, end_of(invocation, start)), &phases))
    }
}

/// The end of an invocation, by what the platform has measured. One that was killed has taken all its time.
fn end_of(invocation: &Invocation, start: SystemTime) -> SystemTime {
    let ends = [&invocation.runtime_done, &invocation.report].into_iter().flatten();
    let measured = ends.into_iter().find_map(|end| end.metrics.duration_ms);
    let measured = measured.and_then(|millis| Duration::try_from_secs_f64(millis / 1000.0).ok());
    let by_duration = measured.and_then(|duration| start.checked_add(duration));
    let end = invocation.ended.or(by_duration).or(invocation.deadline);
    end.filter(|end| *end >= start).unwrap_or(start)
}

#[cfg(test)]
mod tests;
