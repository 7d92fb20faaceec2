//! Runs the real binary, and sends it what Lambda and the SDKs send.
#![allow(missing_docs, unreachable_pub)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr
)]

mod bounds;
mod certificates;
mod e2e;
mod faults;
mod flush;
mod gateway;
mod insights;
mod lifecycle;
mod lifecycle_freeze;
mod lifecycle_odd;
mod otlp;
mod process;
mod recorded;
mod relay;
mod sentry_relay;
mod spool;
mod support;
mod wrapper;
