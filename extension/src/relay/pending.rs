//! An accepted envelope in the queue or in flight, with the history of its tries.

use super::envelope::Envelope;
use super::lanes::LaneId;
use super::ledger::DropReason;
use crate::protocol::Priority;
use std::sync::Arc;
use std::sync::atomic::AtomicU8;
use std::time::SystemTime;

/// An accepted envelope that is neither delivered, nor rejected, nor dropped.
#[derive(Clone, Debug)]
pub(super) struct Pending {
    pub(super) envelope: Arc<Envelope>,
    /// The lane of its upstream.
    pub(super) lane: LaneId,
    /// Its number in the order in which envelopes were accepted. The queue sets it.
    pub(super) number: u64,
    /// Its place in the order in which envelopes are sent. The queue sets it, anew when the envelope is put back.
    pub(super) place: u64,
    /// The keys of what it belongs to. Envelopes with a common key are sent one after the other.
    pub(super) keys: Box<[u64]>,
    /// How many tries failed in a way that the envelope itself may have caused.
    pub(super) attempts: u8,
    /// Whether Sentry's Relay has had it for so long that a rule may have dropped it.
    pub(super) is_late: bool,
    /// The time when it was accepted, by the wall clock.
    pub(super) since: SystemTime,
    /// The time for which the `sent_at` of the envelope is right: when it was accepted, or when `sent_at` was moved.
    pub(super) dated: SystemTime,
    /// The reason that is counted if the environment ends now.
    pub(super) reason: DropReason,
    /// The number of requests of the current try that were sent and have no response.
    pub(super) unanswered: Arc<AtomicU8>,
}

/// After this number of failed tries, the envelope itself is taken to be the cause of the failures.
const MAX_ATTEMPTS: u8 = 10;

impl Pending {
    /// Whether it is the extension's own event about a fault.
    pub(super) fn is_fault(&self) -> bool {
        self.envelope.priority() == Priority::Fault
    }

    /// Whether it failed so often that it should not be tried again.
    pub(super) fn is_hopeless(&self) -> bool {
        self.attempts >= MAX_ATTEMPTS
    }
}
