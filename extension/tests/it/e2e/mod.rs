//! End-to-end tests: the layer zips as they were built, under AWS's emulator, with functions that use Sentry's SDKs.

mod node;
mod node_layer;
mod python;
mod sentry_relay;
mod shutdown;
mod store;
mod zero_code;
