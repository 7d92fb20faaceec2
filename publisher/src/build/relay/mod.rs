//! Sentry's own Relay for the layer: where the binary comes from, whether it runs on Lambda, and how it is packed.
//!
//! `source` reads what `--relay` names. A version comes from `store`: it asks `registry` for the files, lets
//! `download` fetch them (over `client`), and compares them with the pins in `lock`. `inspect` finds what the binary
//! needs, and `model::lambda_runtime` which runtimes have it. `strip` removes its debug sections, and `part` makes
//! what ends up in the zip and in `build.json`.

pub(crate) mod client;
pub(crate) mod download;
pub(crate) mod inspect;
pub(crate) mod lock;
pub(crate) mod part;
pub(crate) mod registry;
pub(crate) mod source;
pub(crate) mod store;
pub(crate) mod strip;
