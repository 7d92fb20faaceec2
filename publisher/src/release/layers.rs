//! `dist/layers.json`: what was published, where. `arn` prints from it, `verify` checks it, a release commits it.

use super::{
    bundle::Bundle,
    digest::Digest,
    files::{Aside, WriteError},
    layer_name::LayerName,
    plan::Wanted,
};
use crate::{
    arch::Arch,
    aws::{
        audience::Audience,
        identity::Identity,
        partition::{Partition, RegionName},
    },
};
use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
};

/// The file's name inside `dist/`.
pub const FILE: &str = "layers.json";

/// The shape of `layers.json`. Maps are sorted, so the same content is the same text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LayersManifest {
    /// Version of this shape: 1.
    pub schema: u32,
    /// The release's version.
    pub version: String,
    /// The commit built.
    pub commit: String,
    /// The accounts that own the layers: one in each partition.
    pub accounts: BTreeMap<Partition, String>,
    /// One layer for each architecture.
    pub layers: BTreeMap<Arch, Layer>,
}

/// One architecture's layer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Layer {
    /// Its name, the same in all regions.
    #[serde(rename = "layer_name")]
    pub name: LayerName,
    /// Of the zip, in hex.
    pub sha256: Digest,
    /// The same in base64, as Lambda has it.
    pub code_sha256: String,
    /// Of the zip.
    pub size: u64,
    /// Where it is.
    pub regions: BTreeMap<RegionName, Placement>,
}

/// One region's version of a layer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Placement {
    /// With the version at its end: what a function attaches.
    pub arn: String,
    /// The version's number.
    pub version: i64,
    /// Who may use it.
    pub grant: Audience,
    /// When it was first read back as it is here, RFC 3339 in UTC: a run that changes nothing does not change it.
    pub verified_at: String,
}

/// A `layers.json` that is of no use, or must not be lost.
#[derive(Debug, thiserror::Error)]
pub enum LayersError {
    /// Nothing was published.
    #[error("there is no {}", .0.display())]
    NotPublished(PathBuf),
    /// It is there and cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Not the shape that this version writes.
    #[error("{} is not a manifest of published layers that this version can read", path.display())]
    Parse {
        /// Which.
        path: PathBuf,
        /// Why.
        source: serde_json::Error,
    },
    /// From another version of this tool.
    #[error("{} has schema {found}; this version reads schema 1", path.display())]
    Schema {
        /// Which.
        path: PathBuf,
        /// What it says.
        found: u32,
    },
    /// The file belongs to somebody else.
    #[error("{} lists these very zips in account {account} of {partition}", path.display())]
    OtherAccount {
        /// Which.
        path: PathBuf,
        /// The account in it.
        account: String,
        /// The partition in it.
        partition: Partition,
    },
    /// It could not be written.
    #[error(transparent)]
    Write(#[from] WriteError),
}

impl LayersManifest {
    /// A release that is nowhere yet.
    pub fn of(bundle: &Bundle, identity: &Identity, wanted: &[Wanted]) -> Self {
        let layer = |wanted: &Wanted| Layer {
            name: wanted.layer.clone(),
            sha256: wanted.digest,
            code_sha256: wanted.digest.base64(),
            size: wanted.size,
            regions: BTreeMap::new(),
        };
        Self {
            schema: 1,
            version: bundle.version.clone(),
            commit: bundle.commit.clone(),
            accounts: BTreeMap::from([(identity.partition, identity.account.clone())]),
            layers: wanted.iter().map(|wanted| (wanted.arch, layer(wanted))).collect(),
        }
    }

    /// Reads `dist/layers.json`.
    pub fn open(dist: &Path) -> Result<Self, LayersError> {
        Self::read(&dist.join(FILE))
    }

    /// Reads a manifest under whatever name.
    pub fn read(path: &Path) -> Result<Self, LayersError> {
        let path = path.to_owned();
        let text = match fs::read(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(LayersError::NotPublished(path));
            }
            Err(source) => return Err(LayersError::Read { path, source }),
        };
        let manifest: Self = serde_json::from_slice(&text)
            .map_err(|source| LayersError::Parse { path: path.clone(), source })?;
        if manifest.schema == 1 {
            Ok(manifest)
        } else {
            Err(LayersError::Schema { path, found: manifest.schema })
        }
    }

    /// Reads `dist/layers.json` if there is one, and says whether this release may go into it: another release
    /// is replaced (the older one is in the history); of the same one, each partition has one owner.
    pub fn earlier(&self, dist: &Path) -> Result<Option<Self>, LayersError> {
        let earlier = match Self::open(dist) {
            Ok(earlier) => earlier,
            Err(LayersError::NotPublished(_)) => return Ok(None),
            Err(error) => return Err(error),
        };
        let same = |(arch, layer): (&Arch, &Layer)| {
            earlier.layers.get(arch).is_some_and(|e| e.sha256 == layer.sha256 && !e.regions.is_empty())
        };
        if !self.layers.iter().any(same) {
            return Ok(None);
        }
        for (partition, account) in &self.accounts {
            if let Some(other) = earlier.accounts.get(partition).filter(|other| *other != account) {
                let (path, account) = (dist.join(FILE), other.clone());
                return Err(LayersError::OtherAccount { path, account, partition: *partition });
            }
        }
        Ok(Some(earlier))
    }

    /// Takes over the regions of an earlier run of the same zips under the same names.
    pub fn keep(&mut self, earlier: Self) {
        for (arch, old) in earlier.layers {
            let Some(layer) = self.layers.get_mut(&arch) else { continue };
            if layer.sha256 != old.sha256 || layer.name != old.name {
                continue;
            }
            for (region, placement) in old.regions {
                if let Some(account) = earlier.accounts.get(&region.partition()) {
                    self.accounts.entry(region.partition()).or_insert_with(|| account.clone());
                }
                let now = layer.regions.entry(region).or_insert_with(|| placement.clone());
                if (&now.arn, now.version, &now.grant)
                    == (&placement.arn, placement.version, &placement.grant)
                {
                    now.verified_at = placement.verified_at;
                }
            }
        }
    }

    /// Notes where a layer is.
    pub fn place(&mut self, arch: Arch, region: RegionName, placement: Placement) {
        if let Some(layer) = self.layers.get_mut(&arch) {
            layer.regions.insert(region, placement);
        }
    }

    /// Puts the manifest in place of the file.
    pub fn write(&self, aside: Aside) -> Result<(), LayersError> {
        let path = PathBuf::from(FILE);
        let mut text =
            serde_json::to_vec_pretty(self).map_err(|source| LayersError::Parse { path, source })?;
        text.push(b'\n');
        Ok(aside.replace(&text)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manifest(zip: &[u8], regions: &[&str]) -> LayersManifest {
        let digest = Digest::of(zip);
        let name = LayerName::try_from("x-arm64".to_owned()).unwrap();
        let placement = |version| Placement {
            arn: format!("arn:{version}"),
            version,
            grant: Audience::public(),
            verified_at: "2026-01-01T00:00:00Z".to_owned(),
        };
        let regions = regions.iter().zip(1..).map(|(r, v)| (r.parse().unwrap(), placement(v))).collect();
        let code_sha256 = digest.base64();
        let layer = Layer { name, sha256: digest, code_sha256, size: zip.len() as u64, regions };
        LayersManifest {
            schema: 1,
            version: "1.0.0".to_owned(),
            commit: "unknown".to_owned(),
            accounts: BTreeMap::from([(Partition::Aws, "123456789012".to_owned())]),
            layers: BTreeMap::from([(Arch::Arm64, layer)]),
        }
    }

    fn regions(manifest: &LayersManifest) -> Vec<(String, i64)> {
        let layer = &manifest.layers[&Arch::Arm64];
        layer.regions.iter().map(|(region, p)| (region.to_string(), p.version)).collect()
    }

    #[test]
    fn a_later_run_of_the_same_zips_adds_its_regions_and_keeps_the_others() {
        let mut later = manifest(b"a", &["us-east-1", "eu-west-1"]);
        later.keep(manifest(b"a", &["eu-west-1", "sa-east-1"]));
        let expected = [("eu-west-1", 2), ("sa-east-1", 2), ("us-east-1", 1)];
        assert_eq!(regions(&later), expected.map(|(region, version)| (region.to_owned(), version)));
    }

    #[test]
    fn other_zips_start_anew() {
        let mut later = manifest(b"b", &["us-east-1"]);
        later.keep(manifest(b"a", &["eu-west-1"]));
        assert_eq!(regions(&later), [("us-east-1".to_owned(), 1)]);
    }

    #[test]
    fn what_has_not_changed_keeps_its_date() {
        let mut later = manifest(b"a", &["us-east-1", "eu-west-1"]);
        for placement in later.layers.values_mut().flat_map(|layer| layer.regions.values_mut()) {
            placement.verified_at = "2026-02-02T00:00:00Z".to_owned();
        }
        let mut earlier = manifest(b"a", &["us-east-1", "eu-west-1"]);
        earlier.layers.get_mut(&Arch::Arm64).unwrap().regions.values_mut().next().unwrap().version = 9;
        later.keep(earlier);
        let dates: Vec<_> =
            later.layers[&Arch::Arm64].regions.values().map(|p| &p.verified_at[..10]).collect();
        assert_eq!(dates, ["2026-02-02", "2026-01-01"]);
    }

    #[test]
    fn each_partition_has_one_owner_and_another_is_not_overwritten() {
        let dist = tempfile::tempdir().unwrap();
        let write = |m: &LayersManifest| m.write(Aside::of(&dist.path().join(FILE)).unwrap()).unwrap();
        let owned = |partition, account: &str, manifest| LayersManifest {
            accounts: BTreeMap::from([(partition, account.to_owned())]),
            ..manifest
        };
        let ours = manifest(b"a", &["us-east-1"]);
        assert!(ours.earlier(dist.path()).unwrap().is_none());
        write(&ours);
        assert_eq!(ours.earlier(dist.path()).unwrap(), Some(ours.clone()));
        write(&owned(Partition::Aws, "999999999999", ours.clone()));
        assert!(matches!(ours.earlier(dist.path()), Err(LayersError::OtherAccount { .. })));
        write(&owned(Partition::Aws, "999999999999", manifest(b"other", &["us-east-1"])));
        assert!(ours.earlier(dist.path()).unwrap().is_none());

        write(&owned(Partition::China, "999999999999", manifest(b"a", &["cn-north-1"])));
        let mut both = ours.clone();
        both.keep(ours.earlier(dist.path()).unwrap().unwrap());
        assert_eq!(both.accounts.len(), 2);
        assert_eq!(both.layers[&Arch::Arm64].regions.len(), 2);

        fs::write(dist.path().join(FILE), "{").unwrap();
        assert!(matches!(ours.earlier(dist.path()), Err(LayersError::Parse { .. })));
    }
}
