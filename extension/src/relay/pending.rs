//! An accepted envelope on its way through the queue, with what is known of its tries.

use super::envelope::Envelope;
use super::ledger::DropReason;
use std::sync::Arc;
use std::sync::atomic::AtomicU8;
use std::time::SystemTime;

/// An accepted envelope that is neither delivered nor lost.
#[derive(Clone, Debug)]
pub(super) struct Pending {
    pub(super) envelope: Arc<Envelope>,
    /// How often it failed in a way that may be its own fault.
    pub(super) attempts: u8,
    /// When it was accepted.
    pub(super) since: SystemTime,
    /// Why it would be lost if this were the end.
    pub(super) reason: DropReason,
    /// Requests of the present try that went out and have no answer.
    pub(super) unanswered: Arc<AtomicU8>,
}

/// What upstream falls over so often is itself the trouble.
const MAX_ATTEMPTS: u8 = 10;

impl Pending {
    /// Whether it was tried so often that it is itself the trouble.
    pub(super) fn is_hopeless(&self) -> bool {
        self.attempts >= MAX_ATTEMPTS
    }
}
