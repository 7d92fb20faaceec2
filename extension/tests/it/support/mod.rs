//! Support for the tests: the peers of the extension, and the tools that `ci/test` installs.

pub mod case;
pub mod deliveries;
pub mod emulation;
pub mod envelope;
pub mod extension;
pub mod function;
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
pub mod runtime_api;
pub mod scripted_upstream;
pub mod sdk;
pub mod sentry;
pub mod tls;
pub mod tools;

use std::time::Duration;

/// The bound of every wait for an event. Each event usually comes within a second, so that a machine that is busy with
/// other things cannot make a good build fail: only what never comes does.
pub const HANG: Duration = Duration::from_mins(2);
/// A time-out or a deadline that no test reaches: whatever ends before it was ended by an event.
pub const UNREACHED: Duration = Duration::from_mins(10);
