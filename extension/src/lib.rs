//! A Lambda extension that takes Sentry envelopes from any SDK on localhost and gets them to Sentry.
//!
//! What each room is for:
//!
//! - `main` reads arguments and environment (`cli`, `config`), decides whether Sentry's Relay is wanted, and starts the
//!   rest. Called by another name it is the `wrapper`, which points an SDK at the extension and becomes the function's
//!   runtime.
//! - `gateway` listens on localhost. It checks who sends what to where, and answers an SDK as soon as the envelope is
//!   queued.
//! - `relay` holds envelopes in a queue that is bounded in bytes, delivers them to upstream, and keeps the books.
//! - `sentry_relay` runs Sentry's Relay as a child process where the layer holds it, and puts it before upstream.
//! - `lifecycle` talks to Lambda: it registers, takes events, decides after each invocation whether the environment is
//!   kept awake for deliveries, and drains the relay at SHUTDOWN.
//! - `telemetry` hears from Lambda when the function is done.
//! - `insights` gathers what Lambda and passing envelopes tell of invocations, and tells Sentry of faults that no SDK
//!   can report, because they end its process.
//! - `config` turns the environment into settings, and `protocol` knows Sentry's formats; both are pure.
//! - `http` is either end of a connection, `task` keeps panics from ending the process, and `log` is the only voice.
//!
//! Imports run one way: `main` → `gateway`, `lifecycle`, `sentry_relay` → `insights` → `telemetry`, `relay` → `config` →
//! `protocol`.
//! The rooms of the last line are for all of them.

pub mod cli;
pub mod config;
pub mod gateway;
mod http;
pub mod insights;
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
