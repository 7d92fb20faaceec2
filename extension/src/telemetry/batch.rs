//! Reads a batch in which records of the function are mixed with those of the platform. Their order matters: a line
//! belongs to the invocation that the platform has last named. Nothing of a batch is copied but text with escapes.

use super::function_record::FunctionRecord;
use super::observer::{DroppedRecords, Observer};
use super::record::Record;
use crate::protocol::json_fields::fields_of;
use crate::protocol::timestamp;
use serde::Deserialize;
use serde::de::{Deserializer as _, SeqAccess, Visitor};
use serde_json::value::RawValue;
use std::fmt;

/// One element of a batch, divided into its parts but not read. An odd part costs only itself.
#[derive(Deserialize)]
struct Parts<'a> {
    #[serde(borrow, default)]
    time: Option<&'a RawValue>,
    #[serde(borrow, default, rename = "type")]
    kind: Option<&'a RawValue>,
    #[serde(borrow, default)]
    record: Option<&'a RawValue>,
}

/// Reads a batch. `platform` gets the platform's records before `observer` does.
pub(super) fn read(body: &[u8], platform: &mut dyn FnMut(&[Record]), observer: &dyn Observer) {
    let mut dispatcher = Dispatcher { platform, observer, records: Vec::new(), read: 0 };
    // The usual case takes one pass. Where something in it cannot be read, the rest can.
    let whole = serde_json::Deserializer::from_slice(body).deserialize_seq(WholeBatch(&mut dispatcher));
    if whole.is_err() {
        let text = String::from_utf8_lossy(body);
        let already_read = std::mem::take(&mut dispatcher.read);
        let rest = BrokenBatch { dispatcher: &mut dispatcher, already_read };
        if serde_json::Deserializer::from_slice(text.as_bytes()).deserialize_seq(rest).is_err() {
            observer.unreadable();
        }
    }
    dispatcher.pass_platform();
    observer.batch_ended();
}

/// Passes on what is read, and the platform's records together as far as no line comes in between.
struct Dispatcher<'a> {
    platform: &'a mut dyn FnMut(&[Record]),
    observer: &'a dyn Observer,
    records: Vec<Record>,
    /// How many elements were passed on.
    read: usize,
}

impl Dispatcher<'_> {
    fn dispatch(&mut self, parts: &Parts<'_>) {
        self.read += 1;
        let Some(kind) = parts.kind.map(RawValue::get) else { return };
        let time = || serde_json::from_str::<&str>(parts.time?.get()).ok().and_then(timestamp::parse);
        match (kind, parts.record) {
            ("\"function\"", Some(record)) => {
                self.pass_platform();
                self.observer.function(FunctionRecord { time: time(), json: record.get() });
            }
            ("\"function\"", None) => {}
            _ => self.add_platform(parts, kind),
        }
    }

    fn add_platform(&mut self, parts: &Parts<'_>, kind: &str) {
        if kind == "\"platform.logsDropped\"" {
            let counts = fields_of(parts.record, ["droppedRecords", "droppedBytes"]).unwrap_or_default();
            let [records, bytes] =
                counts.map(|count| count.and_then(|count| count.get().parse().ok()).unwrap_or_default());
            self.observer.dropped(DroppedRecords { records, bytes });
        }
        // They are few, so that one more pass does not matter.
        let or_null = |part: Option<&RawValue>| part.map_or("null", RawValue::get).to_owned();
        let (time, record) = (or_null(parts.time), or_null(parts.record));
        let alone = format!("[{{\"time\":{time},\"type\":{kind},\"record\":{record}}}]");
        self.records.append(&mut Record::batch(alone.as_bytes()));
    }

    fn pass_platform(&mut self) {
        if !self.records.is_empty() {
            let records = std::mem::take(&mut self.records);
            (self.platform)(&records);
            self.observer.platform(records);
        }
    }
}

/// Reads all elements in one pass.
struct WholeBatch<'a, 'b>(&'a mut Dispatcher<'b>);

impl<'de> Visitor<'de> for WholeBatch<'_, '_> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an array of records")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<(), A::Error> {
        while let Some(parts) = elements.next_element::<Parts<'_>>()? {
            self.0.dispatch(&parts);
        }
        Ok(())
    }
}

/// Divides the array into its elements before any of them is read, and leaves out those that were read before.
struct BrokenBatch<'a, 'b> {
    dispatcher: &'a mut Dispatcher<'b>,
    already_read: usize,
}

impl<'de> Visitor<'de> for BrokenBatch<'_, '_> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an array of records")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<(), A::Error> {
        let mut index = 0;
        while let Some(element) = elements.next_element::<&RawValue>()? {
            if index >= self.already_read
                && let Ok(parts) = serde_json::from_str::<Parts<'_>>(element.get())
            {
                self.dispatcher.dispatch(&parts);
            }
            index += 1;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
