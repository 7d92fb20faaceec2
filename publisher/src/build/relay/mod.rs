//! Sentry's own Relay for the layer: where the binary comes from, whether it can run there, and what goes in with it.
//!
//! `source` reads what `--relay` names; a version goes through `store`, which holds what `registry` lists and
//! `download` brings (over `client`) against the pins of `lock`. `inspect` tells what the binary asks of
//! `model::lambda_runtime`, `strip` takes its debug sections off, and `part` is what ends up in the zip and in `build.json`.

pub(crate) mod client;
pub(crate) mod download;
pub(crate) mod inspect;
pub(crate) mod lock;
pub(crate) mod part;
pub(crate) mod registry;
pub(crate) mod source;
pub(crate) mod store;
pub(crate) mod strip;
