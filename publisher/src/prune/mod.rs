//! Which old versions can be deleted: pure decisions.

pub(crate) mod name_pattern;
pub(crate) mod retention;
