//! Compares the regions of the last release with the regions of this run.

use crate::{
    artifacts::layers_manifest::{LastRegions, LayersError, LayersManifest},
    aws::{
        partition::RegionName,
        regions::{RegionPattern, Selection},
    },
    commands::{common::fewer_regions, publish::Publish},
    failure::Failure,
    model::variant::Variant,
    publish::report::Row,
    ui::Ui,
};
use std::collections::{BTreeMap, BTreeSet};

impl Publish {
    /// The regions of the last release, according to the `--previous` files and to the manifest that this run replaces.
    pub(super) fn last_regions(&self) -> Result<LastRegions, Failure> {
        let mut last = self.fewer.last_regions()?;
        match LayersManifest::open(&self.dist) {
            Ok(manifest) => last.add(&manifest),
            Err(LayersError::NotPublished(_)) => {}
            Err(error) => return Err(self.manifest_failure(error)),
        }
        Ok(last)
    }

    /// Warns, before anything is published, of the regions of the last release that this run does not try.
    pub(super) fn announce_fewer(
        &self,
        ui: &Ui,
        last: &LastRegions,
        manifest: &LayersManifest,
        selection: &Selection,
    ) {
        let tried = selection.targets.iter().filter(|target| target.disabled.is_none());
        let tried: BTreeSet<RegionName> = tried.map(|target| target.region.clone()).collect();
        let present = manifest.all().map(|(variant, _)| (variant, tried.clone())).collect();
        let missing = self.fewer.missing(last, &present);
        if let Some(failure) = fewer_regions::failure(&missing, manifest.partition(), |region| {
            self.why_missing(region, &[], selection)
        }) {
            ui.warning(failure.text());
        }
    }

    /// Whether the options exclude the region, so that this run publishes only a part of a release. This is no failure:
    /// `layers.json` records what is missing, and a later run can continue. With `--previous`, the run must be
    /// complete, so the result is always false.
    pub(super) fn is_partial_without(&self, region: &RegionName) -> bool {
        let is_in = |patterns: &[RegionPattern]| patterns.iter().any(|pattern| pattern.matches(region));
        let only = &self.regions.regions;
        self.fewer.previous.is_empty()
            && (is_in(&self.regions.exclude)
                || !(only.is_empty() || is_in(only) || is_in(&self.optional_regions)))
    }

    /// The reason why a region of the last release is missing, as far as it is known.
    pub(super) fn why_missing(
        &self,
        region: &RegionName,
        rows: &[Row],
        selection: &Selection,
    ) -> Option<String> {
        if let Some(row) = rows.iter().find(|row| row.region == *region) {
            return row.error.clone().or_else(|| row.note.clone());
        }
        if selection.left_out.contains(region) {
            return Some("it is disabled in this account".to_owned());
        }
        if self.regions.exclude.iter().any(|pattern| pattern.matches(region)) {
            return Some("it was excluded".to_owned());
        }
        let narrowed = !self.regions.regions.is_empty();
        let text =
            if narrowed { "it was not asked for" } else { "the account's list of regions does not have it" };
        Some(text.to_owned())
    }
}

/// The regions of each layer after the run. For a plan, these are the regions that it would have.
pub(super) fn present(
    manifest: &LayersManifest,
    rows: &[Row],
    executed: bool,
) -> BTreeMap<Variant, BTreeSet<RegionName>> {
    let mut present = manifest.present();
    if !executed {
        for row in rows.iter().filter(|row| row.error.is_none() && !row.left_out) {
            present.entry(row.variant).or_default().insert(row.region.clone());
        }
    }
    present
}
