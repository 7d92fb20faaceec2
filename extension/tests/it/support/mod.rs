//! What the tests stand on: the peers of the extension, and the tools that `ci/test` installs.

pub mod case;
pub mod deliveries;
pub mod emulation;
pub mod envelope;
pub mod extension;
pub mod function;
pub mod hostile;
pub mod http;
pub mod lambda_api;
pub mod layer;
pub mod log;
pub mod memory;
pub mod memory_limit;
pub mod netns;
pub mod proxy;
pub mod resolver;
pub mod rie;
pub mod sdk;
pub mod sentry;
pub mod tls;
pub mod tools;
