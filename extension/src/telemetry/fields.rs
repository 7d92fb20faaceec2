//! The fields that mean something in what Lambda tells as JSON, read in one pass and borrowed from the text.
//!
//! Each invocation brings an event and some records. A tree of everything in them would cost more instructions than all
//! that is done with them. So a field that is not asked for, or has an unexpected type, is passed over and not kept.

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use std::borrow::Cow;
use std::fmt;

/// A field that is text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Text {
    EventType,
    ShutdownReason,
    FunctionArn,
    Time,
    RecordType,
    /// What a record tells, where that is text and no object.
    Record,
    RequestId,
    Status,
    ErrorType,
    Phase,
    InitializationType,
    RuntimeVersion,
    InstanceId,
    Message,
    /// X-Ray's header.
    Tracing,
}

/// A field that is a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Number {
    DeadlineMs,
    DurationMs,
    BilledDurationMs,
    InitDurationMs,
    RestoreDurationMs,
    MemorySizeMb,
    MaxMemoryUsedMb,
    ProducedBytes,
}

/// The fields of one event or record.
#[derive(Debug, Default)]
pub(crate) struct Fields<'a> {
    texts: [Option<Cow<'a, str>>; Text::Tracing as usize + 1],
    numbers: [Option<f64>; Number::ProducedBytes as usize + 1],
}

/// Returns the start of a text that is longer than `most` bytes.
pub(super) fn cut(text: &str, most: usize) -> &str {
    text.get(..text.floor_char_boundary(most)).unwrap_or(text)
}

/// Where a value stands, which says what it and its fields mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// An event of the Extensions API.
    Event,
    /// An element of a telemetry batch.
    Entry,
    /// What a telemetry record tells.
    Record,
    Metrics,
    Tracing,
    Text(Text),
    Number(Number),
    /// Nothing in it means anything.
    Ignored,
}

impl Place {
    /// The place of a field of an object that stands here.
    fn field(self, name: &str) -> Self {
        match (self, name) {
            (Self::Event, "eventType") => Self::Text(Text::EventType),
            (Self::Event, "deadlineMs") => Self::Number(Number::DeadlineMs),
            (Self::Event, "invokedFunctionArn") => Self::Text(Text::FunctionArn),
            (Self::Event, "shutdownReason") => Self::Text(Text::ShutdownReason),
            (Self::Event | Self::Record, "requestId") => Self::Text(Text::RequestId),
            (Self::Event | Self::Record, "tracing") => Self::Tracing,
            (Self::Tracing, "value") => Self::Text(Text::Tracing),
            (Self::Entry, "time") => Self::Text(Text::Time),
            (Self::Entry, "type") => Self::Text(Text::RecordType),
            (Self::Entry, "record") => Self::Record,
            (Self::Record, "status") => Self::Text(Text::Status),
            (Self::Record, "errorType") => Self::Text(Text::ErrorType),
            (Self::Record, "phase") => Self::Text(Text::Phase),
            (Self::Record, "initializationType") => Self::Text(Text::InitializationType),
            (Self::Record, "runtimeVersion") => Self::Text(Text::RuntimeVersion),
            (Self::Record, "instanceId") => Self::Text(Text::InstanceId),
            (Self::Record, "message") => Self::Text(Text::Message),
            (Self::Record, "metrics") => Self::Metrics,
            (Self::Metrics, "durationMs") => Self::Number(Number::DurationMs),
            (Self::Metrics, "billedDurationMs") => Self::Number(Number::BilledDurationMs),
            (Self::Metrics, "initDurationMs") => Self::Number(Number::InitDurationMs),
            (Self::Metrics, "restoreDurationMs") => Self::Number(Number::RestoreDurationMs),
            (Self::Metrics, "memorySizeMB") => Self::Number(Number::MemorySizeMb),
            (Self::Metrics, "maxMemoryUsedMB") => Self::Number(Number::MaxMemoryUsedMb),
            (Self::Metrics, "producedBytes") => Self::Number(Number::ProducedBytes),
            _ => Self::Ignored,
        }
    }

    /// The text that a string means here.
    fn text(self) -> Option<Text> {
        match self {
            Self::Text(text) => Some(text),
            Self::Record => Some(Text::Record),
            _ => None,
        }
    }
}

impl<'a> Fields<'a> {
    /// Reads an event of the Extensions API. `None` if it is no JSON object.
    pub(crate) fn of_event(json: &'a [u8]) -> Option<Self> {
        let mut fields = Self::default();
        let mut deserializer = serde_json::Deserializer::from_slice(json);
        deserializer.deserialize_map(Reader { fields: &mut fields, place: Place::Event }).ok()?;
        deserializer.end().ok()?;
        Some(fields)
    }

    /// Reads one element of a telemetry batch. `None` if it is no JSON, or nested too deeply.
    pub(super) fn of_entry(json: &'a str) -> Option<Self> {
        let mut fields = Self::default();
        let mut deserializer = serde_json::Deserializer::from_slice(json.as_bytes());
        Reader { fields: &mut fields, place: Place::Entry }.deserialize(&mut deserializer).ok()?;
        Some(fields)
    }

    /// Reads a telemetry batch, and calls `take` with the fields of each of its elements. Returns an error where the
    /// batch is no JSON or nested too deeply; the elements before that have been taken.
    pub(super) fn of_batch(json: &'a [u8], take: impl FnMut(&Self)) -> Result<(), serde_json::Error> {
        let mut deserializer = serde_json::Deserializer::from_slice(json);
        Batch(take).deserialize(&mut deserializer)?;
        deserializer.end()
    }

    pub(crate) fn text(&self, text: Text) -> Option<&str> {
        self.texts.get(text as usize)?.as_deref()
    }

    /// Returns a copy of a text, cut to this many bytes.
    pub(crate) fn short(&self, text: Text, most: usize) -> Option<String> {
        self.text(text).map(|text| cut(text, most).to_owned())
    }

    pub(crate) fn number(&self, number: Number) -> Option<f64> {
        *self.numbers.get(number as usize)?
    }

    fn set_text(&mut self, place: Place, value: Cow<'a, str>) {
        if let Some(field) = place.text().and_then(|text| self.texts.get_mut(text as usize)) {
            *field = Some(value);
        }
    }

    fn set_number(&mut self, place: Place, value: f64) {
        if let Place::Number(number) = place
            && let Some(field) = self.numbers.get_mut(number as usize)
        {
            *field = Some(value);
        }
    }
}

/// Reads the value at a place, whatever it is.
struct Reader<'f, 'a> {
    fields: &'f mut Fields<'a>,
    place: Place,
}

impl<'a> DeserializeSeed<'a> for Reader<'_, 'a> {
    type Value = ();

    fn deserialize<D: Deserializer<'a>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'a> Visitor<'a> for Reader<'_, 'a> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("JSON")
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<(), E> {
        // Milliseconds, megabytes and bytes have far fewer digits than a float keeps.
        #[expect(clippy::cast_precision_loss)]
        self.visit_f64(value as f64)
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<(), E> {
        // It is negative, which none of them may be.
        Ok(())
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<(), E> {
        if value.is_finite() && value >= 0.0 {
            self.fields.set_number(self.place, value);
        }
        Ok(())
    }

    fn visit_borrowed_str<E: Error>(self, value: &'a str) -> Result<(), E> {
        self.fields.set_text(self.place, Cow::Borrowed(value));
        Ok(())
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<(), E> {
        if self.place.text().is_some() {
            self.fields.set_text(self.place, Cow::Owned(value.to_owned()));
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'a>>(self, mut elements: A) -> Result<(), A::Error> {
        while elements.next_element_seed(Reader { fields: self.fields, place: Place::Ignored })?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'a>>(self, mut object: A) -> Result<(), A::Error> {
        while let Some(place) = object.next_key_seed(Name(self.place))? {
            object.next_value_seed(Reader { fields: self.fields, place })?;
        }
        Ok(())
    }
}

/// Reads the name of a field of an object at this place.
struct Name(Place);

impl<'a> DeserializeSeed<'a> for Name {
    type Value = Place;

    fn deserialize<D: Deserializer<'a>>(self, deserializer: D) -> Result<Place, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for Name {
    type Value = Place;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a name")
    }

    fn visit_str<E: Error>(self, name: &str) -> Result<Place, E> {
        Ok(self.0.field(name))
    }
}

/// Reads an array, and calls the function with the fields of each element.
struct Batch<F>(F);

impl<'a, F: FnMut(&Fields<'a>)> DeserializeSeed<'a> for Batch<F> {
    type Value = ();

    fn deserialize<D: Deserializer<'a>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'a, F: FnMut(&Fields<'a>)> Visitor<'a> for Batch<F> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an array of records")
    }

    fn visit_seq<A: SeqAccess<'a>>(mut self, mut elements: A) -> Result<(), A::Error> {
        loop {
            let mut fields = Fields::default();
            if elements.next_element_seed(Reader { fields: &mut fields, place: Place::Entry })?.is_none() {
                return Ok(());
            }
            (self.0)(&fields);
        }
    }
}
