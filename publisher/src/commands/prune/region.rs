//! One region: what is there, what of it can go, and its end.

use crate::{
    artifacts::layers_manifest::LayersManifest,
    aws::{error::CallError, layers::RegionLayers, partition::RegionName, regions::Target},
    commands::prune::subject::{self, Subject},
    failure::chain,
    model::variant::Variant,
    prune::retention,
    publish::job::RolloutError,
};
use serde::Serialize;
use std::{collections::BTreeSet, sync::Arc};

/// One layer in one region.
#[derive(Serialize)]
pub(super) struct PruneResult {
    pub(super) region: RegionName,
    #[serde(flatten)]
    pub(super) variant: Variant,
    pub(super) layer: String,
    pub(super) versions: usize,
    pub(super) kept_by_manifest: Vec<i64>,
    pub(super) superfluous: Vec<i64>,
    pub(super) deleted: Vec<i64>,
    pub(super) error: Option<String>,
}

/// What is asked for, for all regions.
pub(super) struct PruneRequest {
    pub(super) manifests: Vec<LayersManifest>,
    pub(super) subjects: Vec<Subject>,
    pub(super) keep: usize,
    pub(super) execute: bool,
}

/// A region's share of it.
pub(super) struct RegionPruner {
    order: Arc<PruneRequest>,
    target: Target,
    layers: RegionLayers,
}

impl RegionPruner {
    pub(super) fn new(order: &Arc<PruneRequest>, target: &Target, layers: RegionLayers) -> Self {
        Self { order: Arc::clone(order), target: target.clone(), layers }
    }

    /// Looks, and does it where that was asked for.
    pub(super) async fn prune(&self) -> Vec<(PruneResult, bool)> {
        let mut outcomes = Vec::new();
        let mut all = None;
        for subject in &self.order.subjects {
            match subject {
                Subject::Numbered(variant, name) => {
                    let named = subject::named(&self.order.manifests, &self.target.region, name.as_str());
                    let gone = |versions: &[i64]| retention::superfluous(versions, &named, self.order.keep);
                    outcomes.push(self.layer(*variant, name.as_str(), &named, gone).await);
                }
                Subject::Named(variant, shape) => {
                    let found = match &self.target.disabled {
                        Some(status) => Err(format!("the region is {status} in this account")),
                        None => self.names(&mut all).await.map_err(|error| explain(error.clone())),
                    };
                    let found = match found {
                        Ok(names) => {
                            names.iter().filter_map(|name| Some((shape.release(name)?, name.clone())))
                        }
                        Err(error) => {
                            outcomes.push(self.failed(*variant, shape.to_string(), error));
                            continue;
                        }
                    };
                    outcomes.extend(self.releases(*variant, found.collect()).await);
                }
            }
        }
        outcomes.into_iter().map(|outcome| (outcome, self.target.required)).collect()
    }

    /// The names of all layers that there are, asked for once.
    async fn names<'a>(
        &self,
        all: &'a mut Option<Result<Vec<String>, CallError>>,
    ) -> Result<&'a Vec<String>, &'a CallError> {
        if all.is_none() {
            *all = Some(self.layers.names().await);
        }
        all.get_or_insert_with(|| Ok(Vec::new())).as_ref()
    }

    /// Layers that are a release each: of the old ones, all versions.
    async fn releases<R: Ord>(&self, variant: Variant, found: Vec<(R, String)>) -> Vec<PruneResult> {
        let spared = subject::named_layers(&self.order.manifests);
        let mut newest_first = found;
        newest_first.sort_by(|(a, _), (b, _)| b.cmp(a));
        let names: Vec<String> = newest_first.iter().map(|(_, name)| name.clone()).collect();
        let old = retention::superfluous_releases(newest_first, &spared, self.order.keep);
        let mut outcomes = Vec::new();
        // The oldest first: what is interrupted leaves the newer ones.
        for name in names.iter().rev() {
            let kept = subject::named(&self.order.manifests, &self.target.region, name);
            let goes = old.contains(name);
            let gone = |versions: &[i64]| if goes { versions.to_vec() } else { Vec::new() };
            outcomes.push(self.layer(variant, name, &kept, gone).await);
        }
        outcomes
    }

    async fn layer(
        &self,
        variant: Variant,
        layer: &str,
        named: &BTreeSet<i64>,
        gone: impl Fn(&[i64]) -> Vec<i64>,
    ) -> PruneResult {
        if let Some(status) = &self.target.disabled {
            let error = format!("the region is {status} in this account");
            return self.failed(variant, layer.to_owned(), error);
        }
        let versions: Vec<i64> = match self.layers.list(layer).await {
            Ok(listed) => listed.iter().map(|listed| listed.number).collect(),
            Err(error) => return self.failed(variant, layer.to_owned(), explain(error)),
        };
        let superfluous = gone(&versions);
        let (mut deleted, mut error) = (Vec::new(), None);
        // The oldest first: what is interrupted leaves the newer ones.
        for number in superfluous.iter().rev().filter(|_| self.order.execute) {
            if let Err(cause) = self.layers.delete(layer, *number).await {
                error = Some(chain(&cause));
                break;
            }
            deleted.push(*number);
        }
        let kept_by_manifest = named.iter().copied().filter(|number| versions.contains(number)).collect();
        let (region, layer) = (self.target.region.clone(), layer.to_owned());
        let versions = versions.len();
        PruneResult { region, variant, layer, versions, kept_by_manifest, superfluous, deleted, error }
    }

    fn failed(&self, variant: Variant, layer: String, error: String) -> PruneResult {
        PruneResult {
            region: self.target.region.clone(),
            variant,
            layer,
            versions: 0,
            kept_by_manifest: Vec::new(),
            superfluous: Vec::new(),
            deleted: Vec::new(),
            error: Some(error),
        }
    }
}

fn explain(error: CallError) -> String {
    chain(&RolloutError::in_region(error))
}
