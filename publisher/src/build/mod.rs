//! How a layer zip comes into being.
//!
//! `workspace` and `commit` say what is built; `tools`, `cross_tools`, `venv`, `rust` and `musl_std` with what;
//! `release` refuses what may not be one; `flags`, `unstable_flags` and `compile` turn it into a binary; `elf` refuses a wrong one;
//! `layer_zip` packs it, once (`zip_cache`), and
//! `dist` puts it where `publish` finds it. `relay` brings Sentry's own Relay. `inventory` is what `publisher doctor` looks at.

pub(crate) mod changelog;
pub(crate) mod commit;
pub(crate) mod compile;
pub(crate) mod cross_tools;
pub(crate) mod dist;
pub(crate) mod elf;
pub(crate) mod exec;
pub(crate) mod flags;
pub(crate) mod inventory;
pub(crate) mod layer_zip;
pub(crate) mod musl_std;
pub(crate) mod relay;
pub(crate) mod release;
pub(crate) mod rust;
pub(crate) mod tools;
pub(crate) mod unstable_flags;
pub(crate) mod venv;
pub(crate) mod workspace;
pub(crate) mod zip_cache;
