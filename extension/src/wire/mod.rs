//! Sentry's formats as they come over the wire: content encodings, envelopes, and what can be in them.

mod category;
pub(crate) mod decimal;
mod decode;
mod item;
mod limits;
mod percent;
mod rewrite;
mod scan;

pub use category::Category;
pub(crate) use decode::{DecodeError, Encoding, decode};
pub use item::{Item, ItemKind, Value};
pub(crate) use percent::percent_decoded;
pub(crate) use rewrite::without;
pub(crate) use scan::lone_item;
pub use scan::{Header, ScanError, Scanned, Scanner};
