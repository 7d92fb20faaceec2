//! The part of the state that tells an observer what becomes of each envelope.

use super::State;
use crate::protocol::Item;
use crate::relay::envelope::Envelope;
use crate::relay::ledger::DropReason;
use crate::relay::observer::{Observed, Observer, Step};

impl State {
    pub(in crate::relay) fn set_observer(&mut self, observer: Observer) {
        self.observer = observer;
    }

    pub(in crate::relay) fn observer(&self) -> &Observer {
        &self.observer
    }

    pub(super) fn tell(&self, envelope: &Envelope, step: Step<'_>) {
        self.observer.tell(Observed::Envelope(envelope, step));
    }

    /// Tells the result of a try. After the end nothing is told, because what was in flight then counts as dropped.
    pub(in crate::relay) fn tell_result(&self, envelope: &Envelope, step: Step<'_>) {
        if !self.closed {
            self.tell(envelope, step);
        }
    }

    /// Tells that some items of an envelope are lost.
    pub(super) fn tell_lost_items(
        &self,
        envelope: &Envelope,
        items: impl Iterator<Item = Item>,
        reason: DropReason,
    ) {
        if self.observer.is_there() {
            let lost = Envelope { items: items.collect(), ..envelope.clone() };
            self.tell(&lost, Step::Dropped(reason));
        }
    }
}
