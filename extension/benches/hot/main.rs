//! The hot inner parts, each by itself: `cargo bench -p sentry-lambda-extension`.
//!
//! These tell what an inner part takes on the machine at hand, for the one who works on it. What the product as a whole may
//! take is measured on the released binary, by `ci/bench`.

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
    ledger::booking,
    gateway::request_to_queue
);
criterion_main!(hot);

/// A public key as DSNs have it.
const KEY: &str = "5b0ff8a1e2c94d7fb7a3c1d2e4f60718";
