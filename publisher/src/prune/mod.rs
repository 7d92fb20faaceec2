//! Decides which old versions can be deleted, without calling AWS.

pub(crate) mod name_pattern;
pub(crate) mod retention;
