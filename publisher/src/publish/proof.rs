//! Finds the versions of a layer in a region, and checks whether they are what was sent.
//!
//! Nobody is granted a version before this check. A version that holds other bytes stays private and is reported, and
//! it is never a reason to publish another one.

use crate::{
    aws::{
        error::CallError,
        layer_arn::LayerArn,
        layers::{LayerVersion, PublishAnswer},
    },
    publish::{
        difference::Difference,
        job::{Job, RolloutError},
    },
};
use std::{collections::BTreeSet, time::Duration};

/// The pauses between reads of something that was just written, because AWS may show it late.
pub(crate) const READ_PAUSES: [Duration; 4] =
    [Duration::ZERO, Duration::from_millis(500), Duration::from_secs(1), Duration::from_secs(2)];

/// The versions of a layer whose description names our bytes.
#[derive(Debug, Default)]
pub(crate) struct Candidates {
    /// The versions that are as they were sent, whatever their policy is.
    pub(crate) identical: Vec<LayerVersion>,
    /// The versions that differ from what was sent, with their differences.
    pub(crate) broken: Vec<(LayerVersion, Vec<Difference>)>,
    /// The newest version number of the layer, whatever that version holds.
    pub(crate) newest: i64,
}

impl Candidates {
    /// Removes the versions that are in `known`, which existed before.
    pub(crate) fn without(mut self, known: &BTreeSet<i64>) -> Self {
        self.identical.retain(|version| !known.contains(&version.number));
        self.broken.retain(|(version, _)| !known.contains(&version.number));
        self
    }

    /// Fails with the newest broken version, unless there is an identical version that can be used.
    pub(crate) fn refuse_broken(&self) -> Result<(), RolloutError> {
        self.refuse(|_| true)
    }

    /// Fails like `refuse_broken`, but only if the bytes are wrong. A version with the right bytes and other labels
    /// (such as runtimes or licence) is what an earlier publisher wanted.
    pub(crate) fn refuse_other_bytes(&self) -> Result<(), RolloutError> {
        self.refuse(|differences| differences.iter().any(Difference::is_of_bytes))
    }

    fn refuse(&self, is_reason: impl Fn(&[Difference]) -> bool) -> Result<(), RolloutError> {
        let reasons = self.broken.iter().filter(|(_, differences)| is_reason(differences));
        match reasons.max_by_key(|(version, _)| version.number).filter(|_| self.identical.is_empty()) {
            None => Ok(()),
            Some((version, differences)) => Err(not_as_sent(version, differences.clone())),
        }
    }
}

fn not_as_sent(version: &LayerVersion, differences: Vec<Difference>) -> RolloutError {
    let public = (!version.policy.is_empty()).then(|| version.policy.to_string());
    RolloutError::NotAsSent { number: version.number, differences, given_to: public }
}

impl Job {
    /// Reads every version whose description names our bytes.
    pub(crate) async fn candidates(&self) -> Result<Candidates, CallError> {
        let layer = self.wanted.layer.as_str();
        let listed = self.layers.list(layer).await?;
        let newest = listed.iter().map(|listed| listed.number).max().unwrap_or(0);
        let mut found = Candidates { newest, ..Candidates::default() };
        for listed in listed.iter().filter(|listed| self.wanted.is_named_in(&listed.description)) {
            let Some(version) = self.read_listed(listed.number).await? else { continue };
            let differences = self.differences_from_sent(&version);
            if differences.is_empty() {
                found.identical.push(version);
            } else {
                found.broken.push((version, differences));
            }
        }
        Ok(found)
    }

    /// Reads a version that was listed. A new one may be listed before it can be read. One that stays missing was
    /// deleted meanwhile.
    async fn read_listed(&self, number: i64) -> Result<Option<LayerVersion>, CallError> {
        for pause in READ_PAUSES {
            tokio::time::sleep(pause).await;
            let found = self.layers.read(self.wanted.layer.as_str(), number).await?;
            if found.is_some() {
                return Ok(found);
            }
        }
        Ok(None)
    }

    /// The differences between a version and what was sent. The policy is not compared.
    pub(crate) fn differences_from_sent(&self, version: &LayerVersion) -> Vec<Difference> {
        let mut all = self.wanted.fixed_differences(version);
        all.extend(self.arn_difference(version.number, &version.arn));
        all
    }

    /// The differences between the answer to a publish request and what was sent.
    pub(crate) fn differences_of_answer(&self, answer: &PublishAnswer) -> Vec<Difference> {
        let mut all = self.wanted.byte_differences(answer.code_sha256.as_deref(), answer.size);
        all.extend(answer.arn.as_ref().and_then(|arn| self.arn_difference(answer.number, arn)));
        all
    }

    /// The ARN that a version with this number must have.
    pub(crate) fn arn(&self, number: i64) -> String {
        let layer = self.wanted.layer.clone();
        LayerArn::new(self.region.clone(), self.owner.clone(), layer, number).to_string()
    }

    fn arn_difference(&self, number: i64, found: &str) -> Option<Difference> {
        let expected = self.arn(number);
        (expected != found).then(|| Difference { what: "ARN", expected, found: found.to_owned() })
    }

    /// Reads a version until it is as it was sent. Fails when it still differs, or is still missing, after the last
    /// pause.
    pub(crate) async fn read_as_sent(&self, number: i64) -> Result<LayerVersion, RolloutError> {
        let mut last = RolloutError::CannotReadBack(number);
        for pause in READ_PAUSES {
            tokio::time::sleep(pause).await;
            let Some(version) = self.layers.read(self.wanted.layer.as_str(), number).await? else { continue };
            let differences = self.differences_from_sent(&version);
            if differences.is_empty() {
                return Ok(version);
            }
            last = not_as_sent(&version, differences);
        }
        Err(last)
    }
}
