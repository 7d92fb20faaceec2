//! Knows the age of the oldest pending envelope without searching the queue.

use super::index::Index;
use std::time::{Duration, SystemTime};

/// The envelopes by the time when they were accepted, in milliseconds since 1970.
#[derive(Debug, Default)]
pub(super) struct Ages(Index);

impl Ages {
    /// Adds the envelope with this number.
    pub(super) fn add(&mut self, since: SystemTime, number: u64) {
        self.0.insert((milliseconds(since), number, 0));
    }

    pub(super) fn remove(&mut self, since: SystemTime, number: u64) {
        self.0.remove((milliseconds(since), number, 0));
    }

    pub(super) fn oldest(&self) -> Option<SystemTime> {
        let (milliseconds, ..) = self.0.first()?;
        SystemTime::UNIX_EPOCH.checked_add(Duration::from_millis(milliseconds))
    }
}

fn milliseconds(since: SystemTime) -> u64 {
    let milliseconds = since.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_millis();
    u64::try_from(milliseconds).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_is_known_as_others_come_and_go() {
        let at = |milliseconds| SystemTime::UNIX_EPOCH + Duration::from_millis(milliseconds);
        let mut ages = Ages::default();
        assert_eq!(ages.oldest(), None);
        for (number, since) in [(1, 1600), (2, 1600), (3, 3200)] {
            ages.add(at(since), number);
        }
        assert_eq!(ages.oldest(), Some(at(1600)));
        ages.remove(at(1600), 1);
        assert_eq!(ages.oldest(), Some(at(1600)), "another is as old");
        ages.remove(at(1600), 2);
        assert_eq!(ages.oldest(), Some(at(3200)));
        ages.remove(at(9999), 9);
        ages.remove(at(3200), 3);
        assert_eq!(ages.oldest(), None);
    }
}
