//! What the journal says of one layer in one region: how far the earlier runs got, and which of their requests may
//! still take effect.

use super::{JobState, JournalEntry};
use crate::{aws::partition::RegionName, model::layer_name::LayerName};
use std::collections::{BTreeSet, HashMap};

/// The states after which a request may have taken effect, or has not been seen to.
const OPEN: [JobState; 4] =
    [JobState::Publishing, JobState::Checking, JobState::Published, JobState::NotAsSent];

/// The earlier runs of one job.
#[derive(Clone, Debug, Default)]
pub(super) struct EarlierRuns {
    /// The last state that says what became of a request, and the number of its version.
    pub(super) last: Option<(JobState, Option<i64>)>,
    /// The requests that were sent and got no usable answer, and to which no version was put down. Each may still take
    /// effect.
    pub(super) unanswered: u32,
    /// The versions that were published or adopted.
    pub(super) published: BTreeSet<i64>,
    /// Those of them that were published or adopted since a run was last complete. If there are several, all but one
    /// are duplicates, and nobody has removed them yet.
    pub(super) unfinished: BTreeSet<i64>,
    /// Whether the last request has neither an answer nor another line yet.
    is_sent: bool,
}

impl EarlierRuns {
    fn add(&mut self, state: JobState, version: Option<i64>) {
        let was_sent = self.is_sent;
        self.is_sent = state == JobState::Publishing;
        if let (JobState::Published, Some(version)) = (state, version) {
            self.unfinished.insert(version);
        }
        match (state, version) {
            (JobState::Publishing, _) => self.unanswered = self.unanswered.saturating_add(1),
            (JobState::Refused | JobState::NotAsSent, _) if was_sent => {
                self.unanswered = self.unanswered.saturating_sub(1);
            }
            // A version that one run published may be adopted by the next. It is the effect of one request all the
            // same.
            (JobState::Published, Some(version)) if self.published.insert(version) => {
                self.unanswered = self.unanswered.saturating_sub(1);
            }
            // The run has looked again, long after its last request.
            (JobState::Done, _) => {
                self.unanswered = 0;
                self.unfinished.clear();
            }
            _ => {}
        }
        // After an unanswered request, a failure or another look does not settle whether the request took effect.
        // Neither of them corrects a version that is not what was sent. So the earlier state stays.
        let is_open = self.last.is_some_and(|(last, _)| OPEN.contains(&last));
        if !(is_open && matches!(state, JobState::Failed | JobState::Looking | JobState::Waiting)) {
            self.last = Some((state, version));
        }
    }
}

/// Reads the lines of one account. A line that cannot be parsed was cut off, and is skipped. That is safe, because each
/// line is written before the action that it announces.
pub(super) fn read(text: &[u8], account: &str) -> HashMap<(RegionName, LayerName, String), EarlierRuns> {
    let mut jobs: HashMap<_, EarlierRuns> = HashMap::new();
    let entries = text.split(|byte| *byte == b'\n').filter_map(|line| serde_json::from_slice(line).ok());
    for entry in entries.filter(|entry: &JournalEntry| entry.account == account) {
        let key = (entry.region, entry.layer, entry.sha256.to_string());
        jobs.entry(key).or_default().add(entry.state, entry.version);
    }
    jobs
}

#[cfg(test)]
mod tests {
    use super::*;
    use JobState::{Checking, Done, Failed, Granting, NotAsSent, Published, Publishing, Refused, Waiting};

    /// The number of requests that may still take effect after these lines.
    fn unanswered(lines: &[(JobState, i64)]) -> u32 {
        let mut runs = EarlierRuns::default();
        for (state, version) in lines {
            runs.add(*state, (*version > 0).then_some(*version));
        }
        runs.unanswered
    }

    #[test]
    fn a_request_is_settled_by_its_answer_or_by_its_version_and_by_no_other() {
        assert_eq!(unanswered(&[(Publishing, 0), (Refused, 0)]), 0);
        assert_eq!(unanswered(&[(Publishing, 0), (NotAsSent, 3)]), 0);
        assert_eq!(unanswered(&[(Publishing, 0), (Published, 1), (Granting, 1)]), 0);
        let lost = [(Publishing, 0), (Checking, 0), (Waiting, 0)];
        assert_eq!(unanswered(&[&lost[..], &[(Refused, 0), (Failed, 0)]].concat()), 1);
        let two = [&lost[..], &[(Publishing, 0), (Published, 1), (Granting, 1)]].concat();
        assert_eq!(unanswered(&two), 1, "one request made the version");
        assert_eq!(unanswered(&[&two[..], &[(Published, 1)]].concat()), 1, "the next run has adopted it");
        assert_eq!(unanswered(&[&two[..], &[(Published, 2)]].concat()), 0);
        assert_eq!(unanswered(&[&two[..], &[(Done, 1)]].concat()), 0);
    }
}
