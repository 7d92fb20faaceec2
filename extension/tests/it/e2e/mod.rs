//! End-to-end tests: the layer zips as they were built, under AWS's emulator, with functions that use Sentry's SDKs.

mod node;
mod python;
mod sentry_relay;
mod sentry_relay_cold_start;
mod shutdown;
mod store;
mod zero_code;
