//! The platform's measurements of each invocation, as Sentry's metrics. Pure: what is to be sent is handed out.
//!
//! Counts are added up until they are sent. A distribution has one value for each invocation, so its values are sent as
//! they are. They are kept until there are enough for a container, or for ten seconds while there are invocations.

mod price;

use super::json::{attribute, object, set, text};
use crate::config::Function;
use crate::telemetry::InvocationEnd;
use serde_json::{Map, Value};
use std::time::{Duration, SystemTime};

/// The most values in a container, of which Sentry advises 100. The values of one more invocation fit.
const MAX_VALUES: usize = 80;
/// Metrics wait for more of them so long.
const LONGEST_WAIT: Duration = Duration::from_secs(10);

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Counter {
    Invocations,
    Errors,
    Timeouts,
    OutOfMemory,
    ColdStarts,
}

const COUNTERS: [(Counter, &str); 5] = [
    (Counter::Invocations, "invocations"),
    (Counter::Errors, "errors"),
    (Counter::Timeouts, "timeouts"),
    (Counter::OutOfMemory, "out_of_memory"),
    (Counter::ColdStarts, "cold_starts"),
];

/// Which measurements of an invocation were taken. Each is taken once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct MetricsTaken {
    begun: bool,
    has_failed: bool,
    duration: bool,
    report: bool,
}

/// What is the same for all metrics of a function.
#[derive(Debug)]
pub(super) struct MetricContext {
    pub(super) function: Function,
    pub(super) is_arm: bool,
    /// The trace of what belongs to no single invocation.
    pub(super) trace_id: String,
}

/// How an invocation has failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Failure {
    Timeout,
    OutOfMemory,
    Other,
}

/// The metrics that wait to be sent.
#[derive(Debug)]
pub(super) struct Metrics {
    context: MetricContext,
    /// By counter, and by whether it was a cold start.
    counts: [[u64; 2]; COUNTERS.len()],
    values: Vec<Value>,
    /// The time of the first of them.
    since: Option<SystemTime>,
}

/// An invocation, with what is known of it beyond its own records.
#[derive(Clone, Copy, Debug)]
pub(super) struct Measured<'a> {
    /// What was told when its runtime was done. The report of an invocation that was killed never comes.
    pub(super) done: Option<&'a InvocationEnd>,
    pub(super) report: Option<&'a InvocationEnd>,
    /// The time for which extensions held it.
    pub(super) post_runtime: Option<Duration>,
    pub(super) failure: Option<Failure>,
    pub(super) is_cold_start: bool,
    pub(super) trace_id: Option<&'a str>,
    pub(super) now: SystemTime,
}

impl Metrics {
    pub(super) fn new(context: MetricContext) -> Self {
        Self { context, counts: Default::default(), values: Vec::new(), since: None }
    }

    /// Takes what is new of an invocation. Returns what was taken so far.
    pub(super) fn take(&mut self, measured: Measured<'_>, mut taken: MetricsTaken) -> MetricsTaken {
        let Measured { failure, is_cold_start, now, .. } = measured;
        if !taken.begun {
            taken.begun = true;
            self.count(Counter::Invocations, is_cold_start, now);
            if is_cold_start {
                self.count(Counter::ColdStarts, is_cold_start, now);
            }
        }
        if let Some(failure) = failure.filter(|_| !taken.has_failed) {
            taken.has_failed = true;
            self.count(Counter::Errors, is_cold_start, now);
            match failure {
                Failure::Timeout => self.count(Counter::Timeouts, is_cold_start, now),
                Failure::OutOfMemory => self.count(Counter::OutOfMemory, is_cold_start, now),
                Failure::Other => {}
            }
        }
        if let Some(done) = measured.done.or(measured.report).filter(|_| !taken.duration) {
            taken.duration = true;
            self.value(measured, "duration", done.metrics.duration_ms, Some("millisecond"));
        }
        if let Some(report) = measured.report.filter(|_| !taken.report) {
            taken.report = true;
            self.take_report(measured, report);
        }
        taken
    }

    fn take_report(&mut self, measured: Measured<'_>, report: &InvocationEnd) {
        let metrics = report.metrics;
        let post_runtime = measured.post_runtime.map(|time| time.as_secs_f64() * 1000.0);
        for (name, value) in [
            ("billed_duration", metrics.billed_duration_ms),
            ("init_duration", metrics.init_duration_ms),
            ("restore_duration", metrics.restore_duration_ms),
            ("post_runtime_duration", post_runtime),
        ] {
            self.value(measured, name, value, Some("millisecond"));
        }
        // Lambda writes MB and counts in units of 2²⁰ bytes.
        self.value(measured, "max_memory_used", metrics.max_memory_used_mb, Some("mebibyte"));
        self.value(measured, "memory_size", metrics.memory_size_mb, Some("mebibyte"));
        let cost = metrics.billed_duration_ms.zip(metrics.memory_size_mb).and_then(|(billed, memory)| {
            price::of(&self.context.function.region, self.context.is_arm, billed, memory)
        });
        self.value(measured, "estimated_cost", cost, None);
    }

    /// Whether there is enough to be sent, or the first has waited long enough.
    pub(super) fn are_due(&self, now: SystemTime) -> bool {
        let has_waited = |since| now.duration_since(since).is_ok_and(|waited| waited < LONGEST_WAIT);
        self.values.len() >= MAX_VALUES || self.since.is_some_and(|since| !has_waited(since))
    }

    /// Takes out everything that waits. `release` and `environment` are those of the function's own envelopes.
    pub(super) fn drain(
        &mut self,
        now: SystemTime,
        release: Option<&str>,
        environment: Option<&str>,
    ) -> Vec<Value> {
        self.since = None;
        let mut all = std::mem::take(&mut self.values);
        let counts = std::mem::take(&mut self.counts);
        for ((_, name), counts) in COUNTERS.iter().zip(counts) {
            for (is_cold_start, count) in
                [false, true].into_iter().zip(counts).filter(|(_, count)| *count > 0)
            {
                let metric =
                    self.metric(name, "counter", count.into(), is_cold_start, &self.context.trace_id, now);
                all.push(metric);
            }
        }
        let function = &self.context.function;
        let published = function.published();
        let release = function.release.as_deref().or(release).or(published.as_deref());
        let environment = function.environment.as_deref().or(environment);
        for metric in &mut all {
            let Some(attributes) = metric.get_mut("attributes").and_then(Value::as_object_mut) else {
                continue;
            };
            for (name, value) in [("sentry.release", release), ("sentry.environment", environment)] {
                if let Some(value) = value {
                    set(attributes, name, text(value));
                }
            }
        }
        all
    }

    fn count(&mut self, counter: Counter, is_cold_start: bool, now: SystemTime) {
        self.since.get_or_insert(now);
        let count =
            self.counts.get_mut(counter as usize).and_then(|of| of.get_mut(usize::from(is_cold_start)));
        if let Some(count) = count {
            *count = count.saturating_add(1);
        }
    }

    fn value(&mut self, measured: Measured<'_>, name: &str, value: Option<f64>, unit: Option<&str>) {
        // A number that JSON cannot hold would make the whole metric invalid.
        let Some(value) = value.filter(|value| value.is_finite()) else { return };
        let Measured { is_cold_start, trace_id, now, .. } = measured;
        let trace_id = trace_id.unwrap_or(&self.context.trace_id);
        let mut metric = self.metric(name, "distribution", value.into(), is_cold_start, trace_id, now);
        if let (Some(unit), Some(fields)) = (unit, metric.as_object_mut()) {
            set(fields, "unit", unit.into());
        }
        self.since.get_or_insert(now);
        self.values.push(metric);
    }

    fn metric(
        &self,
        name: &str,
        kind: &str,
        value: Value,
        is_cold_start: bool,
        trace_id: &str,
        now: SystemTime,
    ) -> Value {
        let function = &self.context.function;
        let mut attributes = Map::new();
        for (name, value) in [
            ("faas.name", &function.name),
            ("faas.version", &function.version),
            ("aws.region", &function.region),
        ] {
            if !value.is_empty() {
                set(&mut attributes, name, text(value));
            }
        }
        set(&mut attributes, "faas.coldstart", attribute(is_cold_start.into(), "boolean"));
        let timestamp = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs_f64();
        object(&mut [
            ("timestamp", timestamp.into()),
            ("trace_id", trace_id.into()),
            ("name", format!("aws.lambda.{name}").into()),
            ("type", kind.into()),
            ("value", value),
            ("attributes", attributes.into()),
        ])
    }
}

#[cfg(test)]
mod tests;
