//! Reads data points.

use super::histogram::Histogram;
use super::number::Number;
use crate::otlp::message::Message;
use crate::otlp::value::{Fields, Malformed, Value};

/// The most buckets of a histogram.
const MAX_BUCKETS: usize = 1024;
const TOO_MANY_BUCKETS: &str = "a histogram has more than 1024 buckets";
const BAD_HISTOGRAM: &str = "a histogram's sum, least or greatest value is not a finite number";

/// The bit of a point's flags that says that it has no value, because its source is gone.
const NO_RECORDED_VALUE: u64 = 1;

const NUMBER: Fields = &[
    (2, "startTimeUnixNano"),
    (3, "timeUnixNano"),
    (AS_DOUBLE, "asDouble"),
    (AS_INT, "asInt"),
    (NUMBER_FLAGS, "flags"),
];
const AS_DOUBLE: u32 = 4;
const AS_INT: u32 = 6;
const NUMBER_FLAGS: u32 = 8;

const HISTOGRAM: Fields = &[
    (2, "startTimeUnixNano"),
    (3, "timeUnixNano"),
    (4, "count"),
    (5, "sum"),
    (6, "bucketCounts"),
    (7, "explicitBounds"),
    (HISTOGRAM_FLAGS, "flags"),
    (11, "min"),
    (12, "max"),
];
const HISTOGRAM_FLAGS: u32 = 10;
const EXEMPLAR: Fields = &[(SPAN_ID, "spanId"), (5, "traceId")];
const SPAN_ID: u32 = 4;

/// Where a kind of data point has its attributes and exemplars.
#[derive(Clone, Copy)]
struct PointFields {
    attributes: Fields,
    exemplars: Fields,
}

impl PointFields {
    const NUMBER: Self = Self { attributes: &[(7, "attributes")], exemplars: &[(5, "exemplars")] };
    const HISTOGRAM: Self = Self { attributes: &[(9, "attributes")], exemplars: &[(8, "exemplars")] };
}

/// What all kinds of data points have. Times are nanoseconds, and 0 if they are unknown.
#[derive(Clone, Copy)]
pub(super) struct Point<'a> {
    message: Message<'a>,
    pub(super) start: u64,
    pub(super) time: u64,
    pub(super) has_no_value: bool,
    fields: PointFields,
}

impl<'a> Point<'a> {
    fn new(message: Message<'a>, fields: PointFields) -> Self {
        Self { message, start: 0, time: 0, has_no_value: false, fields }
    }

    fn read_flags(&mut self, value: Value<'_>) -> Result<(), Malformed> {
        self.has_no_value = value.unsigned()? & NO_RECORDED_VALUE != 0;
        Ok(())
    }

    /// Visits its attributes.
    pub(super) fn attributes(
        &self,
        visit: &mut dyn FnMut(Message<'a>) -> Result<(), Malformed>,
    ) -> Result<(), Malformed> {
        self.message.visit_messages(self.fields.attributes, visit)
    }

    /// Returns trace and span of the last exemplar that has a trace.
    pub(super) fn trace(&self) -> Result<(Option<String>, Option<String>), Malformed> {
        let mut found = (None, None);
        self.message.visit_messages(self.fields.exemplars, &mut |exemplar| {
            let (mut trace, mut span) = (None, None);
            exemplar.visit(EXEMPLAR, &mut |number, value| {
                match number {
                    SPAN_ID => span = value.id(16)?,
                    _ => trace = value.id(32)?,
                }
                Ok(())
            })?;
            if trace.is_some() {
                found = (trace, span);
            }
            Ok(())
        })?;
        Ok(found)
    }
}

/// Reads a data point of a gauge or sum.
pub(super) fn number(message: Message<'_>) -> Result<(Point<'_>, Option<Number>), Malformed> {
    let (mut point, mut number) = (Point::new(message, PointFields::NUMBER), None);
    message.visit(NUMBER, &mut |field, value| {
        match field {
            2 => point.start = value.unsigned()?,
            3 => point.time = value.unsigned()?,
            AS_DOUBLE => number = Some(Number::Double(value.double()?)),
            AS_INT => number = Some(Number::Integer(value.integer()?)),
            _ => point.read_flags(value)?,
        }
        Ok(())
    })?;
    Ok((point, number))
}

/// Reads a data point of a histogram. The inner error says why it cannot be converted.
pub(super) fn histogram(
    message: Message<'_>,
) -> Result<Result<(Point<'_>, Histogram), &'static str>, Malformed> {
    let (mut point, mut read) = (Point::new(message, PointFields::HISTOGRAM), Histogram::default());
    let mut has_too_many = false;
    message.visit(HISTOGRAM, &mut |field, value| {
        match field {
            2 => point.start = value.unsigned()?,
            3 => point.time = value.unsigned()?,
            4 => read.count = value.unsigned()?,
            5 => read.sum = Some(value.double()?),
            6 => {
                let buckets = &mut read.buckets;
                value.numbers(Value::unsigned, &mut |count| has_too_many |= !push(buckets, count))?;
            }
            7 => {
                let bounds = &mut read.bounds;
                value.numbers(Value::double, &mut |bound| has_too_many |= !push(bounds, bound))?;
            }
            11 => read.min = Some(value.double()?),
            12 => read.max = Some(value.double()?),
            _ => point.read_flags(value)?,
        }
        Ok(())
    })?;
    let mut numbers = [read.sum, read.min, read.max].into_iter().flatten().chain(read.bounds.iter().copied());
    let is_odd = numbers.any(|number| !number.is_finite());
    Ok(if has_too_many {
        Err(TOO_MANY_BUCKETS)
    } else if is_odd {
        Err(BAD_HISTOGRAM)
    } else {
        Ok((point, read))
    })
}

/// Adds to a list, unless it has too many already.
fn push<T>(list: &mut Vec<T>, one: T) -> bool {
    let fits = list.len() < MAX_BUCKETS;
    if fits {
        list.push(one);
    }
    fits
}
