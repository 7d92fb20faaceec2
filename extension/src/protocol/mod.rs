//! Sentry's wire formats: content encodings, envelopes, and the items in envelopes. Nothing here does I/O.

mod brotli;
mod category;
mod content_encoding;
mod crc32;
pub(crate) mod decimal;
mod decoder_output;
mod dot_segments;
mod envelope_filter;
pub(crate) mod envelope_header;
mod envelope_note;
mod envelope_scanner;
pub(crate) mod envelope_writer;
pub(crate) mod event_id;
mod inflate;
mod item;
pub(crate) mod json_fields;
pub(crate) mod json_text;
mod key_mask;
mod log_level;
mod percent;
pub(crate) mod release_name;
pub(crate) mod sent_at;
mod size_limits;
pub mod timestamp;

pub use category::Category;
pub(crate) use content_encoding::{DecodeError, Encoding, decode, decode_all};
pub(crate) use crc32::crc32;
pub(crate) use dot_segments::has_dot_segments;
pub(crate) use envelope_filter::{keep_items, split_envelope, visit_payloads};
pub(crate) use envelope_note::EnvelopeNote;
pub use envelope_scanner::{Header, ScanError, Scanned, Scanner};
pub use event_id::EventId;
pub use item::{Item, ItemKind, Priority};
pub(crate) use key_mask::masked;
pub use log_level::LogLevel;
pub(crate) use percent::{percent_decoded, percent_encoded};
