//! Completes one job: finds the version by its hash, publishes it if it is missing, grants it, and reads it back.
//!
//! Each state can be found by looking at AWS, so an interrupted run is completed by running it again.

use crate::{
    aws::{
        layers::LayerVersion,
        policy::{self, Repair},
        refusal::Refusal,
    },
    publish::{
        job::{Job, JobContext, RolloutError},
        journal::JobState,
        plan::{Action, Inspection},
        proof::READ_PAUSES,
        publish_once::Publishing,
    },
};
use std::collections::BTreeSet;

/// The result of a job that succeeded.
#[derive(Debug)]
pub(crate) struct Done {
    /// The version as it was read back.
    pub(crate) version: LayerVersion,
    /// An additional message for the user.
    pub(crate) note: Option<String>,
    /// An earlier request of this job was never answered and may still take effect, or an earlier run made another
    /// version that may have to be removed.
    pub(crate) outcome_unknown: bool,
}

/// Describes newer versions with the same bytes and no grants. They appeared too late to be removed, or could not be
/// removed.
fn leftover_note(identical: &[LayerVersion], found: &LayerVersion) -> Option<String> {
    let is_left = |version: &&LayerVersion| version.number > found.number && version.policy.is_empty();
    let numbers: Vec<String> =
        identical.iter().filter(is_left).map(|version| version.number.to_string()).collect();
    let text = format!("version {} has the same bytes and no grants, and is left over", numbers.join(" "));
    (!numbers.is_empty()).then_some(text)
}

impl Job {
    /// Looks at the region and decides what the layer needs. Writes nothing.
    pub(crate) async fn inspect(&self) -> Result<Inspection, RolloutError> {
        self.send_progress(JobState::Looking, None);
        let candidates = self.candidates().await.map_err(|error| self.layers.in_region(error))?;
        let identical = &candidates.identical;
        let newest = candidates.newest;
        let found = self.wanted.choose(identical).cloned();
        let action = self.wanted.action(found.as_ref());
        let mut note = found.as_ref().and_then(|found| leftover_note(identical, found));
        if action == Action::Publish {
            if !self.publish_again {
                candidates.refuse_other_bytes()?;
            }
            if self.named && newest > 0 {
                let layer = self.wanted.layer.to_string();
                return Err(RolloutError::NameTaken { layer, number: newest });
            }
            note = self.check_room().await?;
            if let Some(bucket) = &self.bucket {
                bucket.check().await?;
            }
        }
        let policy = found.as_ref().map(|version| version.policy.clone()).unwrap_or_default();
        let repair = policy.repair(&self.wanted.audience);
        let number = found.as_ref().map_or(newest + 1, |version| version.number);
        let needed = policy.length_after(&repair, &self.arn(number));
        if needed > policy::MAX_POLICY_BYTES && !repair.add.is_empty() {
            return Err(RolloutError::PolicyTooLong { needed });
        }
        Ok(Inspection { action, found, repair, next: newest + 1, note })
    }

    async fn check_room(&self) -> Result<Option<String>, RolloutError> {
        let needed = i64::try_from(self.needed).unwrap_or(i64::MAX);
        match self.layers.code_storage_left().await {
            Ok(left) if left < needed => Err(RolloutError::NoRoom { left, needed }),
            Ok(_) => Ok(None),
            // Few accounts give this permission, and storage is seldom full. So a failed check is only a note.
            Err(error) => Ok(Some(format!("the room for code was not checked ({error})"))),
        }
    }

    /// Does what the inspection found missing, and reads the version back.
    pub(crate) async fn carry_out(
        &self,
        inspection: Inspection,
        context: &JobContext,
    ) -> Result<Done, RolloutError> {
        let mut note = None;
        let mut outcome_unknown = false;
        let (region, layer, _, sha256) = self.journal_key();
        if inspection.action != Action::Adopt
            && !self.publish_again
            && let Some(number) = context.journal.not_as_sent(region, layer, sha256)
        {
            return Err(RolloutError::RecordedNotAsSent(number));
        }
        if let Some(version) = &inspection.found {
            // An earlier run may have sent more than the request that made this version, or made two of them.
            let journal = &context.journal;
            let unanswered = journal.unanswered(region, layer, sha256);
            if unanswered > 0 || journal.has_unfinished_besides(region, layer, sha256, version.number) {
                outcome_unknown = self.put_down(context, version.number, unanswered)? > 0;
            }
        }
        let (number, repair) = match inspection.found {
            Some(version) if inspection.action == Action::Adopt => {
                self.finish(context, version.number, outcome_unknown)?;
                return Ok(Done { version, note, outcome_unknown });
            }
            Some(version) => (version.number, inspection.repair),
            None => {
                let publishing = Publishing::new(self, context);
                let published = publishing.publish_once(&BTreeSet::new()).await?;
                (note, outcome_unknown) = (published.note, publishing.has_unanswered());
                (published.number, published.policy.repair(&self.wanted.audience))
            }
        };
        let version = self.grant(context, number, repair).await?;
        self.finish(context, number, outcome_unknown)?;
        Ok(Done { version, note, outcome_unknown })
    }

    /// Records the end of the job. While a request may still take effect, the end of the run does that, when it has
    /// looked again.
    fn finish(&self, context: &JobContext, number: i64, outcome_unknown: bool) -> Result<(), RolloutError> {
        if outcome_unknown {
            self.send_progress(JobState::Done, Some(number));
            return Ok(());
        }
        self.record(context, JobState::Done, Some(number))
    }

    /// Repairs the policy and reads the version back. If another process changed the policy meanwhile, repairs it
    /// once more.
    pub(crate) async fn grant(
        &self,
        context: &JobContext,
        number: i64,
        repair: Repair,
    ) -> Result<LayerVersion, RolloutError> {
        self.repair_policy(context, number, &repair).await?;
        match self.read_back(number).await {
            // Another process changed the policy at the same time. Repair it once more, from its present state.
            Err(RolloutError::ReadBack { .. }) => {
                let found = self.layers.read(self.wanted.layer.as_str(), number).await?;
                let found = found.ok_or(RolloutError::CannotReadBack(number))?;
                self.repair_policy(context, number, &self.wanted.repair(&found)).await?;
                self.read_back(number).await
            }
            answer => answer,
        }
    }

    async fn repair_policy(
        &self,
        context: &JobContext,
        number: i64,
        repair: &Repair,
    ) -> Result<(), RolloutError> {
        if repair.is_empty() {
            return Ok(());
        }
        self.record(context, JobState::Granting, Some(number))?;
        let layer = self.wanted.layer.as_str();
        let mut surplus = repair.remove.as_slice();
        for (id, grantee) in &repair.add {
            match self.layers.add_permission(layer, number, id, grantee).await {
                // New grantees are added before old ones are removed, unless the policy has no room for both.
                Err(error) if error.refusal() == Some(Refusal::PolicyLength) && !surplus.is_empty() => {
                    self.remove_permissions(number, surplus).await?;
                    surplus = &[];
                    self.layers.add_permission(layer, number, id, grantee).await?;
                }
                answer => answer?,
            }
        }
        self.remove_permissions(number, surplus).await?;
        self.record(context, JobState::Granted, Some(number))
    }

    async fn remove_permissions(&self, number: i64, ids: &[String]) -> Result<(), RolloutError> {
        for id in ids {
            self.layers.remove_permission(self.wanted.layer.as_str(), number, id).await?;
        }
        Ok(())
    }

    async fn read_back(&self, number: i64) -> Result<LayerVersion, RolloutError> {
        let mut last = RolloutError::CannotReadBack(number);
        for pause in READ_PAUSES {
            tokio::time::sleep(pause).await;
            let Some(version) = self.layers.read(self.wanted.layer.as_str(), number).await? else { continue };
            let differences = self.wanted.differences(&version);
            if differences.is_empty() {
                return Ok(version);
            }
            last = RolloutError::ReadBack { number, differences };
        }
        Err(last)
    }
}
