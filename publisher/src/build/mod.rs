//! How a layer zip comes into being.
//!
//! `workspace` and `commit` say what is built; `tools`, `rust` and `musl_std` with what;
//! `release` refuses what may not be one; `flags`, `smaller` and `compile` turn it into a binary; `elf` refuses a wrong one;
//! `layer_zip` packs it, once (`zip_cache`), and
//! `dist` puts it where `publish` finds it. `relay` brings Sentry's own Relay. `inventory` is what `publisher doctor` looks at.

pub mod commit;
pub mod compile;
pub mod dist;
pub mod elf;
pub mod exec;
pub mod flags;
pub mod inventory;
pub mod layer_zip;
pub mod musl_std;
pub mod relay;
pub mod release;
pub mod rust;
pub mod smaller;
pub mod tools;
pub mod venv;
pub mod workspace;
pub mod zip_cache;
