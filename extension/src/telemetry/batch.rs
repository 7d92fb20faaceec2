//! Reads a batch in which records of the function are mixed with those of the platform. Their order matters: a line
//! belongs to the invocation that the platform has last named. Nothing of a batch is copied but text with escapes.

use super::cursor::{Advance, Cursor};
use super::function_record::FunctionRecord;
use super::observer::{DroppedRecords, Observer};
use super::record::Record;
use crate::protocol::json_fields::{self, fields_of};
use crate::protocol::{json_text, timestamp};
use serde::Deserialize;
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::time::SystemTime;

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
    let mut dispatcher = Dispatcher { platform, observer, records: Vec::new() };
    let batch = str::from_utf8(body).map_or_else(|_| String::from_utf8_lossy(body), Cow::Borrowed);
    dispatcher.read(&batch);
    dispatcher.pass_platform();
    observer.batch_ended();
}

/// Reads the record of the function at the start of a batch, if it is written as Lambda writes it, and returns what
/// follows it too.
fn usual(batch: &str) -> Option<(FunctionRecord<'_>, &str)> {
    let rest = batch.strip_prefix(r#"{"time":"#)?;
    let time = json_text::leading(rest)?;
    let rest = rest.get(time.len()..)?.strip_prefix(r#","type":"function","record":"#)?;
    let json = match rest.as_bytes().first()? {
        b'"' => json_text::leading(rest)?,
        b'{' => json_text::leading_object(rest)?,
        _ => return None,
    };
    let rest = rest.get(json.len()..)?.strip_prefix('}')?;
    Some((FunctionRecord { time: time_of(time), json }, rest))
}

/// Reads a time that is a JSON text.
fn time_of(json: &str) -> Option<SystemTime> {
    timestamp::parse(&json_text::read(json)?)
}

/// Passes on what is read, and the platform's records together as far as no line comes in between.
struct Dispatcher<'a> {
    platform: &'a mut dyn FnMut(&[Record]),
    observer: &'a dyn Observer,
    records: Vec<Record>,
}

impl Dispatcher<'_> {
    /// Reads an array of records. What is lost is told where it is missing, because lines that follow it may belong to
    /// another invocation than those before it.
    fn read(&mut self, batch: &str) {
        let Some(mut cursor) = Cursor::new(batch) else { return self.observer.unreadable() };
        loop {
            match cursor.advance(|rest| self.element(rest)) {
                Advance::Read => {}
                Advance::Skipped => {
                    self.pass_platform();
                    self.observer.unreadable();
                }
                Advance::Ended => return,
            }
        }
    }

    /// Reads the element at the start of the text, and returns what follows it. `None` means that it is not JSON.
    fn element<'a>(&mut self, rest: &'a str) -> Option<&'a str> {
        if let Some((record, behind)) = usual(rest) {
            self.function(record);
            return Some(behind);
        }
        let element = json_fields::leading(rest.as_bytes())?.get();
        if let Ok(parts) = serde_json::from_str(element) {
            self.dispatch(&parts);
        }
        rest.get(element.len()..)
    }

    fn function(&mut self, record: FunctionRecord<'_>) {
        self.pass_platform();
        self.observer.function(record);
    }

    fn dispatch(&mut self, parts: &Parts<'_>) {
        let Some(kind) = parts.kind.map(RawValue::get) else { return };
        match (kind, parts.record) {
            ("\"function\"", Some(record)) => {
                let time = parts.time.and_then(|time| time_of(time.get()));
                self.function(FunctionRecord { time, json: record.get() });
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

#[cfg(test)]
mod tests;
