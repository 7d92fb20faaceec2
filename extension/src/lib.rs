//! A Lambda extension that takes Sentry envelopes from any SDK on localhost and delivers them to Sentry.
//!
//! The modules and their tasks:
//!
//! - `main` reads arguments and environment (`cli`, `config`), decides whether Sentry's Relay is wanted, and starts the
//!   rest. If it is called by another name, it is the `wrapper`, which points an SDK at the extension and becomes the
//!   function's runtime.
//! - `gateway` listens on localhost. It checks the sender, the format and the destination of each request, and answers
//!   an SDK as soon as the envelope is queued.
//! - `otlp` reads OpenTelemetry's protocol, which the gateway takes on a port of its own, and converts its metrics.
//! - `relay` holds envelopes in a queue that is bounded in bytes, delivers them to upstream, and counts what became of
//!   each.
//! - `sentry_relay` runs Sentry's Relay as a child process if the layer contains it, and sends envelopes through it.
//! - `port_claim` tells the wrapper which ports the extension holds.
//! - `lifecycle` talks to Lambda: it registers, takes events, decides after each invocation whether the environment is
//!   kept awake for deliveries, and drains the relay at SHUTDOWN.
//! - `insights` collects what Lambda and passing envelopes tell about invocations, and reports faults that no SDK can
//!   report, because they end the SDK's process.
//! - `telemetry` learns from Lambda when the function has finished an invocation.
//! - `tail` prints what passes, where the extension runs without Lambda and is asked to.
//! - `config` turns the environment into settings, and `protocol` implements Sentry's formats. Both are pure.
//! - `http` makes both ends of an HTTP connection. `guarded_stream` and `active_timer` end one whose other side stalls.
//!   `hop_marker` recognizes a request that comes back. `task` keeps a panic from ending the process, `signals` keeps a
//!   signal from it, and `log` writes all log lines.
//!
//! Imports run one way: `main` → `gateway`, `lifecycle`, `sentry_relay`, `tail` → `insights` → `telemetry`, `relay` →
//! `config` → `protocol`. The gateway also imports `otlp`, which imports `config` and `protocol`. `sentry_relay` also
//! imports the gateway's `connection`, which bounds what clients may hold, and its `headers`. Every module may import
//! `http`, `guarded_stream`, `active_timer`, `hop_marker`, `task`, `signals` and `log`.

mod active_timer;
pub mod cli;
pub mod config;
#[cfg(any(test, fuzzing))]
#[doc(hidden)]
pub mod fuzzing;
pub mod gateway;
mod guarded_stream;
mod hop_marker;
mod http;
pub mod insights;
pub mod lifecycle;
pub mod log;
mod otlp;
pub mod port_claim;
pub mod protocol;
pub mod relay;
pub mod sentry_relay;
pub mod signals;
pub mod tail;
pub mod task;
pub mod telemetry;
pub mod wrapper;

/// Returns the version and, if the build knows it, the commit: `0.1.0 (0123456789ab)`.
pub fn version() -> String {
    let version = env!("CARGO_PKG_VERSION");
    match option_env!("SENTRY_EXTENSION_COMMIT") {
        Some(commit) => format!("{version} ({commit})"),
        None => version.to_owned(),
    }
}
