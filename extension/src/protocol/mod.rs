//! Sentry's formats as they come over the wire: content encodings, envelopes, and what can be in them.

mod category;
mod content_encoding;
pub(crate) mod decimal;
mod envelope_filter;
mod envelope_note;
mod envelope_scanner;
pub(crate) mod envelope_writer;
pub(crate) mod event_id;
mod item;
mod percent;
mod size_limits;

pub use category::Category;
pub(crate) use content_encoding::{DecodeError, Encoding, decode};
pub(crate) use envelope_filter::without;
pub(crate) use envelope_note::EnvelopeNote;
pub(crate) use envelope_scanner::lone_item;
pub use envelope_scanner::{Header, ScanError, Scanned, Scanner};
pub use item::{Item, ItemKind, Priority};
pub(crate) use percent::{percent_decoded, percent_encoded};
