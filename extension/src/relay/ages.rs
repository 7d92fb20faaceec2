//! Knows the age of the oldest pending envelope without searching the queue.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

/// The precision of the ages. Envelopes of one burst share an entry, so there are few entries.
const STEP: u64 = 16;

/// The number of envelopes by the time when they were accepted, in steps of milliseconds since 1970.
#[derive(Debug, Default)]
pub(super) struct Ages(BTreeMap<u64, u64>);

impl Ages {
    pub(super) fn add(&mut self, since: SystemTime) {
        *self.0.entry(step(since)).or_default() += 1;
    }

    pub(super) fn remove(&mut self, since: SystemTime) {
        let step = step(since);
        let Some(count) = self.0.get_mut(&step) else { return };
        *count -= 1;
        if *count == 0 {
            self.0.remove(&step);
        }
    }

    pub(super) fn oldest(&self) -> Option<SystemTime> {
        let (step, _) = self.0.first_key_value()?;
        SystemTime::UNIX_EPOCH.checked_add(Duration::from_millis(step.saturating_mul(STEP)))
    }
}

fn step(since: SystemTime) -> u64 {
    let milliseconds = since.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_millis();
    u64::try_from(milliseconds).unwrap_or(u64::MAX) / STEP
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_is_known_as_others_come_and_go() {
        let at = |milliseconds| SystemTime::UNIX_EPOCH + Duration::from_millis(milliseconds);
        let mut ages = Ages::default();
        assert_eq!(ages.oldest(), None);
        for since in [at(1600), at(1601), at(3200)] {
            ages.add(since);
        }
        assert_eq!(ages.oldest(), Some(at(1600)));
        ages.remove(at(1600));
        assert_eq!(ages.oldest(), Some(at(1600)), "the other is in the same step");
        ages.remove(at(1601));
        assert_eq!(ages.oldest(), Some(at(3200)));
        ages.remove(at(9999));
        ages.remove(at(3200));
        assert_eq!(ages.oldest(), None);
    }
}
