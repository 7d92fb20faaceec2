//! What there is of a layer in a region, and whether it is what was sent.
//!
//! Nobody may use a version before this is known: a version that holds other bytes is left private, named, and never
//! the reason to publish one more.

use crate::{
    aws::{
        error::CallError,
        layer_arn::LayerArn,
        layers::{LayerVersion, PublishAnswer},
    },
    publish::{
        job::{Job, RolloutError},
        plan::Difference,
    },
};
use std::{collections::BTreeSet, time::Duration};

/// How long what was just written may take to be seen.
pub(crate) const SETTLE: [Duration; 4] =
    [Duration::ZERO, Duration::from_millis(500), Duration::from_secs(1), Duration::from_secs(2)];

/// The versions of a layer that claim to hold our bytes.
#[derive(Debug, Default)]
pub(crate) struct Candidates {
    /// Those that are as they were sent, with whatever policy.
    pub(crate) identical: Vec<LayerVersion>,
    /// Those that are not.
    pub(crate) broken: Vec<(LayerVersion, Vec<Difference>)>,
    /// The newest number of any version.
    pub(crate) newest: i64,
}

impl Candidates {
    /// Without the versions that were there before.
    pub(crate) fn without(mut self, known: &BTreeSet<i64>) -> Self {
        self.identical.retain(|version| !known.contains(&version.number));
        self.broken.retain(|(version, _)| !known.contains(&version.number));
        self
    }

    /// The newest broken version as the error that it is, unless there is one that can be used.
    pub(crate) fn refuse_broken(&self) -> Result<(), RolloutError> {
        self.refuse(|_| true)
    }

    /// The same, if it is the bytes that are wrong. Right bytes with other labels are what an earlier publisher wanted.
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
        for listed in listed.iter().filter(|listed| self.wanted.may_be(&listed.description)) {
            let Some(version) = self.layers.read(layer, listed.number).await? else { continue };
            let differences = self.differences_from_sent(&version);
            if differences.is_empty() {
                found.identical.push(version);
            } else {
                found.broken.push((version, differences));
            }
        }
        Ok(found)
    }

    /// In what a version differs from what was sent, its policy apart.
    pub(crate) fn differences_from_sent(&self, version: &LayerVersion) -> Vec<Difference> {
        let mut all = self.wanted.fixed_differences(version);
        all.extend(self.arn_difference(version.number, &version.arn));
        all
    }

    /// In what the answer to a publish request differs from what was sent.
    pub(crate) fn differences_of_answer(&self, answer: &PublishAnswer) -> Vec<Difference> {
        let mut all = self.wanted.byte_differences(answer.code_sha256.as_deref(), answer.size);
        all.extend(answer.arn.as_ref().and_then(|arn| self.arn_difference(answer.number, arn)));
        all
    }

    /// The ARN that a version has to have.
    pub(crate) fn arn(&self, number: i64) -> String {
        let layer = self.wanted.layer.clone();
        LayerArn::new(self.region.clone(), self.owner.clone(), layer, number).to_string()
    }

    fn arn_difference(&self, number: i64, found: &str) -> Option<Difference> {
        let expected = self.arn(number);
        (expected != found).then(|| Difference { what: "ARN", expected, found: found.to_owned() })
    }

    /// Reads a version until it is as it was sent, or for long enough that it never will be.
    pub(crate) async fn read_as_sent(&self, number: i64) -> Result<LayerVersion, RolloutError> {
        let mut last = RolloutError::Vanished(number);
        for pause in SETTLE {
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
