//! Takes a note of what an envelope says about the invocation that it was sent in, while a scanner reads the envelope.

use crate::protocol::envelope_note::{EnvelopeNote, MAX_PAYLOAD};
use crate::protocol::item::{Item, ItemKind};

/// The note that a scanner takes, and the payload that it is read from.
#[derive(Debug, Default)]
pub(super) struct Noting {
    note: EnvelopeNote,
    /// The beginning of the first event or transaction.
    payload: Vec<u8>,
    /// The number of items when that payload began.
    item: Option<usize>,
}

impl Noting {
    /// Notes what the envelope's header says.
    pub(super) fn read_header(&mut self, line: &[u8]) {
        self.note = EnvelopeNote::of_header(line);
    }

    /// Keeps a part of the payload of the last of these items, if something in it is noted.
    pub(super) fn add_payload(&mut self, items: &[Item], part: &[u8]) {
        let Some(item) = items.last().filter(|item| is_noted(item.kind)) else { return };
        // Only the first payload is kept, because an envelope has at most one event.
        if *self.item.get_or_insert(items.len()) != items.len() {
            return;
        }
        let room = MAX_PAYLOAD.saturating_sub(self.payload.len());
        if self.payload.is_empty() {
            self.payload.reserve_exact(item.bytes.min(room));
        }
        self.payload.extend_from_slice(part.get(..room).unwrap_or(part));
    }

    /// Returns the note.
    pub(super) fn finish(mut self) -> EnvelopeNote {
        self.note.add_payload(&self.payload);
        self.note
    }
}

fn is_noted(kind: ItemKind) -> bool {
    matches!(kind, ItemKind::Event | ItemKind::Transaction)
}
