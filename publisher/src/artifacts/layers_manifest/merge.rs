//! Merges the manifest of a run with that of earlier runs, which may have other regions or the layers of the other
//! kind.

use crate::{
    artifacts::{
        bundle::{Bundle, Origin},
        layers_manifest::{FILE, Layer, LayersError, LayersManifest, SCHEMA},
    },
    aws::{identity::Identity, partition::RegionName},
    model::{digest::Digest, variant::Variant},
};
use std::{collections::BTreeMap, path::Path};

impl LayersManifest {
    /// The manifest of a release that is not in any region yet.
    pub(crate) fn of(
        bundle: &Bundle,
        identity: &Identity,
        layers: impl IntoIterator<Item = (Variant, Layer)>,
    ) -> Self {
        let (build, other_layer) = match &bundle.origin {
            Origin::Build { commit, toolchain } => (Some((commit.clone(), toolchain.clone())), None),
            Origin::Other { layer, .. } => (None, Some(layer.clone())),
        };
        let (commit, toolchain) = build.unzip();
        let mut manifest = Self {
            schema: SCHEMA,
            version: bundle.version.clone(),
            commit,
            toolchain,
            other_layer,
            yanked: None,
            accounts: BTreeMap::from([(identity.partition, identity.account.clone())]),
            layers: BTreeMap::new(),
            relay_layers: BTreeMap::new(),
        };
        for (variant, layer) in layers {
            manifest.layers_mut(variant.kind).insert(variant.arch, layer);
        }
        manifest.schema = manifest.schema_of_content();
        manifest
    }

    /// Reads `dist/layers.json` and returns it if it belongs to this release, which consists of the zips in `built`.
    /// The manifest of another release may be replaced, since the git history has it. Fails if the file is of other
    /// layers, or if it lists the same zips in another account of the same partition, because each partition has one
    /// owner.
    pub(crate) fn earlier(
        &self,
        dist: &Path,
        built: &BTreeMap<Variant, Digest>,
    ) -> Result<Option<Self>, LayersError> {
        let earlier = match Self::open(dist) {
            Ok(earlier) => earlier,
            Err(LayersError::NotPublished(_)) => return Ok(None),
            Err(error) => return Err(error),
        };
        let template = |manifest: &Self| manifest.other_layer.as_ref().map(|it| it.name_template.clone());
        if template(&earlier) != template(self) {
            let theirs = earlier.what().to_owned();
            return Err(LayersError::OtherLayer { path: dist.join(FILE), theirs });
        }
        let same = |(variant, layer): (Variant, &Layer)| {
            built.get(&variant) == Some(&layer.sha256) && !layer.regions.is_empty()
        };
        if !earlier.all().any(same) {
            return Ok(None);
        }
        for (partition, account) in &self.accounts {
            if let Some(other) = earlier.accounts.get(partition).filter(|other| *other != account) {
                let path = dist.join(FILE);
                let account = other.clone();
                return Err(LayersError::OtherAccount { path, account, partition: *partition });
            }
        }
        Ok(Some(earlier))
    }

    /// Takes over the regions of an earlier run, if it had the same zips under the same names. Also takes over the
    /// layers that this run was not asked for, if their zips are still those of the build.
    pub(crate) fn keep(&mut self, earlier: &Self, built: &BTreeMap<Variant, Digest>) {
        for (variant, old) in earlier.all() {
            let Some(layer) = self.layers_mut(variant.kind).get_mut(&variant.arch) else {
                if built.get(&variant) == Some(&old.sha256) {
                    self.layers_mut(variant.kind).insert(variant.arch, old.clone());
                    self.keep_owners(earlier, old);
                }
                continue;
            };
            if layer.sha256 != old.sha256 || layer.name != old.name {
                continue;
            }
            for (region, placement) in &old.regions {
                let now = layer.regions.entry(region.clone()).or_insert_with(|| placement.clone());
                if (&now.arn, now.version, &now.grant)
                    == (&placement.arn, placement.version, &placement.grant)
                {
                    now.verified_at.clone_from(&placement.verified_at);
                }
            }
            self.keep_owners(earlier, old);
        }
    }

    /// Takes over the accounts that own the regions of `layer`.
    fn keep_owners(&mut self, earlier: &Self, layer: &Layer) {
        for partition in layer.regions.keys().map(RegionName::partition) {
            if let Some(account) = earlier.accounts.get(&partition) {
                self.accounts.entry(partition).or_insert_with(|| account.clone());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        artifacts::{
            atomic_file::AtomicFile,
            layers_manifest::{Placement, sample},
        },
        aws::partition::Partition,
        model::{layer_arch::LayerArch, variant::LayerKind},
    };
    use std::fs;

    const PLAIN: Variant = Variant { arch: LayerArch::Arm64, kind: LayerKind::Plain };
    const RELAY: Variant = Variant { arch: LayerArch::Arm64, kind: LayerKind::Relay };

    /// A manifest with one layer, whose version is 1 in the first region, 2 in the second, and so on.
    fn manifest_of(variant: Variant, zip: &[u8], regions: &[&str]) -> LayersManifest {
        let mut layer = sample::layer(variant, zip);
        let place = layer.regions.values().next().unwrap().clone();
        let numbered = |(region, version): (&&str, i64)| {
            let arn = format!("arn:{version}");
            (region.parse().unwrap(), Placement { arn, version, ..place.clone() })
        };
        layer.regions = regions.iter().zip(1..).map(numbered).collect();
        let mut manifest = sample::full();
        manifest.layers.clear();
        manifest.relay_layers.clear();
        manifest.layers_mut(variant.kind).insert(variant.arch, layer);
        manifest
    }

    fn plain_manifest(zip: &[u8], regions: &[&str]) -> LayersManifest {
        manifest_of(PLAIN, zip, regions)
    }

    fn built(zip: &[u8]) -> BTreeMap<Variant, Digest> {
        [PLAIN, RELAY].map(|variant| (variant, Digest::of(zip))).into()
    }

    fn region_versions(manifest: &LayersManifest) -> Vec<(String, i64)> {
        let layer = &manifest.layers[&LayerArch::Arm64];
        layer.regions.iter().map(|(region, p)| (region.to_string(), p.version)).collect()
    }

    #[test]
    fn a_later_run_of_the_same_zips_adds_its_regions_and_keeps_the_others() {
        let mut later = plain_manifest(b"a", &["us-east-1", "eu-west-1"]);
        later.keep(&plain_manifest(b"a", &["eu-west-1", "sa-east-1"]), &built(b"a"));
        let expected = [("eu-west-1", 2), ("sa-east-1", 2), ("us-east-1", 1)];
        assert_eq!(region_versions(&later), expected.map(|(region, version)| (region.to_owned(), version)));
    }

    #[test]
    fn regions_of_other_zips_are_not_kept() {
        let mut later = plain_manifest(b"b", &["us-east-1"]);
        later.keep(&plain_manifest(b"a", &["eu-west-1"]), &built(b"b"));
        assert_eq!(region_versions(&later), [("us-east-1".to_owned(), 1)]);
    }

    #[test]
    fn a_run_for_one_kind_keeps_the_other_kind_if_its_zip_is_the_same() {
        let mut later = manifest_of(RELAY, b"a", &["us-east-1"]);
        later.keep(&plain_manifest(b"a", &["eu-west-1"]), &built(b"a"));
        assert_eq!(region_versions(&later), [("eu-west-1".to_owned(), 1)]);
        assert_eq!(later.relay_layers[&LayerArch::Arm64].regions.len(), 1);
        let mut later = manifest_of(RELAY, b"a", &["us-east-1"]);
        later.keep(&plain_manifest(b"before", &["eu-west-1"]), &built(b"a"));
        assert!(later.layers.is_empty());
        // A layer that is no longer in the build does not belong to the release.
        let mut later = plain_manifest(b"a", &["us-east-1"]);
        later.keep(&manifest_of(RELAY, b"a", &["eu-west-1"]), &[(PLAIN, Digest::of(b"a"))].into());
        assert!(later.relay_layers.is_empty());
    }

    #[test]
    fn an_unchanged_placement_keeps_its_date() {
        let mut later = plain_manifest(b"a", &["us-east-1", "eu-west-1"]);
        for placement in later.layers.values_mut().flat_map(|layer| layer.regions.values_mut()) {
            placement.verified_at = "2027-02-02T00:00:00Z".to_owned();
        }
        let mut earlier = plain_manifest(b"a", &["us-east-1", "eu-west-1"]);
        earlier.layers.get_mut(&LayerArch::Arm64).unwrap().regions.values_mut().next().unwrap().version = 9;
        later.keep(&earlier, &built(b"a"));
        let dates: Vec<_> =
            later.layers[&LayerArch::Arm64].regions.values().map(|p| &p.verified_at[..10]).collect();
        assert_eq!(dates, ["2027-02-02", "2026-11-23"]);
    }

    #[test]
    fn each_partition_has_one_owner_and_the_file_of_another_owner_is_not_replaced() {
        let dist = tempfile::tempdir().unwrap();
        let write = |m: &LayersManifest| m.write(AtomicFile::of(&dist.path().join(FILE)).unwrap()).unwrap();
        let owned = |partition, account: &str, manifest| LayersManifest {
            accounts: BTreeMap::from([(partition, account.to_owned())]),
            ..manifest
        };
        let ours = plain_manifest(b"a", &["us-east-1"]);
        let earlier = || ours.earlier(dist.path(), &built(b"a"));
        assert!(earlier().unwrap().is_none());
        write(&ours);
        assert_eq!(earlier().unwrap(), Some(ours.clone()));
        write(&owned(Partition::Aws, "999999999999", ours.clone()));
        assert!(matches!(earlier(), Err(LayersError::OtherAccount { .. })));
        write(&owned(Partition::Aws, "999999999999", plain_manifest(b"other", &["us-east-1"])));
        assert!(earlier().unwrap().is_none());

        write(&owned(Partition::China, "999999999999", plain_manifest(b"a", &["cn-north-1"])));
        let mut both = ours.clone();
        both.keep(&earlier().unwrap().unwrap(), &built(b"a"));
        assert_eq!(both.accounts.len(), 2);
        assert_eq!(both.layers[&LayerArch::Arm64].regions.len(), 2);

        write(&sample::other());
        assert!(matches!(earlier(), Err(LayersError::OtherLayer { theirs, .. }) if theirs == "TeamSdk"));
        fs::write(dist.path().join(FILE), "{").unwrap();
        assert!(matches!(earlier(), Err(LayersError::Parse { .. })));
        fs::write(dist.path().join(FILE), r#"{"schema": 4, "more": 1}"#).unwrap();
        assert!(matches!(earlier(), Err(LayersError::Schema { found: 4, .. })));
    }
}
