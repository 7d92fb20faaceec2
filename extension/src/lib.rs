//! A Lambda extension that takes Sentry envelopes from any SDK on localhost and gets them to Sentry.
//!
//! What flows where:
//!
//! - `main` reads arguments and environment (`cli`, `config`) and wires up the rest; under another name it is the
//!   `wrapper`, which points an SDK at the extension and becomes the function's runtime;
//! - an SDK posts to the `gateway`, which checks who sends what to where, and answers at once;
//! - the `relay` holds the envelope in a queue bounded in bytes, delivers it, by way of Sentry's own Relay where the
//!   layer has that, and keeps the books;
//! - the `lifecycle` talks to Lambda: it registers, takes events, decides after each invocation whether the environment
//!   is kept awake for deliveries, and drains the relay at SHUTDOWN;
//! - `telemetry` is what Lambda tells the extension about invocations;
//! - `protocol` knows the formats: content encodings, envelopes, items; `http` is either end of a connection;
//! - `task` keeps panics from ending the process, and `log` is the only voice.

pub mod cli;
pub mod config;
pub mod gateway;
mod http;
pub mod lifecycle;
pub mod log;
pub mod protocol;
pub mod relay;
pub mod sentry_relay;
pub mod task;
pub mod telemetry;
pub mod wrapper;

/// The version and, where the build knows it, the commit: `0.1.0 (0123456789ab)`.
pub fn version() -> String {
    let version = env!("CARGO_PKG_VERSION");
    match option_env!("SENTRY_EXTENSION_COMMIT") {
        Some(commit) => format!("{version} ({commit})"),
        None => version.to_owned(),
    }
}
