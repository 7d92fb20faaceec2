//! Code that several subcommands share.

pub(crate) mod account;
pub(crate) mod execute;
pub(crate) mod fewer_regions;
pub(crate) mod manifest;
pub(crate) mod manifest_source;
pub(crate) mod newest_version;
