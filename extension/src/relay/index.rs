//! An ordered index of pending envelopes. All indexes have this one type, so that the binary contains the code of the
//! set once.

use std::collections::BTreeSet;
use std::ops::RangeFrom;

/// A group, and two numbers by which its entries are in order.
type Entry = (u64, u64, u64);

/// Entries of groups. What finds, adds or removes one takes O(log n).
#[derive(Debug, Default)]
pub(super) struct Index(BTreeSet<Entry>);

impl Index {
    pub(super) fn insert(&mut self, entry: Entry) {
        self.0.insert(entry);
    }

    /// Returns whether the entry was there.
    pub(super) fn remove(&mut self, entry: Entry) -> bool {
        self.0.remove(&entry)
    }

    /// Returns the first entry of all groups.
    pub(super) fn first(&self) -> Option<Entry> {
        self.0.first().copied()
    }

    /// Returns the numbers of the first entry of a group.
    pub(super) fn first_of(&self, group: u64) -> Option<(u64, u64)> {
        let from: RangeFrom<Entry> = (group, 0, 0)..;
        let (of, one, other) = *self.0.range(from).next()?;
        (of == group).then_some((one, other))
    }

    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_are_apart() {
        let mut index = Index::default();
        assert_eq!((index.first(), index.first_of(0)), (None, None));
        for entry in [(2, 7, 0), (1, 9, 1), (1, 3, 5), (u64::MAX, 0, 0)] {
            index.insert(entry);
        }
        assert_eq!(index.first(), Some((1, 3, 5)));
        let firsts = [0, 1, 2, 3, u64::MAX].map(|group| index.first_of(group));
        assert_eq!(firsts, [None, Some((3, 5)), Some((7, 0)), None, Some((0, 0))]);
        assert!(index.remove((1, 3, 5)) && !index.remove((1, 3, 5)));
        assert_eq!(index.first_of(1), Some((9, 1)));
    }
}
