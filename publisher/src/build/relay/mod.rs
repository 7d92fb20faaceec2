//! Sentry's own Relay for the layer: where the binary comes from, whether it can run there, and what goes in with it.
//!
//! `source` reads what `--relay` names; a version goes through `store`, which holds what `registry` lists and
//! `download` brings (over `client`) against the pins of `lock`. `inspect` tells what the binary asks of a
//! `runtime`, `strip` takes its debug sections off, and `part` is what ends up in the zip and in `build.json`.

pub mod client;
pub mod download;
pub mod inspect;
pub mod lock;
pub mod part;
pub mod registry;
pub mod runtime;
pub mod source;
pub mod store;
pub mod strip;
