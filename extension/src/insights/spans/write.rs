//! Writes spans as Sentry's containers have them. Pure, except that new spans get random ids.

use super::due::Phase;
use super::root::Root;
use super::sampling::Decision;
use crate::config::Function;
use crate::insights::invocation::{Invocation, Learnt};
use crate::insights::json::{attribute, fields_of, object, set, text};
use crate::protocol::EventId;
use crate::relay::ReportTarget;
use serde_json::{Map, Value};
use std::time::SystemTime;

const ORIGIN: &str = "auto.function.aws_lambda_extension";
const OP: &str = "function.aws";

/// Spans of one trace, ready to be put into an envelope.
#[derive(Debug)]
pub(in crate::insights) struct SpanSet {
    /// The `trace` of the envelope's header.
    pub(in crate::insights) trace: String,
    pub(in crate::insights) spans: Vec<Value>,
    /// Where they go. `None`: to the extension's own project.
    pub(in crate::insights) target: Option<ReportTarget>,
}

/// What is the same for all spans of an invocation.
#[derive(Clone, Copy, Debug)]
pub(in crate::insights) struct Writer<'a> {
    pub(in crate::insights) function: &'a Function,
    pub(in crate::insights) learnt: &'a Learnt,
    pub(in crate::insights) invocation: &'a Invocation,
    /// How the environment was initialized, and the milliseconds of that, if it belongs to this invocation and is not
    /// drawn.
    pub(in crate::insights) undrawn_init: Option<(&'a str, Option<f64>)>,
    pub(in crate::insights) is_cold_start: bool,
}

impl Writer<'_> {
    /// The children of an SDK's root span.
    pub(in crate::insights) fn children(&self, root: &Root, phases: &[Phase]) -> SpanSet {
        let spans = phases.iter().map(|phase| self.child(phase, &root.trace_id, &root.span_id)).collect();
        SpanSet { trace: root.trace.clone(), spans, target: Some(root.target.clone()) }
    }

    /// A trace of the extension's own: the invocation, and what belongs to it.
    pub(in crate::insights) fn own(
        &self,
        trace_id: &str,
        decision: Decision,
        key: &str,
        (start, end): (SystemTime, SystemTime),
        phases: &[Phase],
    ) -> SpanSet {
        let root = span_id();
        let mut attributes = self.attributes(OP, &root);
        for (name, value) in
            [("faas.version", &*self.function.version), ("cloud.region", &*self.function.region)]
        {
            set(&mut attributes, name, text(value));
        }
        set(&mut attributes, "cloud.provider", text("aws"));
        set(&mut attributes, "cloud.platform", text("aws_lambda"));
        let status = if self.invocation.has_failed() { "error" } else { "ok" };
        let mut spans = vec![object(&mut [
            ("trace_id", trace_id.into()),
            ("span_id", (&*root).into()),
            ("name", (&*self.function.name).into()),
            ("status", status.into()),
            ("is_segment", true.into()),
            ("start_timestamp", seconds(start).into()),
            ("end_timestamp", seconds(end).into()),
            ("attributes", attributes.into()),
        ])];
        spans.extend(phases.iter().map(|phase| self.child(phase, trace_id, &root)));
        let mut trace = fields_of(&mut [
            ("trace_id", trace_id.into()),
            ("public_key", key.into()),
            ("transaction", (&*self.function.name).into()),
            ("sampled", "true".into()),
            ("sample_rate", decision.rate.to_string().into()),
            ("sample_rand", decision.written_random().into()),
        ]);
        for (name, value) in [("release", self.release()), ("environment", self.environment())] {
            if let Some(value) = value {
                set(&mut trace, name, value.into());
            }
        }
        SpanSet { trace: Value::Object(trace).to_string(), spans, target: None }
    }

    fn child(&self, phase: &Phase, trace_id: &str, root: &str) -> Value {
        object(&mut [
            ("trace_id", trace_id.into()),
            ("span_id", span_id().into()),
            ("parent_span_id", root.into()),
            ("name", format!("{} {}", self.function.name, phase.kind.suffix()).into()),
            ("status", "ok".into()),
            ("is_segment", false.into()),
            ("start_timestamp", seconds(phase.start).into()),
            ("end_timestamp", seconds(phase.end).into()),
            ("attributes", self.attributes(phase.kind.op(), root).into()),
        ])
    }

    fn attributes(&self, op: &str, segment: &str) -> Map<String, Value> {
        let mut attributes = Map::new();
        let request = self.invocation.request.to_string();
        let optional = [
            ("sentry.op", op),
            ("sentry.origin", ORIGIN),
            ("sentry.segment.id", segment),
            ("faas.name", &self.function.name),
            ("faas.invocation_id", &request),
            ("aws.lambda.initialization_type", self.undrawn_init.map_or("", |(kind, _)| kind)),
        ];
        for (name, value) in optional {
            if !value.is_empty() {
                set(&mut attributes, name, text(value));
            }
        }
        for (name, value) in [("sentry.release", self.release()), ("sentry.environment", self.environment())]
        {
            if let Some(value) = value {
                set(&mut attributes, name, text(&value));
            }
        }
        if let Some(millis) = self.undrawn_init.and_then(|(_, millis)| millis) {
            set(&mut attributes, "aws.lambda.init_duration", attribute(millis.into(), "double"));
        }
        set(&mut attributes, "faas.coldstart", attribute(self.is_cold_start.into(), "boolean"));
        attributes
    }

    fn release(&self) -> Option<String> {
        let Self { function, learnt, .. } = self;
        function.release.clone().or_else(|| learnt.release.clone()).or_else(|| function.published())
    }

    fn environment(&self) -> Option<String> {
        self.function.environment.clone().or_else(|| self.learnt.environment.clone())
    }
}

fn span_id() -> String {
    EventId::random().to_string().chars().skip(16).collect()
}

/// A time as Sentry's containers have it.
fn seconds(time: SystemTime) -> f64 {
    time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs_f64()
}
