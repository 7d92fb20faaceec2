//! The routes for native crash reports, and the formats that they come in.

pub(super) mod attachments;
mod form;
pub(super) mod minidump;
mod msgpack;
mod multipart;
pub(super) mod unreal;
