//! Keeps the faults that are not delivered before the end, so that the relay need not know how that is done.

use super::envelope::Envelope;
use std::fmt;

/// Stores the envelopes of faults for the environment's next process. It is called while the state of the relay is
/// locked, so it must not wait.
pub trait FaultKeeper: Send + Sync {
    /// Stores a fault that is not delivered before the end. Returns whether it could.
    fn keep(&self, fault: &Envelope) -> bool;

    /// Records that a fault is delivered, rejected or dropped, so that no other process has to send it.
    fn ended(&self, fault: &Envelope);
}

/// The keeper, if there is one. Without it, nothing is kept.
#[derive(Default)]
pub(super) struct OptionalKeeper(Option<Box<dyn FaultKeeper>>);

impl OptionalKeeper {
    pub(super) fn new(keeper: impl FaultKeeper + 'static) -> Self {
        Self(Some(Box::new(keeper)))
    }

    pub(super) fn keep(&self, fault: &Envelope) -> bool {
        self.0.as_ref().is_some_and(|keeper| keeper.keep(fault))
    }

    pub(super) fn ended(&self, fault: &Envelope) {
        if let Some(keeper) = &self.0 {
            keeper.ended(fault);
        }
    }
}

impl fmt::Debug for OptionalKeeper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("OptionalKeeper").field(&self.0.is_some()).finish()
    }
}

/// How often a keeper was called.
#[cfg(test)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Asked {
    pub(super) to_keep: usize,
    pub(super) ended: usize,
}

/// Makes a keeper that stores all faults or none, and tells how often it was called.
#[cfg(test)]
pub(super) fn keeper(stores: bool) -> (OptionalKeeper, std::sync::Arc<std::sync::Mutex<Asked>>) {
    struct Counting(bool, std::sync::Arc<std::sync::Mutex<Asked>>);

    impl FaultKeeper for Counting {
        fn keep(&self, _fault: &Envelope) -> bool {
            self.1.lock().unwrap().to_keep += 1;
            self.0
        }

        fn ended(&self, _fault: &Envelope) {
            self.1.lock().unwrap().ended += 1;
        }
    }

    let asked = std::sync::Arc::default();
    (OptionalKeeper::new(Counting(stores, std::sync::Arc::clone(&asked))), asked)
}
