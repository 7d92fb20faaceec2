//! What the tests put around the publisher: `dist/` folders, emulators of AWS, a proxy that injects faults, and helpers
//! that check the results independently of the publisher's code.

pub mod account;
pub mod cli;
pub mod dist;
pub mod emulator;
pub mod function;
pub mod gate;
pub mod github;
pub mod http;
pub mod iam;
pub mod image_registry;
pub mod other_layer;
pub mod proxy;
pub mod registry;
pub mod schema;
pub mod snippet;
pub mod source;
pub mod stand_in;
/// The extension's tests have the same certificates, so the code is there.
#[path = "../../../../extension/tests/it/support/tls.rs"]
pub mod tls;
pub mod tls_proxy;
