//! The routes for native crash reports, and parsers for the formats of these reports.

pub(super) mod attachments;
mod form;
pub(super) mod minidump;
mod msgpack;
mod multipart;
pub(super) mod unreal;
