//! Checks a published version against what was sent, and removes duplicates.

use crate::{
    aws::{
        layers::{LayerVersion, PublishAnswer},
        policy::Policy,
    },
    publish::{
        job::RolloutError, journal::JobState, plan::Wanted, proof::Candidates, publish_once::Publishing,
    },
};
use std::collections::BTreeSet;

impl Publishing<'_> {
    /// The version to take over, if one has appeared. Fails if a broken version has appeared.
    pub(super) fn usable(&self, candidates: &Candidates) -> Result<Option<LayerVersion>, RolloutError> {
        if let Err(error) = candidates.refuse_broken() {
            return Err(self.record_not_as_sent(error));
        }
        Ok(self.job.wanted.choose(&candidates.identical).cloned())
    }

    /// Records that a version is not what was sent, so that no later run publishes another one.
    fn record_not_as_sent(&self, error: RolloutError) -> RolloutError {
        let noted = match &error {
            RolloutError::NotAsSent { number, .. } => {
                self.job.record(self.context, JobState::NotAsSent, Some(*number))
            }
            _ => Ok(()),
        };
        noted.err().unwrap_or(error)
    }

    /// Checks our own version against what was sent, both in the answer and by reading it, and removes duplicates.
    /// Only after that may anybody be granted the version.
    pub(super) async fn verify(
        &self,
        answer: &PublishAnswer,
        known: &BTreeSet<i64>,
    ) -> Result<(i64, Policy, Option<String>), RolloutError> {
        let ours = answer.number;
        let differences = self.job.differences_of_answer(answer);
        if !differences.is_empty() {
            return Err(self.record_not_as_sent(RolloutError::NotAsSent {
                number: ours,
                differences,
                given_to: None,
            }));
        }
        self.job.record(self.context, JobState::Published, Some(ours))?;
        let (candidates, unchecked) = match self.job.candidates().await {
            Ok(candidates) => (candidates.without(known), None),
            // The next run will find duplicates.
            Err(error) => {
                let note = format!("it was not checked whether another run published it too ({error})");
                (Candidates::default(), Some(note))
            }
        };
        // The list may be outdated if it lacks our version or shows it differently. So the version itself is read.
        if !candidates.identical.iter().any(|version| version.number == ours) {
            let version =
                self.job.read_as_sent(ours).await.map_err(|error| self.record_not_as_sent(error))?;
            return Ok((ours, version.policy, unchecked));
        }
        let (kept, surplus) = Wanted::kept_and_removable(&candidates.identical);
        let note = self.delete_surplus(&surplus).await;
        Ok(kept
            .map_or((ours, Policy::default(), note.clone()), |kept| (kept.number, kept.policy.clone(), note)))
    }

    async fn delete_surplus(&self, surplus: &[&LayerVersion]) -> Option<String> {
        let mut left = Vec::new();
        for version in surplus {
            if let Err(error) = self.job.layers.delete(self.job.wanted.layer.as_str(), version.number).await {
                left.push(format!(
                    "version {} has the same bytes and could not be deleted ({error})",
                    version.number
                ));
            }
        }
        (!left.is_empty()).then(|| left.join("; "))
    }

    /// Looks for the effect of an unanswered request at the end of the run, and removes duplicates. Returns a message
    /// for the user, and whether it could look.
    pub(crate) async fn remove_late_duplicates(&self, known: &BTreeSet<i64>) -> (Option<String>, bool) {
        let candidates = match self.job.candidates().await {
            Ok(candidates) => candidates.without(known),
            Err(error) => {
                return (
                    Some(format!("it was not checked whether the version exists twice ({error})")),
                    false,
                );
            }
        };
        let (_, surplus) = Wanted::kept_and_removable(&candidates.identical);
        (self.delete_surplus(&surplus).await, true)
    }
}
