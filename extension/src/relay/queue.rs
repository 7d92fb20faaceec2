//! The queue of envelopes that wait for upstream, bounded in bytes. When it is full, a newcomer evicts envelopes of a
//! lower priority: the lowest priority first, and the oldest first within one priority. A newcomer that would not fit
//! even then is refused, and evicts nothing.
//!
//! No operation searches the queue, because a queue that an outage has filled may hold 100,000 envelopes: each costs
//! O(log n), times the number of priorities and lanes, which are few.

use super::ages::Ages;
use super::index::Index;
use super::lanes::LaneId;
use super::order::Chains;
use super::pending::Pending;
use crate::protocol::Priority;
use std::collections::BTreeMap;

/// What faults may take beyond the bound, so that one finds room even while large envelopes are in flight, which cannot
/// be evicted. They are few and small.
pub(super) const FAULT_RESERVE: usize = 256 * 1024;
/// What an envelope may take beyond the bound if it grows just before it leaves.
pub(super) const GROWTH_RESERVE: usize = 1 << 20;

/// Envelopes by priority. The bytes of envelopes in flight count too, because those may be put back.
#[derive(Debug)]
pub(super) struct Queue {
    waiting: [Class; Priority::COUNT],
    /// The number of waiting envelopes in each lane.
    in_lane: [usize; LaneId::COUNT],
    /// The envelopes that belong together, with those in flight.
    chains: Chains,
    /// The ages of all envelopes but those in the background, with those in flight.
    ages: Ages,
    /// The number of envelopes for which nobody waits, with those in flight.
    background: u64,
    /// The bytes of waiting envelopes and of those in flight.
    held_bytes: usize,
    max_bytes: usize,
    next_number: u64,
}

/// The waiting envelopes of one priority.
#[derive(Debug, Default)]
struct Class {
    /// By number, so the first is the oldest.
    envelopes: BTreeMap<u64, Pending>,
    /// Lane, place and number of those that wait for no other envelope.
    ready: Index,
    bytes: usize,
}

impl Class {
    /// Returns place and number of the first envelope of a lane that is ready.
    fn first_ready(&self, lane: LaneId) -> Option<(u64, u64)> {
        self.ready.first_of(lane.index() as u64)
    }
}

/// The entry of an envelope among those that wait for no other.
fn ready(pending: &Pending) -> (u64, u64, u64) {
    (pending.lane.index() as u64, pending.place, pending.number)
}

impl Queue {
    pub(super) fn new(max_bytes: usize) -> Self {
        Self {
            waiting: Default::default(),
            in_lane: [0; LaneId::COUNT],
            chains: Chains::default(),
            ages: Ages::default(),
            background: 0,
            held_bytes: 0,
            max_bytes,
            next_number: 0,
        }
    }

    /// Queues an envelope, and returns the envelopes that were evicted for it. If it does not fit, it returns the
    /// envelope itself.
    #[must_use]
    pub(super) fn push(&mut self, mut pending: Pending) -> Vec<Pending> {
        match self.reserve(pending.envelope.size(), pending.envelope.priority()) {
            Some(evicted) => {
                pending.number = self.number();
                self.chains.enter(&pending.keys, pending.number);
                if pending.envelope.is_background {
                    self.background += 1;
                } else {
                    self.ages.add(pending.since, pending.number);
                }
                pending.place = pending.number;
                self.insert(pending);
                evicted
            }
            None => vec![pending],
        }
    }

    /// Takes out the envelope with the highest priority, and the oldest within it, of those that wait for no other, in
    /// the lanes for which `is_allowed` returns true. It is told whether a fault would leave. The bytes of the envelope
    /// stay counted until `release`.
    pub(super) fn pop_where(&mut self, is_allowed: impl Fn((LaneId, bool)) -> bool) -> Option<Pending> {
        let classes = self.waiting.iter().enumerate().rev();
        let mut waiting = classes.filter(|(_, class)| !class.envelopes.is_empty());
        let (class, number) = waiting.find_map(|(index, class)| {
            let is_fault = index == Priority::Fault as usize;
            let allowed = self.lanes().filter(|lane| is_allowed((*lane, is_fault)));
            let first = allowed.filter_map(|lane| class.first_ready(lane)).min();
            first.map(|(_, number)| (index, number))
        })?;
        self.remove(class, number)
    }

    /// Puts back an envelope that was taken out. It goes behind the others of its priority, so that an envelope that
    /// upstream cannot process does not delay the rest. Those that belong to it still wait for it.
    pub(super) fn put_back(&mut self, mut pending: Pending) {
        pending.place = self.number();
        self.insert(pending);
    }

    /// Counts the bytes of an envelope of this priority. The envelope is new, or it was taken out, released, and has
    /// grown. Returns the envelopes that were evicted for it. `None` means that it does not fit, and nothing has
    /// changed.
    #[must_use]
    pub(super) fn reserve(&mut self, size: usize, priority: Priority) -> Option<Vec<Pending>> {
        let reserve = if priority == Priority::Fault { FAULT_RESERVE } else { 0 };
        let excess = (self.held_bytes + size).saturating_sub(self.max_bytes + reserve);
        // Adds up first what could be evicted. Otherwise envelopes could be evicted for one that is then refused.
        let lower = self.waiting.get(..priority as usize).unwrap_or_default();
        if lower.iter().map(|class| class.bytes).sum::<usize>() < excess {
            return None;
        }
        let (mut freed, mut evicted) = (0, Vec::new());
        while freed < excess {
            let Some(victim) = self.take_lowest(priority as usize) else { break };
            freed += victim.envelope.size();
            self.forget(&victim);
            evicted.push(victim);
        }
        self.held_bytes = (self.held_bytes + size).saturating_sub(freed);
        Some(evicted)
    }

    /// Ends an envelope that was taken out and will not be put back.
    pub(super) fn release(&mut self, pending: &Pending) {
        self.release_bytes(pending.envelope.size());
        self.forget(pending);
    }

    /// Frees the bytes of an envelope that was taken out, but keeps its place before those that wait for it.
    pub(super) fn release_bytes(&mut self, size: usize) {
        self.held_bytes = self.held_bytes.saturating_sub(size);
    }

    /// Lets go on what waited for this envelope. The caller has freed its bytes.
    pub(super) fn forget(&mut self, pending: &Pending) {
        if pending.envelope.is_background {
            self.background = self.background.saturating_sub(1);
        } else {
            self.ages.remove(pending.since, pending.number);
        }
        for number in self.chains.leave(&pending.keys, pending.number) {
            for class in &mut self.waiting {
                let Some(next) = class.envelopes.get(&number) else { continue };
                if self.chains.is_first(&next.keys, number) {
                    class.ready.insert(ready(next));
                }
            }
        }
    }

    /// Takes out all waiting envelopes, and those first that would be sent first.
    pub(super) fn take_all(&mut self) -> impl Iterator<Item = Pending> + use<> {
        self.in_lane = [0; LaneId::COUNT];
        let classes = std::mem::take(&mut self.waiting);
        classes.into_iter().rev().flat_map(|class| class.envelopes.into_values())
    }

    /// Returns the number of waiting envelopes in a lane.
    pub(super) fn in_lane(&self, lane: LaneId) -> usize {
        self.in_lane.get(lane.index()).copied().unwrap_or_default()
    }

    /// Returns the lanes in which envelopes wait.
    pub(super) fn lanes(&self) -> impl Iterator<Item = LaneId> {
        LaneId::all().filter(|lane| self.in_lane(*lane) > 0)
    }

    /// Returns the numbers of waiting envelopes in all lanes, by the index of the lane.
    pub(super) fn waiting_in_lanes(&self) -> [usize; LaneId::COUNT] {
        self.in_lane
    }

    /// Whether an envelope of this lane waits for no other.
    pub(super) fn has_ready(&self, lane: LaneId) -> bool {
        self.waiting.iter().any(|class| class.first_ready(lane).is_some())
    }

    /// Moves all waiting envelopes of a lane to those that `to` returns.
    pub(super) fn change_lane(&mut self, from: LaneId, mut to: impl FnMut(&Pending) -> LaneId) {
        for class in &mut self.waiting {
            for pending in class.envelopes.values_mut().filter(|one| one.lane == from) {
                let was_ready = class.ready.remove(ready(pending));
                pending.lane = to(pending);
                if was_ready {
                    class.ready.insert(ready(pending));
                }
                if let Some(waiting) = self.in_lane.get_mut(from.index()) {
                    *waiting = waiting.saturating_sub(1);
                }
                if let Some(waiting) = self.in_lane.get_mut(pending.lane.index()) {
                    *waiting += 1;
                }
            }
        }
    }

    /// Returns the number of envelopes for which `/next` is never held, of those that wait and those in flight.
    pub(super) fn background(&self) -> u64 {
        self.background
    }

    /// Returns when the oldest envelope was accepted, of those that wait and those in flight. Those in the background
    /// do not count.
    pub(super) fn oldest(&self) -> Option<std::time::SystemTime> {
        self.ages.oldest()
    }

    /// Counts the bytes anew of an envelope that was taken out and has changed its size just before it leaves. Returns
    /// whether it fits. If it does not, nothing has changed.
    #[must_use]
    pub(super) fn resize(&mut self, before: usize, after: usize) -> bool {
        let held = self.held_bytes.saturating_sub(before) + after;
        let fits = after <= before || held <= self.max_bytes + GROWTH_RESERVE;
        if fits {
            self.held_bytes = held;
        }
        fits
    }

    /// Whether an envelope of this priority waits.
    pub(super) fn has(&self, priority: Priority) -> bool {
        self.waiting.get(priority as usize).is_some_and(|class| !class.envelopes.is_empty())
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiting.iter().all(|class| class.envelopes.is_empty())
    }

    pub(super) fn len(&self) -> usize {
        self.waiting.iter().map(|class| class.envelopes.len()).sum()
    }

    fn number(&mut self) -> u64 {
        self.next_number += 1;
        self.next_number
    }

    fn insert(&mut self, pending: Pending) {
        let Some(class) = self.waiting.get_mut(pending.envelope.priority() as usize) else { return };
        class.bytes += pending.envelope.size();
        if let Some(waiting) = self.in_lane.get_mut(pending.lane.index()) {
            *waiting += 1;
        }
        if self.chains.is_first(&pending.keys, pending.number) {
            class.ready.insert(ready(&pending));
        }
        class.envelopes.insert(pending.number, pending);
    }

    fn remove(&mut self, class: usize, number: u64) -> Option<Pending> {
        let class = self.waiting.get_mut(class)?;
        let pending = class.envelopes.remove(&number)?;
        class.ready.remove(ready(&pending));
        class.bytes = class.bytes.saturating_sub(pending.envelope.size());
        if let Some(waiting) = self.in_lane.get_mut(pending.lane.index()) {
            *waiting = waiting.saturating_sub(1);
        }
        Some(pending)
    }

    /// Takes out the envelope that is evicted first, of the classes below `limit`.
    fn take_lowest(&mut self, limit: usize) -> Option<Pending> {
        let mut lower = self.waiting.iter().enumerate().take(limit);
        let first = |(index, class): (usize, &Class)| Some((index, *class.envelopes.first_key_value()?.0));
        let (class, number) = lower.find_map(first)?;
        self.remove(class, number)
    }

    /// Returns the waiting envelopes, without those in flight.
    #[cfg(test)]
    pub(super) fn iter(&self) -> impl Iterator<Item = &Pending> {
        self.waiting.iter().flat_map(|class| class.envelopes.values())
    }
}

#[cfg(test)]
mod tests;
