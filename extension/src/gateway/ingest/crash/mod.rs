//! The routes for native crash reports, and parsers for the formats of these reports.

pub(super) mod attachments;
mod form;
#[cfg(any(test, fuzzing))]
pub(in crate::gateway) mod fuzzing;
pub(super) mod minidump;
mod msgpack;
mod multipart;
pub(super) mod unreal;
