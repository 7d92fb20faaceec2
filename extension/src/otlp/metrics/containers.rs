//! Writes metrics into containers, of which each is an envelope of its own.

use super::number::Number;
use crate::protocol::envelope_writer;
use crate::protocol::{Item, ItemKind};
use std::io::Write as _;

/// The most metrics in a container, as Sentry advises.
const MAX_METRICS: usize = 100;
/// No more metrics are added to a container that has so many bytes.
const MAX_BYTES: usize = 256 * 1024;
/// What a metric usually takes at most beside its attributes: name, unit, ids and numbers.
const PER_METRIC: usize = 512;

/// An envelope with metrics.
#[derive(Debug)]
pub(crate) struct Container {
    pub(crate) envelope: Vec<u8>,
    pub(crate) item: Item,
    /// The data points in it.
    pub(crate) points: u64,
}

/// A metric without its value.
#[derive(Clone, Copy)]
pub(super) struct MetricItem<'a> {
    /// The time since 1970.
    pub(super) nanos: u64,
    pub(super) trace_id: &'a str,
    pub(super) span_id: Option<&'a str>,
    pub(super) name: &'a str,
    pub(super) kind: &'static str,
    pub(super) unit: Option<&'static str>,
    pub(super) attributes: &'a [u8],
}

impl MetricItem<'_> {
    fn write(&self, out: &mut Vec<u8>, value: Number) {
        let (seconds, micros) = (self.nanos / 1_000_000_000, self.nanos / 1_000 % 1_000_000);
        // Writing to a vector does not fail.
        let _ = write!(out, "{{\"timestamp\":{seconds}.{micros:06},\"trace_id\":\"{}\"", self.trace_id);
        if let Some(span_id) = self.span_id {
            let _ = write!(out, ",\"span_id\":\"{span_id}\"");
        }
        out.extend_from_slice(b",\"name\":");
        let _ = serde_json::to_writer(&mut *out, self.name);
        let _ = write!(out, ",\"type\":\"{}\",\"value\":", self.kind);
        value.write(out);
        if let Some(unit) = self.unit {
            let _ = write!(out, ",\"unit\":\"{unit}\"");
        }
        out.extend_from_slice(b",\"attributes\":{");
        out.extend_from_slice(self.attributes);
        out.extend_from_slice(b"}}");
    }
}

/// The containers of a request.
pub(super) struct Containers {
    full: Vec<Container>,
    /// A JSON array of metrics, without its last bracket.
    metrics: Vec<u8>,
    count: usize,
    points: u64,
    /// The bytes that may still be written.
    left: usize,
}

impl Containers {
    pub(super) fn new(max_bytes: usize) -> Self {
        Self { full: Vec::new(), metrics: Vec::new(), count: 0, points: 0, left: max_bytes }
    }

    /// Adds a metric for each value of a data point. Returns `false` if they do not fit, and then adds none.
    #[must_use]
    pub(super) fn push(&mut self, item: MetricItem<'_>, values: &[Number]) -> bool {
        let bytes = values.len() * (PER_METRIC + item.attributes.len());
        let Some(left) = self.left.checked_sub(bytes) else { return false };
        self.left = left;
        self.points += 1;
        for value in values {
            self.metrics.push(if self.count == 0 { b'[' } else { b',' });
            item.write(&mut self.metrics, *value);
            self.count += 1;
            if self.count >= MAX_METRICS || self.metrics.len() >= MAX_BYTES {
                self.close();
            }
        }
        true
    }

    fn close(&mut self) {
        if self.count == 0 {
            return;
        }
        self.metrics.push(b']');
        let (contained, envelope) =
            envelope_writer::container_of("trace_metric", "trace-metric", None, self.count, &self.metrics);
        let points = std::mem::take(&mut self.points);
        self.full.push(Container { envelope, item: contained.of(ItemKind::Metric), points });
        self.metrics.clear();
        self.count = 0;
    }

    pub(super) fn finish(mut self) -> Vec<Container> {
        self.close();
        self.full
    }
}
