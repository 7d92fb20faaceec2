//! The layer zips as built, under AWS's emulator, with functions that use Sentry's SDKs: what a user gets.

mod node;
mod node_layer;
mod python;
mod sentry_relay;
mod sentry_relay_cold_start;
mod shutdown;
mod store;
mod zero_code;
