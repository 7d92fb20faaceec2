//! Sentry's formats as they come over the wire: content encodings, envelopes, and what can be in them.

mod decode;
mod item;
mod scan;

pub(crate) use decode::{DecodeError, Encoding, decode};
pub use item::{Item, ItemKind, Value};
pub(crate) use scan::{ScanError, Scanned, Scanner};
