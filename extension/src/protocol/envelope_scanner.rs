//! Reads an envelope's header and its items' headers from blocks of bytes. Payloads are skipped, not stored.
//!
//! The format is `header\n(item-header\npayload\n)*`. An item's `length` is optional: without it the payload ends at
//! the next newline. The last newline of the envelope is optional too. Blank lines before a header are skipped, as
//! Sentry's Relay does, and like there they may not end the envelope.

mod error;
mod noting;

pub use error::ScanError;

use super::envelope_note::EnvelopeNote;
use super::item::{Item, ItemKind};
use super::size_limits::{LimitedType, SizeLimits};
use error::{MAX_ITEMS, MAX_LINE};
use noting::Noting;
use serde::Deserialize;
use std::borrow::Cow;

/// The envelope's header, which is its first line. Other fields are ignored.
#[derive(Debug, Default, Deserialize, PartialEq, Eq)]
pub struct Header {
    /// The id of the event that the items belong to. Absent if there is no event, or if the SDK left it out.
    pub event_id: Option<String>,
    /// The DSN. JavaScript SDKs send it in tunnel mode, and other SDKs may send it.
    pub dsn: Option<String>,
}

#[derive(Deserialize)]
struct ItemHeader<'a> {
    #[serde(borrow)]
    r#type: Cow<'a, str>,
    length: Option<usize>,
    /// How many things a container of logs, metrics or spans holds.
    item_count: Option<u32>,
}

/// Whether items of this type belong to an event, so that the envelope needs an event id.
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

/// What a scanner found in a complete envelope.
#[derive(Debug, PartialEq, Eq)]
pub struct Scanned {
    /// The envelope's header.
    pub header: Header,
    /// The items, in the order of the envelope.
    pub items: Vec<Item>,
    /// Whether an item belongs to an event, so that the header needs an `event_id`.
    pub needs_event_id: bool,
}

#[derive(Clone, Copy, Debug)]
enum State {
    Header,
    ItemHeader,
    /// Inside a payload, of which this number of bytes is still missing.
    Payload(usize),
    /// Inside a payload without a known length, and the limit on its type.
    PayloadLine(Option<LimitedType>),
    /// After a payload of known length, before its newline.
    PayloadEnd,
}

/// Scans an envelope that arrives in blocks of any size.
#[derive(Debug)]
pub struct Scanner {
    state: State,
    /// The beginning of a header line whose end is not in the blocks so far.
    line: Vec<u8>,
    header: Option<Header>,
    items: Vec<Item>,
    limits: SizeLimits,
    needs_event_id: bool,
    /// Whether the last line was blank.
    ends_blank: bool,
    noting: Option<Noting>,
}

impl Default for Scanner {
    fn default() -> Self {
        Self::new()
    }
}

impl Scanner {
    /// Creates a scanner at the beginning of an envelope.
    pub fn new() -> Self {
        Self {
            state: State::Header,
            line: Vec::new(),
            header: None,
            items: Vec::new(),
            limits: SizeLimits::new(),
            needs_event_id: false,
            ends_blank: false,
            noting: None,
        }
    }

    /// Creates a scanner that also notes what the envelope says about the invocation that it was sent in.
    pub(crate) fn with_note() -> Self {
        Self { noting: Some(Noting::default()), ..Self::new() }
    }

    /// Ends the scan wherever it is, and returns the note.
    pub(crate) fn into_note(self) -> EnvelopeNote {
        self.noting.unwrap_or_default().finish()
    }

    /// Reads the next block. Fails as soon as the envelope is known to be invalid.
    pub fn feed(&mut self, mut block: &[u8]) -> Result<(), ScanError> {
        while !block.is_empty() {
            block = self.step(block)?;
        }
        Ok(())
    }

    /// Ends the scan. Fails if the envelope is not complete.
    pub fn finish(mut self) -> Result<Scanned, ScanError> {
        match self.state {
            State::Header if self.line.is_empty() => return Err(ScanError::Empty),
            State::ItemHeader if self.line.is_empty() && self.ends_blank => return Err(ScanError::Truncated),
            State::ItemHeader if self.line.is_empty() => {}
            State::Header | State::ItemHeader => {
                let line = std::mem::take(&mut self.line);
                self.read_header(&line)?;
                // An item with an empty payload may end with its header.
                let is_complete =
                    matches!(self.state, State::ItemHeader | State::PayloadLine(_) | State::PayloadEnd);
                if self.ends_blank || !is_complete {
                    return Err(ScanError::Truncated);
                }
            }
            State::Payload(_) => return Err(ScanError::Truncated),
            State::PayloadLine(_) | State::PayloadEnd => {}
        }
        let header = self.header.ok_or(ScanError::Empty)?;
        Ok(Scanned { header, items: self.items, needs_event_id: self.needs_event_id })
    }

    /// Consumes a part of the block, and returns the rest.
    fn step<'a>(&mut self, block: &'a [u8]) -> Result<&'a [u8], ScanError> {
        match self.state {
            State::Header | State::ItemHeader => {
                let Some((line, rest)) = split_line(block) else {
                    self.buffer_line(block)?;
                    return Ok(&[]);
                };
                if self.line.is_empty() {
                    self.read_header(line)?;
                } else {
                    self.buffer_line(line)?;
                    let line = std::mem::take(&mut self.line);
                    self.read_header(&line)?;
                }
                Ok(rest)
            }
            State::Payload(left) => {
                let taken = left.min(block.len());
                if let Some(noting) = &mut self.noting {
                    noting.add_payload(&self.items, block.get(..taken).unwrap_or_default());
                }
                self.state = if taken == left { State::PayloadEnd } else { State::Payload(left - taken) };
                Ok(block.get(taken..).unwrap_or_default())
            }
            State::PayloadLine(limited) => {
                let (line, rest) = split_line(block).unwrap_or((block, &[]));
                if let Some(limited) = limited.filter(|of| !self.limits.count_bytes(*of, line.len())) {
                    return Err(ScanError::TooLarge(limited.name));
                }
                if let Some(item) = self.items.last_mut() {
                    item.bytes += line.len();
                }
                if let Some(noting) = &mut self.noting {
                    noting.add_payload(&self.items, line);
                }
                if line.len() < block.len() {
                    self.state = State::ItemHeader;
                }
                Ok(rest)
            }
            State::PayloadEnd => match block.split_first() {
                Some((b'\n', rest)) => {
                    self.state = State::ItemHeader;
                    Ok(rest)
                }
                _ => Err(ScanError::MissingNewline),
            },
        }
    }

    fn buffer_line(&mut self, part: &[u8]) -> Result<(), ScanError> {
        if self.line.len() + part.len() > MAX_LINE {
            return Err(ScanError::HeaderTooLong);
        }
        self.line.extend_from_slice(part);
        Ok(())
    }

    fn read_header(&mut self, line: &[u8]) -> Result<(), ScanError> {
        if line.len() > MAX_LINE {
            return Err(ScanError::HeaderTooLong);
        }
        self.ends_blank = leading_blank(line) == line.len();
        if self.ends_blank {
            return Ok(());
        }
        // Sentry's Relay reads all fields, and refuses one that is not UTF-8.
        let text = std::str::from_utf8(line);
        if self.header.is_none() {
            let text = text.map_err(|why| ScanError::Header(why.to_string()))?;
            let header = serde_json::from_str(text).map_err(|why| ScanError::Header(why.to_string()))?;
            self.header = Some(header);
            if let Some(noting) = &mut self.noting {
                noting.read_header(line);
            }
            self.state = State::ItemHeader;
            return Ok(());
        }
        let text = text.map_err(|why| ScanError::ItemHeader(why.to_string()))?;
        let item: ItemHeader<'_> =
            serde_json::from_str(text).map_err(|why| ScanError::ItemHeader(why.to_string()))?;
        if self.items.len() == MAX_ITEMS {
            return Err(ScanError::TooManyItems);
        }
        let limited = LimitedType::of(&item.r#type, item.item_count.is_some());
        let length = item.length.unwrap_or(0);
        let is_over_limit =
            |of: &LimitedType| !self.limits.count_item(*of) || !self.limits.count_bytes(*of, length);
        if let Some(limited) = limited.filter(is_over_limit) {
            return Err(ScanError::TooLarge(limited.name));
        }
        self.needs_event_id |= belongs_to_event(&item.r#type);
        let kind = ItemKind::of(&item.r#type);
        let count = item.item_count.unwrap_or(1);
        self.items.push(Item { kind, count, bytes: length });
        self.state = match item.length {
            Some(0) => State::PayloadEnd,
            Some(length) => State::Payload(length),
            None => State::PayloadLine(limited),
        };
        Ok(())
    }
}

/// Returns how many bytes at the start are what JSON takes for white space.
pub(super) fn leading_blank(bytes: &[u8]) -> usize {
    let is_blank = |b: &u8| matches!(b, b' ' | b'\t' | b'\r' | b'\n');
    bytes.iter().position(|b| !is_blank(b)).unwrap_or(bytes.len())
}

fn split_line(block: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = block.iter().position(|b| *b == b'\n')?;
    let (line, rest) = block.split_at_checked(end)?;
    Some((line, rest.get(1..).unwrap_or_default()))
}

#[cfg(test)]
mod tests;
