//! Where the last release had its layers: what a new one lacks of that is not lost in silence.
//!
//! A region can go missing without any call failing: it is switched off, or the account's list does not have it. So
//! every `layers.json` is compared with the one before it, and keeps in mind what it lacks (`missing_regions`) until
//! the region is back or somebody says that it may stay away.

use crate::{
    artifacts::layers_manifest::LayersManifest,
    aws::partition::{Partition, RegionName},
    model::variant::Variant,
};
use std::collections::{BTreeMap, BTreeSet};

/// Layers and their regions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct LastRegions(BTreeMap<Variant, BTreeSet<RegionName>>);

impl LastRegions {
    /// Adds the regions that a manifest has, and those that it should have had.
    pub(crate) fn add(&mut self, manifest: &LayersManifest) {
        for (variant, layer) in manifest.all() {
            let regions = layer.regions.keys().chain(&layer.missing_regions).cloned();
            self.0.entry(variant).or_default().extend(regions);
        }
    }

    /// What is not among `present`, of the layers that `present` knows at all. Layers that a run was not asked for are
    /// none of its business.
    pub(crate) fn missing_from(
        &self,
        present: &BTreeMap<Variant, BTreeSet<RegionName>>,
        may_be_missing: impl Fn(&RegionName) -> bool,
    ) -> Self {
        let mut missing = BTreeMap::new();
        for (variant, regions) in present {
            let last = self.0.get(variant).into_iter().flatten();
            let gone: BTreeSet<RegionName> = last
                .filter(|region| !regions.contains(*region) && !may_be_missing(region))
                .cloned()
                .collect();
            if !gone.is_empty() {
                missing.insert(*variant, gone);
            }
        }
        Self(missing)
    }

    /// Those of these regions.
    pub(crate) fn only(&self, is_wanted: impl Fn(&RegionName) -> bool) -> Self {
        let regions = |all: &BTreeSet<RegionName>| all.iter().filter(|r| is_wanted(r)).cloned().collect();
        Self(self.0.iter().map(|(variant, all)| (*variant, regions(all))).collect())
    }

    /// Each region with the layers that were there.
    pub(crate) fn by_region(&self) -> BTreeMap<&RegionName, Vec<Variant>> {
        let mut all: BTreeMap<&RegionName, Vec<Variant>> = BTreeMap::new();
        for (variant, regions) in &self.0 {
            for region in regions {
                all.entry(region).or_default().push(*variant);
            }
        }
        all
    }
}

impl LayersManifest {
    /// Where its layers are.
    pub(crate) fn present(&self) -> BTreeMap<Variant, BTreeSet<RegionName>> {
        self.all().map(|(variant, layer)| (variant, layer.regions.keys().cloned().collect())).collect()
    }

    /// The partition of a manifest that has just been begun.
    pub(crate) fn partition(&self) -> Partition {
        self.accounts.keys().next().copied().unwrap_or(Partition::Aws)
    }

    /// Keeps in mind what the last release had and this one has not, and forgets what was missing before.
    pub(crate) fn set_missing(&mut self, missing: &LastRegions) {
        let variants: Vec<Variant> = self.all().map(|(variant, _)| variant).collect();
        for variant in variants {
            if let Some(layer) = self.layers_mut(variant.kind).get_mut(&variant.arch) {
                layer.missing_regions = missing.0.get(&variant).cloned().unwrap_or_default();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        artifacts::layers_manifest::sample,
        model::{layer_arch::LayerArch, variant::LayerKind},
    };

    const ARM64: Variant = Variant { arch: LayerArch::Arm64, kind: LayerKind::Plain };

    #[test]
    fn a_missing_region_stays_recorded_until_it_is_back_or_allowed_to_be_missing() {
        let mut last = LastRegions::default();
        last.add(&sample::full());
        let mut fewer = sample::full();
        fewer.relay_layers.clear();
        let region: RegionName = "us-east-1".parse().unwrap();
        let forget = |manifest: &mut LayersManifest| {
            for layer in manifest.layers.values_mut() {
                layer.regions.remove(&region);
            }
        };
        forget(&mut fewer);
        let africa: RegionName = "af-south-1".parse().unwrap();
        let missing = last.missing_from(&fewer.present(), |_| false);
        assert_eq!(missing.by_region().into_keys().collect::<Vec<_>>(), [&africa, &region]);
        assert_eq!(missing.by_region()[&region].len(), 2, "the layers with Relay were not asked for");

        // The release after that still records the region as missing, although its predecessor lacks it as well.
        fewer.set_missing(&missing);
        let mut last = LastRegions::default();
        last.add(&fewer);
        assert_eq!(last.missing_from(&fewer.present(), |_| false), missing);
        assert_eq!(last.missing_from(&fewer.present(), |_| true), LastRegions::default());
        let mut back = sample::full();
        back.set_missing(&last.missing_from(&back.present(), |gone| *gone == africa));
        assert!(back.layers[&ARM64.arch].missing_regions.is_empty());
    }
}
