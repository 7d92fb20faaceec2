//! What the extension itself can see becomes Sentry data, with or without an SDK in the function.

mod outbox;
mod spool;

pub use outbox::{FaultEnvelope, Outbox};
