//! The layer zips as built, under AWS's emulator, with functions that use Sentry's SDKs: what a user gets.

mod node;
mod python;
mod sentry_relay;
mod shutdown;
mod store;
mod zero_code;
