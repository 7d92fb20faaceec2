//! Yanking in one region: reads who may use a layer version, changes that, and reads it back.

use crate::{
    artifacts::layers_manifest::Placement,
    aws::{
        audience::Audience,
        layers::{LayerVersion, RegionLayers},
        partition::RegionName,
        policy::Repair,
    },
    failure::chain,
    model::{digest::Digest, layer_name::LayerName, variant::Variant},
    publish::proof::READ_PAUSES,
};
use serde::Serialize;

/// Whether the versions are withdrawn, or the users get them back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Direction {
    Yank,
    Undo,
}

/// A layer version in the manifest.
#[derive(Clone)]
pub(super) struct PlacedVersion {
    pub(super) variant: Variant,
    pub(super) region: RegionName,
    pub(super) layer: LayerName,
    pub(super) digest: Digest,
    pub(super) place: Placement,
    pub(super) layers: RegionLayers,
}

/// What was found, or what was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum State {
    /// The grants have to be removed, or added again.
    ToDo,
    Done,
    /// It is as it should be, and nothing was written.
    Unchanged,
    /// The version does not exist any more, so nobody can use it.
    Deleted,
    Failed,
}

/// The result for one layer version.
#[derive(Clone, Serialize)]
pub(super) struct YankResult {
    pub(super) region: RegionName,
    #[serde(flatten)]
    pub(super) variant: Variant,
    pub(super) arn: String,
    pub(super) state: State,
    /// Who could use the version when it was looked at; null if that could not be read.
    pub(super) before: Option<String>,
    /// Who is to use it.
    pub(super) after: String,
    pub(super) error: Option<String>,
}

impl PlacedVersion {
    fn wanted(&self, direction: Direction) -> Audience {
        match direction {
            Direction::Yank => Audience::of([]),
            Direction::Undo => self.place.grant_unless_yanked().clone(),
        }
    }

    /// Reads who may use the version. Writes nothing.
    pub(super) async fn inspect(&self, direction: Direction) -> YankResult {
        self.step(direction, false).await
    }

    /// Removes the grants, or adds them again, and reads the policy back.
    pub(super) async fn carry_out(&self, direction: Direction) -> YankResult {
        self.step(direction, true).await
    }

    async fn step(&self, direction: Direction, execute: bool) -> YankResult {
        let mut result = YankResult {
            region: self.region.clone(),
            variant: self.variant,
            arn: self.place.arn.clone(),
            state: State::Failed,
            before: None,
            after: self.wanted(direction).to_string(),
            error: None,
        };
        match self.reach(direction, execute, &mut result).await {
            Ok(state) => result.state = state,
            Err(error) => result.error = Some(error),
        }
        result
    }

    async fn reach(
        &self,
        direction: Direction,
        execute: bool,
        result: &mut YankResult,
    ) -> Result<State, String> {
        let wanted = self.wanted(direction);
        let Some(found) = self.read().await? else {
            return match direction {
                Direction::Yank => Ok(State::Deleted),
                Direction::Undo => Err("the version was deleted, so nobody can get it back".to_owned()),
            };
        };
        result.before = Some(found.policy.to_string());
        if direction == Direction::Undo && found.code_sha256 != self.digest.base64() {
            let theirs = found.code_sha256;
            return Err(format!("it has other bytes than layers.json says, so it stays withdrawn: {theirs}"));
        }
        if found.policy.matches(&wanted) {
            return Ok(State::Unchanged);
        }
        if !execute {
            return Ok(State::ToDo);
        }
        self.repair(&found.policy.repair(&wanted)).await?;
        let mut last = None;
        for pause in READ_PAUSES {
            tokio::time::sleep(pause).await;
            let Some(now) = self.read().await? else { return Ok(State::Deleted) };
            if now.policy.matches(&wanted) {
                return Ok(State::Done);
            }
            last = Some(now.policy.to_string());
        }
        Err(format!("it was changed, but those who may use it are still: {}", last.unwrap_or_default()))
    }

    async fn read(&self) -> Result<Option<LayerVersion>, String> {
        let read = self.layers.read(self.layer.as_str(), self.place.version).await;
        read.map_err(|error| chain(&self.layers.in_region(error)))
    }

    async fn repair(&self, repair: &Repair) -> Result<(), String> {
        let (layer, number) = (self.layer.as_str(), self.place.version);
        let failed = |error| chain(&self.layers.in_region(error));
        for (id, grantee) in &repair.add {
            self.layers.add_permission(layer, number, id, grantee).await.map_err(failed)?;
        }
        for id in &repair.remove {
            self.layers.remove_permission(layer, number, id).await.map_err(failed)?;
        }
        Ok(())
    }
}
