//! Builds the layer zips.
//!
//! `workspace` and `commit` find what is built; `tools`, `cross_tools`, `venv`, `rust` and `musl_std` find what it is
//! built with. `release` refuses a work tree that may not be released. `flags`, `unstable_flags` and `compile` make the
//! binary, `unwind_index` makes it smaller, and `elf` refuses a wrong one. `licences` writes the notices of the crates
//! that `linked_crates` finds. `layer_zip` packs all of that, `zopfli_entry` compresses it, `zip_cache` keeps the
//! packed zip for the next build, and `dist` writes it where `publish` finds it. `relay` brings Sentry's own Relay.
//! `inventory` is what `publisher doctor` shows.

pub(crate) mod changelog;
pub(crate) mod commit;
pub(crate) mod compile;
pub(crate) mod cross_tools;
pub(crate) mod dependency_list;
pub(crate) mod dist;
pub(crate) mod elf;
pub(crate) mod exec;
pub(crate) mod finish;
pub(crate) mod flags;
pub(crate) mod inventory;
pub(crate) mod layer_zip;
pub(crate) mod licences;
pub(crate) mod linked_crates;
pub(crate) mod musl_std;
pub(crate) mod relay;
pub(crate) mod release;
pub(crate) mod rust;
pub(crate) mod tools;
pub(crate) mod unstable_flags;
pub(crate) mod unwind_index;
pub(crate) mod venv;
pub(crate) mod workspace;
pub(crate) mod zip_cache;
pub(crate) mod zopfli_entry;
