//! Keeps the faults that are not delivered before the end, so that the relay need not know how that is done.

use super::envelope::Envelope;
use std::fmt;
use std::sync::OnceLock;

type Keep = Box<dyn Fn(&Envelope) -> bool + Send + Sync>;

/// Stores the envelope of a fault. Without a function for that, nothing is kept.
#[derive(Default)]
pub(super) struct FaultKeeper(OnceLock<Keep>);

impl FaultKeeper {
    /// Sets the function that stores an envelope and returns whether it could. Only the first call counts.
    pub(super) fn set(&self, keep: impl Fn(&Envelope) -> bool + Send + Sync + 'static) {
        let _ = self.0.set(Box::new(keep));
    }

    /// Stores an envelope. Returns whether it is kept.
    pub(super) fn keep(&self, envelope: &Envelope) -> bool {
        self.0.get().is_some_and(|keep| keep(envelope))
    }
}

impl fmt::Debug for FaultKeeper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("FaultKeeper").field(&self.0.get().is_some()).finish()
    }
}
