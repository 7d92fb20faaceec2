//! Converts OTLP's metrics to Sentry's, which are single values: counters, gauges and values of a distribution.
//!
//! - A sum that only grows becomes a counter with what was added. A cumulative one is compared with what came before
//!   (`cumulative`).
//! - A gauge becomes a gauge, and so does a cumulative sum that may fall, because its value is a level.
//! - A histogram becomes values of a distribution that are spread as its buckets say (`histogram`).
//!
//! What cannot be converted is rejected point by point, with the reason for the client.

mod attributes;
mod containers;
mod conversion;
mod cumulative;
mod histogram;
mod number;
mod points;
mod unit;

pub(crate) use conversion::Converted;

use super::message::Message;
use super::value::Malformed;
use crate::config::Function;
use crate::protocol::EventId;
use conversion::{Context, Conversion};
use cumulative::CumulativeSeries;
use std::hash::RandomState;
use std::time::SystemTime;

/// Converts requests, and remembers what cumulative ones have reported.
#[derive(Debug)]
pub(crate) struct Converter(Context);

impl Converter {
    /// `now` is the start of this process. What a series counted before it is not known to be new.
    pub(crate) fn new(function: &Function, now: SystemTime) -> Self {
        Self(Context {
            trace_id: EventId::random().to_string(),
            release: function.release.clone().or_else(|| function.published()),
            environment: function.environment.clone(),
            cumulative: CumulativeSeries::new(number::nanos(now)),
            hasher: RandomState::new(),
        })
    }

    /// Converts a request to containers that have at most `max_bytes` together.
    pub(crate) fn convert(
        &mut self,
        request: Message<'_>,
        now: SystemTime,
        max_bytes: usize,
    ) -> Result<Converted, Malformed> {
        Conversion::new(&mut self.0, now, max_bytes).request(request)
    }
}

#[cfg(test)]
mod tests;
