//! Pruning in one region: lists the versions of every layer, decides which of them are superfluous, and deletes those
//! if `--execute` is given.

use crate::{
    artifacts::layers_manifest::LayersManifest,
    aws::{layers::RegionLayers, partition::RegionName, regions::Target},
    commands::prune::subject::{self, Subject},
    failure::chain,
    model::variant::Variant,
    prune::{name_pattern::NamePattern, retention},
};
use serde::Serialize;
use std::sync::Arc;

/// The result for one layer in one region.
#[derive(Serialize)]
pub(super) struct PruneResult {
    pub(super) region: RegionName,
    #[serde(flatten)]
    pub(super) variant: Variant,
    pub(super) layer: String,
    /// The number of versions before pruning.
    pub(super) versions: usize,
    pub(super) kept_by_manifest: Vec<i64>,
    pub(super) superfluous: Vec<i64>,
    pub(super) deleted: Vec<i64>,
    pub(super) error: Option<String>,
    /// Whether an error in this region makes the whole run fail.
    #[serde(skip)]
    pub(super) required: bool,
}

/// The options of the run, which are the same in all regions.
pub(super) struct PruneRequest {
    pub(super) manifests: Vec<LayersManifest>,
    pub(super) subjects: Vec<Subject>,
    /// The number of the newest releases to keep.
    pub(super) keep: usize,
    /// Whether to delete versions. Otherwise the run only shows what it would delete.
    pub(super) execute: bool,
}

/// Carries out the request in one region.
pub(super) struct RegionPruner {
    request: Arc<PruneRequest>,
    target: Target,
    layers: RegionLayers,
}

impl RegionPruner {
    pub(super) fn new(request: &Arc<PruneRequest>, target: &Target, layers: RegionLayers) -> Self {
        Self { request: Arc::clone(request), target: target.clone(), layers }
    }

    /// Prunes all subjects, one after the other.
    pub(super) async fn prune(&self) -> Vec<PruneResult> {
        let subjects = &self.request.subjects;
        if let Some(status) = &self.target.disabled {
            let error = format!("the region is {status} in this account");
            let failed =
                |subject: &Subject| self.failed(subject.variant(), subject.to_string(), error.clone());
            return subjects.iter().map(failed).collect();
        }
        // One list of all layers serves every subject that has a layer for each release.
        let names = if subjects.iter().any(|subject| matches!(subject, Subject::Named(..))) {
            self.layers.names().await.map_err(|error| chain(&self.layers.in_region(error)))
        } else {
            Ok(Vec::new())
        };
        let mut results = Vec::new();
        for subject in subjects {
            match (subject, &names) {
                (Subject::Numbered(variant, name), _) => {
                    results.push(self.numbered(*variant, name.as_str()).await);
                }
                (Subject::Named(variant, pattern), Ok(names)) => {
                    results.extend(self.releases(*variant, pattern, names).await);
                }
                (Subject::Named(variant, pattern), Err(error)) => {
                    results.push(self.failed(*variant, pattern.to_string(), error.clone()));
                }
            }
        }
        results
    }

    /// Prunes a layer in which each version is a release, by deleting the old versions.
    async fn numbered(&self, variant: Variant, layer: &str) -> PruneResult {
        let named = subject::named(&self.request.manifests, &self.target.region, layer);
        let superfluous = |versions: &[i64]| retention::superfluous(versions, &named, self.request.keep);
        self.layer(variant, layer, superfluous).await
    }

    /// Prunes layers that are one release each. Deletes all versions of the layers of old releases.
    async fn releases(&self, variant: Variant, pattern: &NamePattern, names: &[String]) -> Vec<PruneResult> {
        let release = |name: &String| Some((pattern.release(name)?, name.clone()));
        let mut newest_first: Vec<_> = names.iter().filter_map(release).collect();
        newest_first.sort_by(|(a, _), (b, _)| b.cmp(a));
        let named_in_manifests = subject::named_layers(&self.request.manifests);
        let old =
            retention::superfluous_releases(newest_first.clone(), &named_in_manifests, self.request.keep);
        let mut results = Vec::new();
        // The oldest release is deleted first, so that an interrupted run leaves the newer ones.
        for (_, name) in newest_first.iter().rev() {
            let is_old = old.contains(name);
            let superfluous = |versions: &[i64]| if is_old { versions.to_vec() } else { Vec::new() };
            results.push(self.layer(variant, name, superfluous).await);
        }
        results
    }

    /// Prunes one layer. `superfluous` decides which versions are deleted.
    async fn layer(
        &self,
        variant: Variant,
        layer: &str,
        superfluous: impl Fn(&[i64]) -> Vec<i64>,
    ) -> PruneResult {
        let versions: Vec<i64> = match self.layers.list(layer).await {
            Ok(listed) => listed.iter().map(|listed| listed.number).collect(),
            Err(error) => {
                return self.failed(variant, layer.to_owned(), chain(&self.layers.in_region(error)));
            }
        };
        let mut result = self.result(variant, layer.to_owned());
        result.versions = versions.len();
        result.kept_by_manifest = subject::named(&self.request.manifests, &self.target.region, layer)
            .into_iter()
            .filter(|number| versions.contains(number))
            .collect();
        result.superfluous = superfluous(&versions);
        if self.request.execute {
            // The oldest version is deleted first, so that an interrupted run leaves the newer ones.
            for number in result.superfluous.iter().rev() {
                if let Err(error) = self.layers.delete(layer, *number).await {
                    result.error = Some(chain(&error));
                    break;
                }
                result.deleted.push(*number);
            }
        }
        result
    }

    fn failed(&self, variant: Variant, layer: String, error: String) -> PruneResult {
        PruneResult { error: Some(error), ..self.result(variant, layer) }
    }

    /// An empty result for the layer.
    fn result(&self, variant: Variant, layer: String) -> PruneResult {
        PruneResult {
            region: self.target.region.clone(),
            variant,
            layer,
            versions: 0,
            kept_by_manifest: Vec::new(),
            superfluous: Vec::new(),
            deleted: Vec::new(),
            error: None,
            required: self.target.required,
        }
    }
}
