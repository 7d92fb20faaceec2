//! Micro-benchmarks of the code that runs for each envelope: `cargo bench -p sentry-lambda-extension`.
//!
//! They help a developer who works on one of these parts, and depend on the machine. `ci/bench` measures the released
//! binary as a whole and enforces the budgets.

mod gateway;
mod ledger;
mod limits;
mod scan;

use criterion::{criterion_group, criterion_main};

criterion_group!(
    hot,
    scan::first_line,
    scan::split,
    limits::lookup,
    ledger::count_envelope,
    gateway::request_to_queue
);
criterion_main!(hot);

/// A public key in the form that DSNs contain.
const KEY: &str = "5b0ff8a1e2c94d7fb7a3c1d2e4f60718";
