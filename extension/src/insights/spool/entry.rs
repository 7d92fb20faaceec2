//! The content of the file of one spooled fault: a line that says where its envelope goes, and the envelope. It is
//! pure.

use crate::config::{ProjectId, PublicKey, Upstream};
use crate::protocol::{EventId, Header, Item, ItemKind, timestamp};
use crate::relay::Envelope;
use std::sync::Arc;
use std::time::SystemTime;

/// Begins each file that this extension has written. The other fields of the first line follow, each behind a tab.
const MAGIC: &str = "sentry-lambda-extension spool 1";

/// A fault that could not be delivered in time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) event_id: EventId,
    /// When it was spooled for the first time, by the wall clock.
    pub(super) since: SystemTime,
    pub(super) upstream: Upstream,
    pub(super) project: ProjectId,
    pub(super) key: PublicKey,
    /// The envelope, not compressed.
    pub(super) body: Vec<u8>,
}

/// Why a file is not read as an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum InvalidEntry {
    /// This extension has not written it.
    Foreign,
    /// It is an entry that was damaged.
    Damaged,
}

/// Returns the event id in the header of a plain envelope.
pub(in crate::insights) fn event_id(envelope: &Envelope) -> Option<EventId> {
    let header = envelope.body.split(|b| *b == b'\n').next()?;
    EventId::parse(&serde_json::from_slice::<Header>(header).ok()?.event_id?)
}

impl Entry {
    /// Returns the entry of a fault's envelope. `None` means that it is not an event in a plain envelope.
    pub(super) fn of(envelope: &Envelope, since: SystemTime) -> Option<Self> {
        Some(Self {
            event_id: event_id(envelope)?,
            since,
            upstream: Upstream::clone(&envelope.upstream),
            project: envelope.project,
            key: envelope.key.clone(),
            body: envelope.body.to_vec(),
        })
    }

    /// Returns the envelope to send.
    pub(super) fn into_envelope(self) -> Envelope {
        let item = Item { kind: ItemKind::Fault, count: 1, bytes: self.body.len() };
        Envelope::of_ours(Arc::new(self.upstream), self.key, self.project, item, self.body)
    }

    /// Returns the content of the file.
    pub(super) fn write(&self) -> Vec<u8> {
        let Self { event_id, since, upstream, project, key, body } = self;
        let (since, key, length) = (timestamp::format(*since), key.expose(), body.len());
        let head = format!("{MAGIC}\t{since}\t{event_id}\t{upstream}\t{project}\t{key}\t{length}\n");
        [head.as_bytes(), body].concat()
    }

    /// Reads the content of a file.
    pub(super) fn read(mut file: Vec<u8>) -> Result<Self, InvalidEntry> {
        if !file.starts_with(MAGIC.as_bytes()) {
            return Err(InvalidEntry::Foreign);
        }
        let end = file.iter().position(|b| *b == b'\n').ok_or(InvalidEntry::Damaged)?;
        let body = file.split_off(end + 1);
        Self::parse(&file, body).ok_or(InvalidEntry::Damaged)
    }

    fn parse(head: &[u8], body: Vec<u8>) -> Option<Self> {
        let mut fields = std::str::from_utf8(head).ok()?.trim_end().split('\t').skip(1);
        let entry = Self {
            since: timestamp::parse(fields.next()?)?,
            event_id: EventId::parse(fields.next()?)?,
            upstream: Upstream::parse(fields.next()?).ok()?,
            project: ProjectId::parse(fields.next()?)?,
            key: PublicKey::parse(fields.next()?)?,
            body,
        };
        let is_whole = fields.next()?.parse() == Ok(entry.body.len());
        is_whole.then_some(entry)
    }
}

#[cfg(test)]
pub(super) fn sample(since: SystemTime, length: usize) -> Entry {
    let event_id = EventId::random();
    let mut body =
        format!("{{\"event_id\":\"{event_id}\",\"sent_at\":\"2026-11-25T10:00:00Z\"}}\n").into_bytes();
    body.resize(body.len().max(length), b'x');
    Entry {
        event_id,
        since,
        upstream: Upstream::parse("https://o1.ingest.sentry.io/prefix").unwrap(),
        project: ProjectId::parse("42").unwrap(),
        key: PublicKey::parse("a94ae32be2584e0bbd7a4cbb95971fee").unwrap(),
        body,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::{Duration, UNIX_EPOCH};

    fn entry() -> Entry {
        sample(UNIX_EPOCH + Duration::from_millis(1_795_600_803_421), 0)
    }

    #[test]
    fn a_file_reads_as_what_was_written() {
        let entry = entry();
        assert!(entry.write().starts_with(MAGIC.as_bytes()));
        assert_eq!(Entry::read(entry.write()), Ok(entry.clone()));
        assert_eq!(Entry::of(&entry.clone().into_envelope(), entry.since), Some(entry));
    }

    #[test]
    fn a_file_that_is_cut_anywhere_is_no_entry() {
        let whole = entry().write();
        for length in 0..whole.len() {
            let expected = if length < MAGIC.len() { InvalidEntry::Foreign } else { InvalidEntry::Damaged };
            assert_eq!(Entry::read(whole[..length].to_vec()), Err(expected), "{length}");
        }
        assert_eq!(Entry::read([whole, vec![b'x']].concat()), Err(InvalidEntry::Damaged), "longer");
    }

    #[test]
    fn other_files_are_foreign() {
        for content in ["", "{}", "{\"event_id\":\"x\"}\n{\"type\":\"event\"}\n{}", "\0\0\0\0"] {
            assert_eq!(Entry::read(content.as_bytes().to_vec()), Err(InvalidEntry::Foreign));
        }
    }
}
