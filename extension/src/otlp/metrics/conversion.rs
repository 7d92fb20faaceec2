//! Walks through a request, from resources to data points, and writes what they become.

use super::attributes::Attributes;
use super::containers::{Container, Containers, MetricItem};
use super::cumulative::{CumulativeSeries, Total};
use super::number::{Number, nanos};
use super::points::{self, Point};
use super::unit;
use crate::otlp::message::Message;
use crate::otlp::value::{Fields, Malformed};
use std::borrow::Cow;
use std::hash::RandomState;
use std::time::SystemTime;

/// The longest name of a metric, in bytes. It is OpenTelemetry's own limit.
const MAX_NAME: usize = 255;

const RESOURCE_METRICS: Fields = &[(1, "resourceMetrics")];
const RESOURCE: Fields = &[(1, "resource")];
const RESOURCE_ATTRIBUTES: Fields = &[(1, "attributes")];
const SCOPE_METRICS: Fields = &[(2, "scopeMetrics")];
const SCOPE: Fields = &[(1, "scope")];
const METRICS: Fields = &[(2, "metrics")];
const METRIC: Fields = &[
    (1, "name"),
    (3, "unit"),
    (GAUGE, "gauge"),
    (SUM, "sum"),
    (HISTOGRAM, "histogram"),
    (10, "exponentialHistogram"),
    (11, "summary"),
];
const GAUGE: u32 = 5;
const SUM: u32 = 7;
const HISTOGRAM: u32 = 9;
const POINTS: Fields = &[(1, "dataPoints")];
const AGGREGATION: Fields = &[(2, "aggregationTemporality"), (3, "isMonotonic")];

pub(super) const NO_NAME: &str = "a metric has no name, or one of more than 255 bytes";
pub(super) const NO_TEMPORALITY: &str = "a sum or histogram is neither delta nor cumulative";
pub(super) const NOT_CONVERTED: &str =
    "exponential histograms and summaries are not converted: Sentry's metrics are single values";
pub(super) const NO_VALUE: &str = "a data point has no value, or one that is not a finite number";
pub(super) const TOO_LARGE: &str = "the request has more data points than are converted at once";

/// What has become of a request.
#[derive(Debug, Default)]
pub(crate) struct Converted {
    pub(crate) containers: Vec<Container>,
    /// The data points that were not converted.
    pub(crate) rejected: u64,
    /// Why the first of them was not.
    pub(crate) why: &'static str,
}

/// What is known from one request to the next.
#[derive(Debug)]
pub(super) struct Context {
    /// The trace of all metrics that belong to no span.
    pub(super) trace_id: String,
    pub(super) release: Option<String>,
    pub(super) environment: Option<String>,
    pub(super) cumulative: CumulativeSeries,
    pub(super) hasher: RandomState,
}

/// The conversion of one request.
pub(super) struct Conversion<'c> {
    context: &'c mut Context,
    /// Those of the current resource, scope and data point.
    attributes: Attributes,
    containers: Containers,
    now: u64,
    rejected: u64,
    why: &'static str,
}

/// What is the same for all data points of a metric.
#[derive(Clone, Copy)]
struct Metric<'m> {
    name: &'m str,
    unit: Option<&'static str>,
}

/// How data points follow on each other.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Temporality {
    Delta,
    Cumulative,
}

impl<'c> Conversion<'c> {
    /// Begins a conversion to containers that have at most `max_bytes` together.
    pub(super) fn new(context: &'c mut Context, now: SystemTime, max_bytes: usize) -> Self {
        Self {
            attributes: Attributes::new(context.hasher.clone()),
            context,
            containers: Containers::new(max_bytes),
            now: nanos(now),
            rejected: 0,
            why: "",
        }
    }

    pub(super) fn request(mut self, request: Message<'_>) -> Result<Converted, Malformed> {
        request.visit_messages(RESOURCE_METRICS, &mut |resource| self.resource(resource))?;
        Ok(Converted { containers: self.containers.finish(), rejected: self.rejected, why: self.why })
    }

    fn resource(&mut self, resource: Message<'_>) -> Result<(), Malformed> {
        self.attributes.clear();
        let context = &*self.context;
        for (name, value) in
            [("sentry.release", &context.release), ("sentry.environment", &context.environment)]
        {
            if let Some(value) = value {
                self.attributes.push_text(name, value);
            }
        }
        resource.visit(RESOURCE, &mut |_, value| {
            let add = &mut |one: Message<'_>| self.attributes.add("resource.", one);
            value.message()?.visit_messages(RESOURCE_ATTRIBUTES, add)
        })?;
        resource.visit_messages(SCOPE_METRICS, &mut |scope| self.scope(scope))
    }

    fn scope(&mut self, scope: Message<'_>) -> Result<(), Malformed> {
        let mark = self.attributes.mark();
        scope.visit(SCOPE, &mut |_, value| self.attributes.add_scope(value.message()?))?;
        scope.visit_messages(METRICS, &mut |metric| self.metric(metric))?;
        self.attributes.back_to(mark);
        Ok(())
    }

    fn metric(&mut self, metric: Message<'_>) -> Result<(), Malformed> {
        let (mut name, mut unit, mut data) = (Cow::default(), None, None);
        metric.visit(METRIC, &mut |number, value| {
            match number {
                1 => name = value.text()?,
                3 => unit = unit::of(&value.text()?),
                _ => data = Some((number, value.message()?)),
            }
            Ok(())
        })?;
        let Some((kind, data)) = data else { return Ok(()) };
        if name.is_empty() || name.len() > MAX_NAME {
            return self.reject_points(data, NO_NAME);
        }
        let metric = Metric { name: &name, unit };
        if kind == GAUGE {
            return data.visit_messages(POINTS, &mut |point| self.gauge(metric, point));
        }
        if kind != SUM && kind != HISTOGRAM {
            return self.reject_points(data, NOT_CONVERTED);
        }
        let (mut temporality, mut is_monotonic) = (0, false);
        data.visit(AGGREGATION, &mut |number, value| {
            match number {
                2 => temporality = value.integer()?,
                _ => is_monotonic = value.flag()?,
            }
            Ok(())
        })?;
        let temporality = match temporality {
            1 => Temporality::Delta,
            2 => Temporality::Cumulative,
            _ => return self.reject_points(data, NO_TEMPORALITY),
        };
        data.visit_messages(POINTS, &mut |point| match kind {
            HISTOGRAM => self.histogram(metric, temporality, point),
            _ if temporality == Temporality::Cumulative && !is_monotonic => self.gauge(metric, point),
            _ => self.sum(metric, temporality, point),
        })
    }

    fn reject_points(&mut self, data: Message<'_>, why: &'static str) -> Result<(), Malformed> {
        data.visit_messages(POINTS, &mut |_| {
            self.reject(why);
            Ok(())
        })
    }

    fn reject(&mut self, why: &'static str) {
        if self.rejected == 0 {
            self.why = why;
        }
        self.rejected += 1;
    }

    /// Reads a data point of a gauge or sum. `None` means that there is nothing to convert.
    fn number<'a>(&mut self, point: Message<'a>) -> Result<Option<(Point<'a>, Number)>, Malformed> {
        let (point, value) = points::number(point)?;
        let value = value.filter(|value| value.is_finite() && !point.has_no_value);
        if value.is_none() && !point.has_no_value {
            self.reject(NO_VALUE);
        }
        Ok(value.map(|value| (point, value)))
    }

    fn gauge(&mut self, metric: Metric<'_>, point: Message<'_>) -> Result<(), Malformed> {
        let Some((point, value)) = self.number(point)? else { return Ok(()) };
        self.push(metric, "gauge", &point, &[value])
    }

    fn sum(
        &mut self,
        metric: Metric<'_>,
        temporality: Temporality,
        point: Message<'_>,
    ) -> Result<(), Malformed> {
        let Some((point, value)) = self.number(point)? else { return Ok(()) };
        match self.added(metric, temporality, &point, Total::Sum(value))? {
            // If nothing was counted, there is nothing to tell.
            Some(Total::Sum(added)) if !added.is_zero() => self.push(metric, "counter", &point, &[added]),
            _ => Ok(()),
        }
    }

    fn histogram(
        &mut self,
        metric: Metric<'_>,
        temporality: Temporality,
        point: Message<'_>,
    ) -> Result<(), Malformed> {
        let (point, histogram) = match points::histogram(point)? {
            Ok(read) => read,
            Err(why) => {
                self.reject(why);
                return Ok(());
            }
        };
        if point.has_no_value {
            return Ok(());
        }
        let bounds = histogram.bounds.clone();
        let total = Total::Histogram(histogram);
        match self.added(metric, temporality, &point, total)? {
            Some(Total::Histogram(added)) => {
                let values = added.values(&bounds);
                self.push(metric, "distribution", &point, &values)
            }
            _ => Ok(()),
        }
    }

    /// Returns what a data point adds to those before it, if that is known.
    fn added(
        &mut self,
        metric: Metric<'_>,
        temporality: Temporality,
        point: &Point<'_>,
        total: Total,
    ) -> Result<Option<Total>, Malformed> {
        if temporality == Temporality::Delta {
            return Ok(Some(total));
        }
        let mark = self.attributes.mark();
        point.attributes(&mut |one| self.attributes.add("", one))?;
        let identity = self.attributes.identity(metric.name);
        self.attributes.back_to(mark);
        match self.context.cumulative.added(identity, point.start, &total, self.now) {
            Ok(added) => Ok(added),
            Err(why) => {
                self.reject(why);
                Ok(None)
            }
        }
    }

    /// Writes an item for each value of a data point.
    fn push(
        &mut self,
        metric: Metric<'_>,
        kind: &'static str,
        point: &Point<'_>,
        values: &[Number],
    ) -> Result<(), Malformed> {
        let mark = self.attributes.mark();
        point.attributes(&mut |one| self.attributes.add("", one))?;
        let (trace_id, span_id) = point.trace()?;
        let item = MetricItem {
            nanos: if point.time == 0 { self.now } else { point.time },
            trace_id: trace_id.as_deref().unwrap_or(&self.context.trace_id),
            span_id: span_id.as_deref(),
            name: metric.name,
            kind,
            unit: metric.unit,
            attributes: self.attributes.json(),
        };
        let fits = self.containers.push(item, values);
        self.attributes.back_to(mark);
        if !fits {
            self.reject(TOO_LARGE);
        }
        Ok(())
    }
}
