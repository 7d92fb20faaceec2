//! The envelope's shape, read as it streams by: header, item headers, lengths. Payloads pass unread.
//!
//! Format: `header\n(item-header\npayload\n)*`; an item's `length` is optional (then its payload ends at
//! the newline), as is the last newline.

use super::envelope_note::{EnvelopeNote, MAX_PAYLOAD};
use super::item::{Item, ItemKind};
use super::size_limits::{Bounded, SizeLimits};
use serde::Deserialize;
use std::borrow::Cow;
use std::fmt;

/// Headers longer than this are nobody's.
const MAX_LINE: usize = 256 * 1024;
/// Relay refuses more.
const MAX_ITEMS: usize = 500;

/// What the first line says; other fields are read over.
#[derive(Debug, Default, Deserialize, PartialEq, Eq)]
pub struct Header {
    /// The event's id, if the envelope has an event.
    pub event_id: Option<String>,
    /// Sent by JavaScript SDKs in tunnel mode; optional elsewhere.
    pub dsn: Option<String>,
}

#[derive(Deserialize)]
struct ItemHeader<'a> {
    #[serde(borrow)]
    r#type: Cow<'a, str>,
    length: Option<usize>,
    /// Of the containers: logs, metrics, spans.
    item_count: Option<u32>,
}

/// The one item of a body that is no envelope.
pub(crate) fn lone_item(kind: ItemKind, bytes: usize) -> Item {
    Item { kind, count: 1, bytes }
}

/// Whether an item of this type belongs to an event, so that its envelope must name one.
fn belongs_to_event(name: &str) -> bool {
    matches!(
        name,
        "event"
            | "transaction"
            | "security"
            | "raw_security"
            | "attachment"
            | "form_data"
            | "unreal_report"
            | "user_report"
            | "feedback"
            | "replay_event"
            | "profile"
    )
}

/// An envelope that was read to its end.
#[derive(Debug, PartialEq, Eq)]
pub struct Scanned {
    /// Its first line.
    pub header: Header,
    /// One for each item, in order.
    pub items: Vec<Item>,
    /// Something in it belongs to an event.
    pub needs_event_id: bool,
    /// What it says of the invocation, where that was asked for.
    pub(crate) note: Option<EnvelopeNote>,
}

/// Why bytes are no envelope.
#[derive(Debug, PartialEq, Eq)]
pub enum ScanError {
    /// There are none.
    Empty,
    /// The first line is not what it has to be.
    Header(String),
    /// Nor is an item's.
    ItemHeader(String),
    /// A header is too long.
    Line,
    /// Something stands where a line has to end.
    MissingNewline,
    /// It ends in the midst of an item.
    Truncated,
    /// There are more than Relay takes.
    TooManyItems,
    /// Too many items of this type or too many bytes in them.
    TooLarge(&'static str),
}

impl fmt::Display for ScanError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("empty request body"),
            Self::Header(why) => write!(f, "invalid envelope header: {why}"),
            Self::ItemHeader(why) => write!(f, "invalid item header: {why}"),
            Self::Line => write!(f, "a header is longer than {MAX_LINE} bytes"),
            Self::MissingNewline => f.write_str("missing newline after header or payload"),
            Self::Truncated => f.write_str("unexpected end of file"),
            Self::TooManyItems => write!(f, "more than {MAX_ITEMS} items"),
            Self::TooLarge(name) => write!(
                f,
                "envelope exceeded size limits for type '{name}' (https://develop.sentry.dev/sdk/envelopes/#size-limits)"
            ),
        }
    }
}

#[derive(Clone, Copy, Debug)]
enum At {
    Header,
    ItemHeader,
    /// That many bytes of payload are to come.
    Payload(usize),
    /// A payload without a length, and what bounds it.
    Line(Option<Bounded>),
    /// Right behind a payload of known length.
    Newline,
}

/// Takes an envelope in blocks of any size.
#[derive(Debug)]
pub struct Scanner {
    at: At,
    /// The part of a header line that earlier blocks brought.
    line: Vec<u8>,
    header: Option<Header>,
    items: Vec<Item>,
    limits: SizeLimits,
    needs_event_id: bool,
    noting: Option<Noting>,
}

/// What is read in passing.
#[derive(Debug, Default)]
struct Noting {
    note: EnvelopeNote,
    /// The first event or transaction, as far as it is looked at.
    payload: Vec<u8>,
    /// The item of that payload.
    item: Option<usize>,
}

impl Default for Scanner {
    fn default() -> Self {
        Self::new()
    }
}

impl Scanner {
    /// At the beginning of an envelope.
    pub fn new() -> Self {
        Self {
            at: At::Header,
            line: Vec::new(),
            header: None,
            items: Vec::new(),
            limits: SizeLimits::new(),
            needs_event_id: false,
            noting: None,
        }
    }

    /// The same, but it also notes what the envelope says of the invocation.
    pub(crate) fn noting() -> Self {
        Self { noting: Some(Noting::default()), ..Self::new() }
    }

    /// Reads the next block.
    pub fn feed(&mut self, mut block: &[u8]) -> Result<(), ScanError> {
        while !block.is_empty() {
            block = self.step(block)?;
        }
        Ok(())
    }

    /// The body ends here.
    pub fn finish(mut self) -> Result<Scanned, ScanError> {
        match self.at {
            At::Header if self.line.is_empty() => return Err(ScanError::Empty),
            At::ItemHeader if self.line.is_empty() => {}
            At::Header | At::ItemHeader => {
                let line = std::mem::take(&mut self.line);
                self.header_line(&line)?;
                // An item whose payload is empty may end with its header.
                if !matches!(self.at, At::ItemHeader | At::Line(_) | At::Newline) {
                    return Err(ScanError::Truncated);
                }
            }
            At::Payload(_) => return Err(ScanError::Truncated),
            At::Line(_) | At::Newline => {}
        }
        let header = self.header.ok_or(ScanError::Empty)?;
        let note = self.noting.map(|mut noting| {
            noting.note.add_payload(&noting.payload);
            noting.note
        });
        Ok(Scanned { header, items: self.items, needs_event_id: self.needs_event_id, note })
    }

    /// Consumes some of the block, gives back the rest.
    fn step<'a>(&mut self, block: &'a [u8]) -> Result<&'a [u8], ScanError> {
        match self.at {
            At::Header | At::ItemHeader => {
                let Some((line, rest)) = split_line(block) else {
                    self.keep(block)?;
                    return Ok(&[]);
                };
                if self.line.is_empty() {
                    self.header_line(line)?;
                } else {
                    self.keep(line)?;
                    let line = std::mem::take(&mut self.line);
                    self.header_line(&line)?;
                }
                Ok(rest)
            }
            At::Payload(left) => {
                let taken = left.min(block.len());
                self.note_payload(block.get(..taken).unwrap_or_default());
                self.at = if taken == left { At::Newline } else { At::Payload(left - taken) };
                Ok(block.get(taken..).unwrap_or_default())
            }
            At::Line(bounded) => {
                let (line, rest) = split_line(block).unwrap_or((block, &[]));
                if let Some(bounded) = bounded.filter(|of| !self.limits.bytes(*of, line.len())) {
                    return Err(ScanError::TooLarge(bounded.name));
                }
                if let Some(item) = self.items.last_mut() {
                    item.bytes += line.len();
                }
                self.note_payload(line);
                if line.len() < block.len() {
                    self.at = At::ItemHeader;
                }
                Ok(rest)
            }
            At::Newline => match block.split_first() {
                Some((b'\n', rest)) => {
                    self.at = At::ItemHeader;
                    Ok(rest)
                }
                _ => Err(ScanError::MissingNewline),
            },
        }
    }

    fn note_payload(&mut self, part: &[u8]) {
        let Some(noting) = &mut self.noting else { return };
        let Some(item) = self.items.last().filter(|item| is_noted(item.kind)) else { return };
        // Only the first of them: an envelope has at most one event.
        if *noting.item.get_or_insert(self.items.len()) != self.items.len() {
            return;
        }
        let room = MAX_PAYLOAD.saturating_sub(noting.payload.len());
        if noting.payload.is_empty() {
            noting.payload.reserve_exact(item.bytes.min(room));
        }
        noting.payload.extend_from_slice(part.get(..room).unwrap_or(part));
    }

    fn keep(&mut self, part: &[u8]) -> Result<(), ScanError> {
        if self.line.len() + part.len() > MAX_LINE {
            return Err(ScanError::Line);
        }
        self.line.extend_from_slice(part);
        Ok(())
    }

    fn header_line(&mut self, line: &[u8]) -> Result<(), ScanError> {
        if line.len() > MAX_LINE {
            return Err(ScanError::Line);
        }
        if self.header.is_none() {
            let header = serde_json::from_slice(line).map_err(|e| ScanError::Header(e.to_string()))?;
            self.header = Some(header);
            if let Some(noting) = &mut self.noting {
                noting.note = EnvelopeNote::of_header(line);
            }
            self.at = At::ItemHeader;
            return Ok(());
        }
        let item: ItemHeader<'_> =
            serde_json::from_slice(line).map_err(|e| ScanError::ItemHeader(e.to_string()))?;
        if self.items.len() == MAX_ITEMS {
            return Err(ScanError::TooManyItems);
        }
        let bounded = Bounded::of(&item.r#type, item.item_count.is_some());
        let length = item.length.unwrap_or(0);
        let over = |of: &Bounded| !self.limits.item(*of) || !self.limits.bytes(*of, length);
        if let Some(bounded) = bounded.filter(over) {
            return Err(ScanError::TooLarge(bounded.name));
        }
        self.needs_event_id |= belongs_to_event(&item.r#type);
        let kind = ItemKind::of(&item.r#type);
        let count = item.item_count.unwrap_or(1);
        self.items.push(Item { kind, count, bytes: length });
        self.at = match item.length {
            Some(0) => At::Newline,
            Some(length) => At::Payload(length),
            None => At::Line(bounded),
        };
        Ok(())
    }
}

fn is_noted(kind: ItemKind) -> bool {
    matches!(kind, ItemKind::Event | ItemKind::Transaction)
}

fn split_line(block: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = block.iter().position(|b| *b == b'\n')?;
    let (line, rest) = block.split_at_checked(end)?;
    Some((line, rest.get(1..).unwrap_or_default()))
}

#[cfg(test)]
mod tests;
