//! Sentry's own Relay for the layer: where the binary comes from, whether it runs on Lambda, and how it is packed.
//!
//! `source` reads what `--relay` names. A version comes from `store`: it asks `registry` for the files, lets
//! `download` fetch them (over `client`), and compares them with the pins in `lock`. `cross_build` makes a binary from
//! Sentry's source package, which `package` fetches and changes as `recipe` says. `inspect` finds what a binary needs,
//! `version` which version it is, and `model::lambda_runtime` which runtimes have what it needs. `strip` removes its
//! debug sections, and `part` makes what ends up in the zip and in `build.json`.

pub(crate) mod client;
pub(crate) mod cross_build;
pub(crate) mod download;
pub(crate) mod inspect;
pub(crate) mod lock;
pub(crate) mod package;
pub(crate) mod part;
pub(crate) mod recipe;
pub(crate) mod registry;
pub(crate) mod source;
pub(crate) mod store;
pub(crate) mod strip;
pub(crate) mod version;
